"""What the name of a LIBERO-Plus task says: its base task, what is perturbed, and how much."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from tasks.libero.plus import wheel
from wambench.errors import UserError

AXES = ("camera", "robot", "language", "light", "background", "noise", "layout")
NOISES = ("motion blur", "gaussian blur", "zoom blur", "fog", "glass blur")  # ten severities each
STARTS_PER_BAND, BAND = 100, 0.1  # start poses are 0.1 rad from the nominal one, then 0.2, …
# Its sentence is not one: the text generator's preamble was kept. It is run as it was released.
BROKEN = (
    "LIVING_ROOM_SCENE1_put_both_the_alphabet_soup_and_the_cream_cheese_box_in_the_basket"
    "_language_36_view_0_0_100_0_0_initstate_0"
)

SUFFIX = re.compile(
    r"(?:_language_(?P<language>\d+))?"
    r"(?:"
    r"_view_(?P<view>\d+_\d+_\d+_\d+_\d+)_initstate_(?P<start>\d+)(?:_noise_(?P<noise>\d+))?"
    r"|_light_(?P<light>\d+)"
    r"|_(?P<surface>table|tb)_\d+"
    r"|_(?P<added>add)_\d+"
    r"|(?:_moved)?_level(?P<level>\d)_sample\d+"
    r")$"
)


@dataclass(frozen=True)
class View:
    """How the agentview camera is moved, in whole degrees and percent.

    Attributes:
        azimuth: about the vertical axis, elevation: upwards; both about a fixed point.
        distance: from that point, in percent of what it was.
        turn: about the vertical axis, tilt: upwards; both in place.
    """

    azimuth: int = 0
    elevation: int = 0
    distance: int = 100
    turn: int = 0
    tilt: int = 0


@dataclass(frozen=True)
class Variant:
    """One official task.

    Attributes:
        name: upstream's; base: the name of LIBERO's task.
        kind, magnitude, unit: see :class:`wambench.Factors`.
        view: of the agentview camera.
        start: the number of the robot's start pose; 0 is the nominal one.
        noise: 1 to 50, the corruption of the agentview picture; 0 is none.
        own_goals: whether it brings a BDDL that describes another scene than its base task's.
        own_state: whether it brings an initial state.
        added: whether it has objects that LIBERO lacks.
    """

    name: str
    base: str
    axis: str
    kind: str = ""
    magnitude: float | None = None
    unit: str = ""
    view: View = View()
    start: int = 0
    noise: int = 0
    own_goals: bool = False
    own_state: bool = False
    added: bool = False

    @property
    def goals(self) -> str:
        """The name of its BDDL in the wheel."""
        return re.sub(r"_view_.*", "", self.name)

    @property
    def as_released(self) -> str:
        """What upstream tells the robot: the file's name, except on the language axis."""
        return re.sub(r"^[A-Z_]*SCENE\d+_", "", self.name).replace("_", " ")


@functools.cache
def variants(suite: str) -> tuple[Variant, ...]:
    """The official tasks of ``libero_spatial``, …, in the official order."""
    return tuple(parse(name) for name in wheel.task_names()[suite])


def parse(name: str) -> Variant:
    """Read a task's name; raises UserError for one that is none."""
    found = SUFFIX.search(name)
    if found is None:
        raise UserError(f"{name!r} is not the name of a LIBERO-Plus task; {wheel.REMEDY}")
    base, part = name[: found.start()], found.groupdict()
    if part["light"]:
        return Variant(name, base, "light", own_goals=True)
    if part["surface"]:
        kind = "one surface" if part["surface"] == "table" else "two surfaces"
        return Variant(name, base, "background", kind, own_goals=True)
    if part["added"]:
        return Variant(
            name, base, "layout", "added objects", None, "objects",
            own_goals=True, own_state=True, added=True,
        )  # fmt: skip
    if part["level"]:
        return Variant(
            name, base, "layout", "moved objects", float(part["level"]), "level",
            own_goals=True, own_state=True,
        )  # fmt: skip
    view = View(*map(int, part["view"].split("_")))
    start, noise = int(part["start"]), int(part["noise"] or 0)
    if part["language"]:
        return Variant(name, base, "language", "broken sentence" if name == BROKEN else "")
    if noise:
        kind, severity = NOISES[(noise - 1) // 10], (noise - 1) % 10 + 1
        return Variant(name, base, "noise", kind, float(severity), "severity", noise=noise)
    if start:
        band = round(((start - 1) // STARTS_PER_BAND + 1) * BAND, 1)
        return Variant(name, base, "robot", "", band, "rad", start=start)
    return Variant(name, base, "camera", *_moved(view), view=view)


def _moved(view: View) -> tuple[str, float, str]:
    """Kind, magnitude and unit of a viewpoint; upstream changes one thing at a time."""
    azimuth, turn, tilt = (abs(_signed(d)) for d in (view.azimuth, view.turn, view.tilt))
    if view.distance != 100:
        return "distance", view.distance / 100, "times as far"
    if turn or tilt:
        return "turn", float(max(turn, tilt)), "degrees"
    return "azimuth and elevation" if view.elevation else "azimuth", float(azimuth), "degrees"


def _signed(degrees: int) -> int:
    """An angle of 0 to 359 degrees as one of -180 to 179."""
    return (degrees + 180) % 360 - 180
