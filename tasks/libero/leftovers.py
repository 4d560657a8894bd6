"""Give back what MuJoCo keeps of a scene once it is compiled: 0.8 GB of meshes and textures.

It keeps the parsed scene, in case somebody wants to save it as XML, and the processed assets, in
case somebody compiles them again. Neither is part of the model.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import mujoco

CACHE_BYTES = 500 * 2**20  # what MuJoCo 3.3 allows its cache


@functools.cache
def library() -> ctypes.CDLL:
    """The MuJoCo library that Python's ``mujoco`` has loaded."""
    return ctypes.CDLL(str(next(Path(mujoco.__file__).parent.glob("libmujoco.so.*"))))


def keep_assets(keep: bool) -> None:
    """Whether scenes compiled from now on leave meshes and textures for the next ones.

    With them a scene compiles in 0.5 s instead of 2 s. ``False`` may be said only before anybody in
    this process has compiled a scene: to shrink a cache that is in use crashes or hangs MuJoCo
    3.3.2. ``True`` may be said at any time.
    """
    known = library()
    # Exported by the library, but in no header: a MuJoCo without them only keeps more memory.
    if hasattr(known, "mj_globalCache") and hasattr(known, "mj_setCacheSize"):
        known.mj_globalCache.restype = ctypes.c_void_p
        known.mj_setCacheSize.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        known.mj_setCacheSize(known.mj_globalCache(), CACHE_BYTES if keep else 0)


def forget_scene() -> None:
    """Drop the scene that was parsed last; what the process has freed goes back to the system."""
    library().mj_freeLastXML()
    process = ctypes.CDLL(None)
    if hasattr(process, "malloc_trim"):  # of glibc alone
        process.malloc_trim(0)
