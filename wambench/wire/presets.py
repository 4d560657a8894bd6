"""What the names on a wire mean, as data: no protocol says it of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wambench.contract import ActionSpec, Frozen, Orientation, PolicySpec
from wambench.profile.acting import ANY_ACTION


class WirePreset(Frozen):
    """How an embodiment's observations and actions travel.

    Attributes:
        images: camera -> key of its picture, uint8 [H, W, 3].
        orientation: of the pictures.
        state_key: key of one vector of floats, of which ``state`` says the parts.
        state: (proprioception, dimensions) in the vector's order.
        prompt: key of the instruction.
        action: of every row of a chunk.
    """

    images: Mapping[str, str]
    orientation: Orientation
    state_key: str
    state: tuple[tuple[str, int], ...]
    prompt: str
    action: ActionSpec

    def problems(self, policy: PolicySpec) -> Sequence[str]:
        """Every way in which a policy cannot be served so."""
        found = [f"needs camera {name!r}" for name in policy.cameras if name not in self.images]
        parts = dict(self.state)
        found += [f"needs {name!r}" for name in policy.proprio if name not in parts]
        found += [f"needs to be told {name!r}" for name in policy.moved_by]
        if policy.cameras and policy.orientation not in (None, self.orientation):
            found.append(f"needs {policy.orientation} pictures, {self.orientation} are sent")
        for field in type(self.action).model_fields if policy.action else ():
            ours, sent = getattr(policy.action, field), getattr(self.action, field)
            if ours != sent:
                found.append(f"acts with {field}={ours!r}, clients expect {sent!r}")
        return found


# openpi's LIBERO loop: robosuite's picture turned by 180 degrees, axis-angle not flipped to w >= 0.
OPENPI_PANDA = WirePreset(
    images={"agentview": "observation/image", "wrist": "observation/wrist_image"},
    orientation="rotated_180",
    state_key="observation/state",
    state=(("eef_pos", 3), ("eef_axis_angle", 3), ("gripper_qpos", 2)),
    prompt="prompt",
    action=ANY_ACTION,
)

# vla-eval's LIBERO, asked for the same axis-angle; its pictures lie in a map of their own.
VLA_EVAL_PANDA = OPENPI_PANDA.model_copy(
    update={
        "images": {"agentview": "images/agentview", "wrist": "images/wrist"},
        "state_key": "states",
        "prompt": "task_description",
    }
)

# starVLA's LIBERO: pictures by position; the server turns the gripper into what clients expect.
STARVLA_PANDA = OPENPI_PANDA.model_copy(
    update={
        "images": {"agentview": "image/0", "wrist": "image/1"},
        "state_key": "state",
        "prompt": "lang",
    }
)

# GR00T's LIBERO: the state is sent in parts, roll, pitch and yaw being the axis-angle's numbers.
GR00T_PANDA = OPENPI_PANDA.model_copy(
    update={
        "images": {"agentview": "image", "wrist": "wrist_image"},
        "state_key": "state",
        "prompt": "annotation.human.action.task_description",
    }
)
