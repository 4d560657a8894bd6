"""Draw one small MuJoCo frame with the OpenGL backend named on the command line."""

from __future__ import annotations

import hashlib
import sys

from tasks import gl

SCENE = """<mujoco><worldbody><light pos="0 0 3"/>
<camera name="c" pos="0 -1 .5" xyaxes="1 0 0 0 .4 1"/>
<geom type="plane" size="1 1 .1" rgba=".2 .4 .6 1"/><geom type="sphere" size=".2" rgba="1 .5 0 1"/>
</worldbody></mujoco>"""
SIZE = (64, 64)


def main(backend: str) -> None:
    """Draw and describe; raises if the frame is blank, as it is under a broken context."""
    gl.enable(backend)
    import mujoco

    from tasks.gl.canvas import Canvas, Quality

    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    canvas = Canvas(model, Quality(), mujoco.MjvOption(), SIZE)
    frame = canvas.draw(data, model.camera("c").id, SIZE)
    if frame.std() < 1:
        raise SystemExit("the frame is blank")
    print(f"{canvas.renderer}, frame {hashlib.md5(frame.tobytes()).hexdigest()[:8]}")
    canvas.free()


if __name__ == "__main__":
    main(sys.argv[1])
