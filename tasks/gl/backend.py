"""Choose an OpenGL implementation for MuJoCo before it is imported; no root and no GPU needed.

Three backends draw: ``pip`` (OSMesa inside the ``lavavu-osmesa`` wheel), ``osmesa``
(Debian's libosmesa6) and ``egl`` (Debian's libegl1, or a GPU's driver). The software ones give the
same pixels. ``WAMBENCH_GL`` picks one; the default is the first of pip, osmesa, egl that is there.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from wambench.suite import Check

BACKENDS = ("pip", "osmesa", "egl")
REMEDY = {
    "pip": "pip install --no-deps lavavu-osmesa",
    "osmesa": "apt-get install libosmesa6",
    "egl": "apt-get install libegl1 libgl1",
}


def available() -> list[str]:
    """Backends whose libraries are installed, best first."""
    found = []
    if _wheel_libraries() is not None:
        found.append("pip")
    if ctypes.util.find_library("OSMesa"):
        found.append("osmesa")
    if ctypes.util.find_library("EGL"):
        found.append("egl")
    return found


def enable(backend: str | None = None) -> str:
    """Make ``backend`` (default: ``WAMBENCH_GL``, else the first available) MuJoCo's OpenGL.

    Must run before anything imports ``mujoco``. Returns the backend's name; raises OSError with
    the remedy when there is none.
    """
    # One process draws on one core: more llvmpipe threads only fight the other workers.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    backend = backend or os.environ.get("WAMBENCH_GL") or next(iter(available()), None)
    if backend is None:
        raise OSError(f"no OpenGL library for rendering; {REMEDY['pip']}")
    if backend not in BACKENDS:
        raise OSError(f"WAMBENCH_GL={backend!r} is unknown; use one of {', '.join(BACKENDS)}")
    if backend not in available():
        raise OSError(f"OpenGL backend {backend!r} is not installed; {REMEDY[backend]}")
    if backend == "pip":
        _load_wheel()
    platform = "egl" if backend == "egl" else "osmesa"
    os.environ["MUJOCO_GL"] = os.environ["PYOPENGL_PLATFORM"] = platform
    return backend


def checks() -> list[Check]:
    """Draw a frame with each backend in a process of its own (a process can load only one)."""
    chosen = next(iter(available()), None)
    results = []
    for backend in BACKENDS:
        name, remedy = f"OpenGL {backend}", REMEDY[backend]
        if backend not in available():
            required = chosen is None and backend == "pip"
            results.append(Check(name, False, "not installed", remedy, required))
            continue
        run = subprocess.run(
            [sys.executable, "-m", "tasks.gl.probe", backend],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        lines = (run.stdout if run.returncode == 0 else run.stderr).strip().splitlines()
        detail = lines[-1] if lines else f"exit code {run.returncode}"
        results.append(Check(name, run.returncode == 0, detail, remedy, backend == chosen))
    return results


def _wheel_libraries() -> Path | None:
    spec = importlib.util.find_spec("lavavu")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent.parent / "lavavu_osmesa.libs"
    return folder if any(folder.glob("libOSMesa-*.so*")) else None


def _load_wheel() -> None:
    """Load the wheel's OSMesa and make PyOpenGL take it for the system's.

    The wheel's libraries carry mangled names and depend on each other, so they are loaded in
    whatever order resolves; PyOpenGL looks for "OSMesa" by name, so its loader is answered with
    the loaded file during its import only.
    """
    folder = _wheel_libraries()
    assert folder is not None
    mesa = next(folder.glob("libOSMesa-*.so*"))
    waiting = [p for p in folder.glob("*.so*") if p != mesa and not p.is_symlink()]
    while waiting:
        failed = []
        for path in waiting:
            try:
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            except OSError:
                failed.append(path)
        if len(failed) == len(waiting):
            raise OSError(f"cannot load {failed[0].name}; {REMEDY['pip']} --force-reinstall")
        waiting = failed
    ctypes.CDLL(str(mesa), mode=ctypes.RTLD_GLOBAL)

    loader: Any = ctypes.cdll
    original = loader._dlltype

    def load(name: str | None, mode: int = ctypes.DEFAULT_MODE, **_: object) -> ctypes.CDLL:
        return ctypes.CDLL(str(mesa) if "OSMesa" in str(name) else name, mode)

    os.environ["PYOPENGL_PLATFORM"] = "osmesa"
    loader._dlltype = load
    try:
        import OpenGL.osmesa
        import OpenGL.platform  # noqa: F401  (resolves its GL library here)
    finally:
        loader._dlltype = original
