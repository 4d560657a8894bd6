"""Pictures of MuJoCo scenes, for every simulator here: which OpenGL, and how to draw with it.

Choosing an OpenGL implementation must come before MuJoCo is imported, so only that is imported
here; ``tasks.gl.canvas`` draws.
"""

from tasks.gl.backend import BACKENDS, available, checks, enable

__all__ = ["BACKENDS", "available", "checks", "enable"]
