"""What LIBERO offers to policies: its action space, readings, renderings and staged facts."""

from __future__ import annotations

from wambench.contract import ActionSpec, ProprioField

# robosuite's OSC_POSE: a step of 1.0 moves the goal by 5 cm or 0.5 rad in the world frame, and
# PandaGripper opens on -1 and closes on +1.
OSC_POSE = ActionSpec(
    dim=7,
    frame="world",
    mode="delta",
    translation_unit_m=0.05,
    rotation="axis_angle",
    rotation_unit_rad=0.5,
    gripper="negative_opens",
    low=-1.0,
    high=1.0,
)

PROPRIO = {
    "eef_pos": ProprioField(dim=3, unit="m", about="grip site in the world frame"),
    "eef_quat": ProprioField(dim=4, unit="1", about="hand body, x y z w"),
    "eef_axis_angle": ProprioField(dim=3, unit="rad", about="hand body, not flipped to w >= 0"),
    "gripper_qpos": ProprioField(dim=2, unit="m", about="two finger joints"),
    "joint_pos": ProprioField(dim=7, unit="rad", about="arm joints"),
}

RENDERINGS = {
    "exact": "LIBERO's own pixels",
    "lean": "no anti-aliasing, no reflections: faster, edges differ",
    "coarse": "as lean, details below 4 mm merged: fastest, for frames of 128 x 128 and less",
}

# What only policies that fail on purpose ask for; tasks/libero/staging.py answers.
STAGED = {
    "decoy_action": 7,  # what the expert would do if the task were about the bystander
    "bystander": 3,  # origin of the uninvolved object that is farthest from the subject, m, world
    "subject": 3,  # origin of the object to be moved, m, world
    "carried": 1,  # 1 while it touches the fingers and nothing else
    "goal_gap": 1,  # how far it is from where the goal would accept it, m
    "free_spot": 3,  # room to put it down, well away from where it belongs, m, world
    "beside_goal": 3,  # just outside of where the goal would accept it, m, world
}
