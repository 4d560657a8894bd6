"""Import LIBERO without its side effects. Every module that touches LIBERO goes through here.

What would happen otherwise: robosuite opens a fixed log file in the shared temporary directory
(the second user of a machine gets a PermissionError), LIBERO reads a path configuration from the
home directory (another checkout's paths) and has matplotlib write to it, and both print on import
and on every task list.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

# LIBERO imports matplotlib, which makes itself a folder in the home directory unless told another.
os.environ.setdefault(
    "MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / f"wambench-{os.getuid()}" / "matplotlib")
)
# A path that cannot exist: LIBERO falls back to the packaged paths when it finds no file there.
os.environ["LIBERO_CONFIG_PATH"] = os.devnull + "/wambench"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow standard output of LIBERO's chatty calls (errors still raise)."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def task_suite(name: str) -> object:
    """LIBERO's own Benchmark object of a suite; imports neither MuJoCo nor robosuite."""
    with quiet():
        from libero.libero import benchmark

        return benchmark.get_benchmark(name)(0)


def bddl_path(folder: str, file: str) -> Path:
    """Where the goal description of a task lies in the installed package."""
    from libero.libero import get_libero_path

    return Path(get_libero_path("bddl_files")) / folder / file


def assets_path() -> Path:
    """Where the installed package has its scenes, textures and objects."""
    from libero.libero import get_libero_path

    return Path(get_libero_path("assets"))


def pictures() -> Path:
    """The folder of LIBERO's pictures of floors, walls and tables."""
    return assets_path() / "textures"


def stored_states(folder: str, file: str) -> NDArray[np.float64]:
    """Initial states as they lie in the installed package, float64 [n, 1 + nq + nv]."""
    with quiet():
        from libero.libero import benchmark, get_libero_path

        path = Path(get_libero_path("init_states")) / folder / file
        return np.asarray(benchmark.load_initial_states(path), np.float64)


def simulation_modules() -> ModuleType:
    """Import robosuite and LIBERO's environments; returns ``libero.libero.envs``."""
    if "robosuite" not in sys.modules:
        _import_robosuite_quietly()
    logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
    with quiet():
        from libero.libero import envs

        return envs


def control_functions() -> ModuleType:
    """``robosuite.utils.control_utils``: the mathematics of its controllers, compiled by numba."""
    simulation_modules()
    return importlib.import_module("robosuite.utils.control_utils")


def _import_robosuite_quietly() -> None:
    """Import robosuite with its log file switched off.

    Its logger is built while the package is imported, from constants in ``robosuite.macros``; so
    that one module is loaded by itself and amended first.
    """
    package = importlib.util.find_spec("robosuite")
    if package is None or not package.submodule_search_locations:
        raise ImportError("robosuite is not installed; run make setup")
    file = Path(package.submodule_search_locations[0]) / "macros.py"
    spec = importlib.util.spec_from_file_location("robosuite.macros", file)
    assert spec is not None and spec.loader is not None
    macros = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(macros)
    macros.FILE_LOGGING_LEVEL = None  # type: ignore[attr-defined]
    sys.modules["robosuite.macros"] = macros
    # Without a private macros file robosuite warns on every import that there is none.
    sys.modules["robosuite.macros_private"] = ModuleType("robosuite.macros_private")
    import robosuite

    robosuite.macros = macros
