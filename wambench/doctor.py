"""Check what a sweep needs of this machine, each with the one line that mends it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata

from wambench import plugins
from wambench.errors import UserError
from wambench.suite import Check
from wambench.sweeping.machine import RESERVE_MB, available_mb, cores, ray_folder

PACKAGES = ("numpy", "ray", "pandas", "pyarrow", "pydantic", "matplotlib")


def checks(quick: bool = False) -> Iterator[Check]:
    """Yield the checks as they are made. ``quick``: leave out Ray and rendering."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("Python", sys.version_info >= (3, 11), version, "install Python 3.11")
    yield from map(_package, PACKAGES)
    yield Check("cores", True, str(cores()))
    yield _memory()
    yield _temporary()
    yield from _plugins()
    yield _gpu()
    if quick:
        return
    seen = set()
    for name in plugins.installed(plugins.SUITES):
        try:
            suite = plugins.make_suite(name)
        except UserError:
            continue  # reported above
        if suite.spec.simulator not in seen:
            seen.add(suite.spec.simulator)
            yield from suite.diagnose()
    yield _ray()


def _package(name: str) -> Check:
    try:
        return Check(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Check(name, False, "not installed", f"pip install -c constraints.txt {name}")


def _memory() -> Check:
    available = available_mb()
    need = RESERVE_MB + 2200
    remedy = f"one simulator and Ray need {need} MiB: close something or use a larger machine"
    return Check("memory", available >= need, f"{available} MiB available", remedy)


def _temporary() -> Check:
    """A long path is gone round where a short one can be written to."""
    name = tempfile.gettempdir()
    try:
        instead = ray_folder()
    except UserError as error:
        return Check("temporary folder", False, name, f"{error}")
    return Check("temporary folder", True, f"{name}, for Ray {instead}" if instead else name)


def _plugins() -> Iterator[Check]:
    for group, kind in ((plugins.SUITES, "suite"), (plugins.POLICIES, "policy")):
        for name in plugins.installed(group):
            try:
                plugins.load(group, kind, name)
            except UserError as error:
                yield Check(f"{kind} {name}", False, str(error), "fix or uninstall", required=False)


def _gpu() -> Check:
    """A GPU is never required; say whether there is one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Check("GPU", True, "none (none needed)", required=False)
    query = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        run = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Check("GPU", False, str(error), "check the driver with nvidia-smi", required=False)
    return Check("GPU", True, "; ".join(run.stdout.strip().splitlines()), required=False)


def _ray() -> Check:
    """Start Ray with two workers and let both answer."""
    remedy = "pip install --force-reinstall -c constraints.txt ray"
    try:
        from wambench.sweeping.cluster import LocalRay, ray
    except ImportError as error:
        return Check("Ray", False, str(error), remedy)
    local = None
    try:
        local = LocalRay(2)
        pids = ray.get([ray.remote(_pid).remote() for _ in range(2)], timeout=60)
        return Check("Ray", True, f"{ray.__version__}, {len(pids)} tasks answered")
    except Exception as error:  # Ray fails in many ways; all mean the same here
        return Check("Ray", False, f"{type(error).__name__}: {error}", remedy)
    finally:
        if local:
            local.stop()


def _pid() -> int:
    import os

    return os.getpid()
