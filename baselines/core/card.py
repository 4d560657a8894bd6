"""What there is to know of a learned policy before it is built, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from baselines.core.options import RunOptions
from baselines.core.robots import Robot, resized
from wambench import UserError
from wambench.inference import Variant

PAPER_PICTURE = (320, 640)
"""Height and width of all cameras at which ImageWAM's table of costs is met within 0.5 %.

No released configuration has this size; it was found by fitting FastWAM-IDM's 63.65, its one-step
variant's 13.21 and ImageWAM's 9.72 TFLOPs.
"""


@dataclass(frozen=True)
class Card:
    """What a listing says about a policy, as data.

    Attributes:
        package: import path of the family, whose source counts as part of the policy.
        architecture: pydantic configuration with ``horizon``, ``action_dim``, ``text_length``.
        parameters: component -> number of parameters (a test compares them with the built model).
        replan_steps: actions the released evaluation executes of each chunk.
        variants: geometry -> how the policy is had under it.
    """

    name: str
    about: str
    paradigm: str
    package: str
    robot: Robot
    architecture: Any
    parameters: Mapping[str, int]
    replan_steps: int
    variants: Mapping[str, Variant] = field(default_factory=dict)


def changed(card: Card, options: RunOptions) -> Card:
    """The card with the sizes that the options ask for; itself if they ask for none.

    Raises:
        UserError: a size that the architecture cannot have.
    """
    asked = {name: getattr(options, name) for name in options.SIZES}
    asked = {name: value for name, value in asked.items() if value is not None}
    if not asked:
        return card
    sizes = {options.SIZES[name]: value for name, value in asked.items()}
    old = card.architecture
    try:
        new = type(old).model_validate({**old.model_dump(), **sizes})
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        given = ", ".join(f"{name} {value}" for name, value in asked.items())
        raise UserError(
            f"policy {card.name!r} cannot have {given}: {problem}; choose another value"
        ) from None
    robot = resized(card.robot, asked["picture"]) if "picture" in asked else card.robot
    return dataclasses.replace(card, architecture=new, robot=robot)


def wam_variants(name: str, robotwin: Variant) -> Mapping[str, Variant]:
    """Geometries of a world-action model, given its sibling on RoboTwin (which may be itself)."""
    if name == robotwin.policy:
        return {"robotwin": robotwin}
    paper = Variant(policy=name, options={"picture": PAPER_PICTURE})
    return {"libero": Variant(policy=name), "robotwin": robotwin, "paper": paper}
