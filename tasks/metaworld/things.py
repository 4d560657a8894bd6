"""What each task wants moved, where it belongs, and how near upstream's judgement wants it there.

Names are of bodies that stand on the world: ``subject`` is moved as a whole if it is loose, else
its one moving part is (a door's leaf, a button). ``accepts`` bounds upstream's measure of what is
lacking (``obj_to_target``, in metres; see ``facts.py`` for the six tasks that report none): read
in the environments of metaworld 3.1.1, where success is that the measure is not larger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

MARK = "goal"  # in place of a body: the place that a mark shows


@dataclass(frozen=True)
class Thing:
    """What one task is about. ``place`` is empty where only the subject's own state counts."""

    subject: str
    place: str
    accepts: float


THINGS: Mapping[str, Thing] = {
    "assembly-v3": Thing("RoundNut", "peg", 0.0),
    "basketball-v3": Thing("bsktball", "basket_goal", 0.08),
    "bin-picking-v3": Thing("obj", "bin_goal", 0.05),
    "box-close-v3": Thing("boxbodytop", "boxbody", 0.08),
    "button-press-topdown-v3": Thing("box", "", 0.024),
    "button-press-topdown-wall-v3": Thing("box", "", 0.024),
    "button-press-v3": Thing("box", "", 0.02),
    "button-press-wall-v3": Thing("box", "", 0.03),
    "coffee-button-v3": Thing("coffee_machine", "", 0.02),
    "coffee-pull-v3": Thing("obj", MARK, 0.07),
    "coffee-push-v3": Thing("obj", MARK, 0.07),
    "dial-turn-v3": Thing("dial", "", 0.07),
    "disassemble-v3": Thing("RoundNut", "", 0.0),
    "door-close-v3": Thing("door", "", 0.08),
    "door-lock-v3": Thing("door", "", 0.02),
    "door-open-v3": Thing("door", "", 0.08),
    "door-unlock-v3": Thing("door", "", 0.02),
    "drawer-close-v3": Thing("drawer", "", 0.065),
    "drawer-open-v3": Thing("drawer", "", 0.03),
    "faucet-close-v3": Thing("faucetBase", "", 0.07),
    "faucet-open-v3": Thing("faucetBase", "", 0.07),
    "hammer-v3": Thing("box", "", 0.0),
    "hand-insert-v3": Thing("obj", MARK, 0.05),
    "handle-press-side-v3": Thing("box", "", 0.02),
    "handle-press-v3": Thing("box", "", 0.02),
    "handle-pull-side-v3": Thing("box", "", 0.08),
    "handle-pull-v3": Thing("box", "", 0.05),
    "lever-pull-v3": Thing("lever", "", np.pi / 24),  # rad
    "peg-insert-side-v3": Thing("peg", "box", 0.07),
    "peg-unplug-side-v3": Thing("plug1", MARK, 0.07),
    "pick-out-of-hole-v3": Thing("obj", MARK, 0.07),
    "pick-place-v3": Thing("obj", MARK, 0.07),
    "pick-place-wall-v3": Thing("obj", MARK, 0.07),
    "plate-slide-back-side-v3": Thing("puck_channel", MARK, 0.07),
    "plate-slide-back-v3": Thing("puck_channel", MARK, 0.07),
    "plate-slide-side-v3": Thing("puck_channel", "puck_goal", 0.07),
    "plate-slide-v3": Thing("puck_channel", "puck_goal", 0.07),
    "push-back-v3": Thing("obj", MARK, 0.07),
    "push-v3": Thing("obj", MARK, 0.05),
    "push-wall-v3": Thing("obj", MARK, 0.07),
    "reach-v3": Thing(MARK, MARK, 0.05),
    "reach-wall-v3": Thing(MARK, MARK, 0.05),
    "shelf-place-v3": Thing("obj", "shelf", 0.07),
    "soccer-v3": Thing("soccer_ball", "goal_whole", 0.07),
    "stick-pull-v3": Thing("object", MARK, 0.12),
    "stick-push-v3": Thing("object", MARK, 0.12),
    "sweep-into-v3": Thing("obj", MARK, 0.05),
    "sweep-v3": Thing("obj", MARK, 0.05),
    "window-close-v3": Thing("window", "", 0.05),
    "window-open-v3": Thing("window", "", 0.05),
}
