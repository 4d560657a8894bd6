"""Draw one small MuJoCo frame with the OpenGL backend named on the command line."""

from __future__ import annotations

import hashlib
import sys

from tasks.libero import gl

SCENE = """<mujoco><worldbody><light pos="0 0 3"/>
<camera name="c" pos="0 -1 .5" xyaxes="1 0 0 0 .4 1"/>
<geom type="plane" size="1 1 .1" rgba=".2 .4 .6 1"/><geom type="sphere" size=".2" rgba="1 .5 0 1"/>
</worldbody></mujoco>"""


def main(backend: str) -> None:
    """Draw and describe; raises if the frame is blank, as it is under a broken context."""
    gl.enable(backend)
    import mujoco

    from tasks.libero.camera import FrameDrawer

    drawer = FrameDrawer(mujoco.MjModel.from_xml_string(SCENE), "exact", visual_group=0)
    frame = drawer.draw([], [], ["c"], (64, 64))["c"]
    if frame.std() < 1:
        raise SystemExit("the frame is blank")
    print(f"{drawer.renderer}, frame {hashlib.md5(frame.tobytes()).hexdigest()[:8]}")
    drawer.close()


if __name__ == "__main__":
    main(sys.argv[1])
