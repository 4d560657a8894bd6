"""Import MetaWorld, which is optional, quietly and with OpenGL chosen first."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from importlib import metadata
from types import ModuleType
from typing import Any

from tasks import gl

REMEDY = "make setup-metaworld"
LOCKED = f"needs MetaWorld: {REMEDY}"
MODULES = ("metaworld", "gymnasium", "imageio", "glfw")  # gymnasium imports the last two unasked
PACKAGES = ("metaworld", "gymnasium", "mujoco")  # what moves physics


def missing() -> list[str]:
    """Modules that MetaWorld cannot be imported without and that are not installed."""
    return [name for name in MODULES if importlib.util.find_spec(name) is None]


def versions() -> dict[str, str]:
    """Package -> installed version, or "not installed"."""
    out = {}
    for name in PACKAGES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = "not installed"
    return out


@functools.cache
def backend() -> str:
    """Choose OpenGL, once in a process, and return the backend's name."""
    return gl.enable()


def upstream() -> Any:
    """The package ``metaworld``; takes a second the first time."""
    backend()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of gymnasium, about other packages' versions
        return importlib.import_module("metaworld")


def experts() -> ModuleType:
    """The package ``metaworld.policies``: upstream's scripted policies."""
    upstream()
    # They warn whenever they ask for more than an action can be; it is clipped.
    warnings.filterwarnings("ignore", module=r"metaworld\.policies")
    return importlib.import_module("metaworld.policies")
