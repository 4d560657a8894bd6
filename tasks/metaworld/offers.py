"""What MetaWorld offers to policies: its action space, readings, cameras and renderings."""

from __future__ import annotations

from wambench.contract import ActionSpec, ProprioField

# SawyerXYZEnv: 1.0 moves the target that the hand follows by 1 cm, within a box of each task; the
# hand lags behind it and never turns. The last number is the fingers' effort: -1 opens, +1
# closes, 0 lets them be.
XYZ_GRIPPER = ActionSpec(
    dim=4,
    frame="world",
    mode="delta",
    translation_unit_m=0.01,
    rotation="none",
    rotation_unit_rad=0.0,
    gripper="negative_opens",
    low=-1.0,
    high=1.0,
)

PROPRIO = {
    "hand": ProprioField(
        dim=4,
        unit="m m m 1",
        about="hand in the world frame, then how far the fingers are apart, 1: 10 cm or more",
    )
}

CAMERAS = {
    "corner4": "corner4",
    "corner2": "corner2",
    "behind": "behindGripper",
    "wrist": "gripperPOV",
}
"""Our name -> upstream's. Its corner4 is where lerobot and others move corner2 to."""

UPSIDE_DOWN = ("corner4", "corner2")
"""Cameras that hang head down in the scene; upright is their picture turned by 180 degrees."""

RENDERINGS = {
    "exact": "MetaWorld's own pixels",
    "lean": "no shadows, no anti-aliasing, no reflections: several times faster, looks different",
    "coarse": "as lean, details below 4 mm merged: fastest, for frames of 128 x 128 and less",
}
