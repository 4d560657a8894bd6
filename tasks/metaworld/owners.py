"""Whose each body of a scene is: an object, furniture, its moving part, the robot or the scene."""

from __future__ import annotations

import mujoco

from wambench.facts import ARM, FINGERS, HAND, SCENE

ROBOT = "base"  # the body that the arm stands on
PARTS = {"hand": HAND, "rightclaw": FINGERS, "leftclaw": FINGERS}  # innermost first counts
STILL = ("tablelink", "RetainingWall", "mocap", "")  # on the world and nobody's; others are named
FREE = mujoco.mjtJoint.mjJNT_FREE


def owners(model: mujoco.MjModel) -> list[str]:
    """Name of each body's owner.

    A loose object or a piece of furniture is called as its body on the world is, a part that one
    joint moves as the part's body or, if that has no name, as its joint.
    """
    out: list[str] = []
    for body in range(model.nbody):
        name = model.body(body).name
        parent = int(model.body_parentid[body])
        if body == 0 or (parent == 0 and name in STILL):
            out.append(SCENE)
        elif parent == 0:
            out.append(ARM if name == ROBOT else name)
        else:
            out.append(PARTS.get(name, out[parent]))
            if (
                moves(model, body)
                and out[parent] not in (ARM, HAND, FINGERS)
                and not loose(model, body)
            ):
                out[body] = name or model.joint(int(model.body_jntadr[body])).name
    return out


def moves(model: mujoco.MjModel, body: int) -> bool:
    """Whether a body has joints of its own."""
    return bool(model.body_jntnum[body])


def loose(model: mujoco.MjModel, body: int) -> bool:
    """Whether a body goes anywhere (a free joint) or anywhere on the table (two slides)."""
    first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
    return count == 2 or (count == 1 and model.jnt_type[first] == FREE)


def mover(model: mujoco.MjModel, root: str) -> int:
    """The first body with joints that is ``root``, on the world, or attached to it."""
    start = int(model.body(root).id)
    for body in range(start, model.nbody):
        if model.body_rootid[body] == start and moves(model, body):
            return body
    raise LookupError(f"nothing of {root!r} moves")
