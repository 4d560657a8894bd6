"""MetaWorld's 50 tasks: in which suite, and what the robot is told.

The four groups are lerobot's (``DIFFICULTY_TO_TASKS`` in src/lerobot/envs/metaworld.py, lerobot
0492c2d), whose mean is the average that is published, with tasks in its order. Upstream has no
instructions. The sentences are our own, so that no two tasks share one: lerobot tells push and
push-back the same.
"""

from __future__ import annotations

from collections.abc import Mapping

EASY = {
    "button-press-v3": "push the button in",
    "button-press-topdown-v3": "push the button down",
    "button-press-topdown-wall-v3": "reach over the wall and push the button down",
    "button-press-wall-v3": "reach round the wall and push the button in",
    "coffee-button-v3": "press the button of the coffee machine",
    "dial-turn-v3": "turn the dial by half a turn",
    "door-close-v3": "close the door",
    "door-lock-v3": "lock the door by turning its knob down",
    "door-open-v3": "open the door",
    "door-unlock-v3": "unlock the door by turning its knob to the right",
    "drawer-close-v3": "close the drawer",
    "drawer-open-v3": "open the drawer",
    "faucet-close-v3": "turn the faucet off",
    "faucet-open-v3": "turn the faucet on",
    "handle-press-v3": "press the handle in front of the robot down",
    "handle-press-side-v3": "press the handle at the side down",
    "handle-pull-v3": "pull the handle in front of the robot up",
    "handle-pull-side-v3": "pull the handle at the side up",
    "lever-pull-v3": "lift the lever until it stands up",
    "plate-slide-v3": "slide the plate forwards into the cabinet",
    "plate-slide-back-v3": "slide the plate back out of the cabinet",
    "plate-slide-back-side-v3": "slide the plate out of the cabinet to the side",
    "plate-slide-side-v3": "slide the plate sideways into the cabinet",
    "reach-v3": "move the gripper to the red mark",
    "reach-wall-v3": "move the gripper past the wall to the red mark",
    "window-close-v3": "slide the window shut",
    "window-open-v3": "slide the window open",
    "peg-unplug-side-v3": "pull the peg out of its socket",
}
MEDIUM = {
    "basketball-v3": "put the ball through the basketball hoop",
    "bin-picking-v3": "move the block from one bin to the other",
    "box-close-v3": "put the lid on the box",
    "coffee-pull-v3": "pull the mug away from the coffee machine",
    "coffee-push-v3": "push the mug under the coffee machine",
    "hammer-v3": "drive the nail in with the hammer",
    "peg-insert-side-v3": "insert the peg into the hole from the side",
    "push-wall-v3": "push the puck around the wall to the green mark",
    "soccer-v3": "push the football into the goal",
    "sweep-v3": "sweep the block off the table",
    "sweep-into-v3": "sweep the block into the hole of the table",
}
HARD = {
    "assembly-v3": "put the ring over the peg",
    "hand-insert-v3": "put the block into the hole and the gripper with it",
    "pick-out-of-hole-v3": "lift the puck out of the hole to the mark",
    "pick-place-v3": "lift the puck to the blue mark",
    "push-v3": "push the puck forwards to the green mark",
    "push-back-v3": "push the puck back towards the robot to the green mark",
}
VERY_HARD = {
    "shelf-place-v3": "put the block on the shelf",
    "disassemble-v3": "take the ring off the peg",
    "stick-pull-v3": "pull the flask with the stick",
    "stick-push-v3": "push the flask with the stick",
    "pick-place-wall-v3": "lift the puck over the wall to the blue mark",
}
SUITES: Mapping[str, Mapping[str, str]] = {
    "metaworld_easy": EASY,
    "metaworld_medium": MEDIUM,
    "metaworld_hard": HARD,
    "metaworld_very_hard": VERY_HARD,
}
"""Suite -> task -> instruction."""
NAMES = tuple(name for tasks in SUITES.values() for name in tasks)
