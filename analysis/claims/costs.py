"""FLOPs of conditions: which picture, how many steps, what is counted and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, get_args

from pydantic import Field

from wambench.contract import Frozen

ClosedForm = Callable[[str, Mapping[str, Any]], Mapping[Any, int]]
"""(policy, options) -> FLOPs per stage; :func:`wambench.profile.flops.closed_form` is one."""

Scope = Literal["everything", "without text", "without text and decode"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
LEFT_OUT: Mapping[Scope, tuple[str, ...]] = {
    "everything": (),
    "without text": ("text",),
    "without text and decode": ("text", "decode"),
}
TERA = 1e12
ANCHORS = 3  # picture areas that give a polynomial of second degree


class Reading(Frozen):
    """The policy of ours that a published row is taken for."""

    policy: str
    options: Mapping[str, Any] = {}
    mode: str | None = Field(default=None, description="eager, compiled or graph; None: eager")
    lacks: tuple[str, ...] = Field(
        default=(), description="parts of a condition that mean nothing to this policy"
    )


@dataclass(frozen=True)
class Condition:
    """Under which a policy is counted; None leaves a choice as the policy has it.

    Attributes:
        picture: height and width in pixels of all cameras together.
        steps: of the action's flow (where video and action share it, of both).
        video_frames: of the clip that a video model imagines.
    """

    picture: tuple[int, int] | None = None
    preset: str | None = None
    steps: int | None = None
    video_frames: int | None = None
    text_length: int | None = None

    def options(self, lacking: tuple[str, ...] = ()) -> dict[str, Any]:
        """As options of a policy, but for those it lacks."""
        chosen = vars(self).items()
        return {name: value for name, value in chosen if value is not None and name not in lacking}

    def __str__(self) -> str:
        parts = []
        if self.picture:
            parts.append(picture_name(self.picture))
        if self.steps:
            parts.append(f"{self.steps} steps")
        if self.video_frames:
            parts.append(f"{self.video_frames} video frames")
        if self.text_length:
            parts.append(f"text of {self.text_length} tokens")
        if self.preset:
            parts.append(self.preset)
        return ", ".join(parts) or "as released"


def picture_name(picture: tuple[int, int]) -> str:
    """Height and width as people write them."""
    return f"{picture[0]}x{picture[1]} px"


@dataclass
class Costs:
    """Closed forms, each asked for once.

    FLOPs of every stage are a polynomial of second degree in the number of pixels: convolutions and
    products are linear in it, attention is quadratic. Asking a policy takes as long as building it
    on meta, so further picture areas are read off the polynomial through the first three. Whether
    it is one is tested on a fourth area, once for each policy; one that fails is always asked.
    """

    closed_form: ClosedForm
    asked: int = 0
    _known: dict[str, dict[int, Mapping[Any, int]]] = field(default_factory=dict)
    _read_off: dict[tuple[str, int], Mapping[Any, int]] = field(default_factory=dict)
    _is_polynomial: dict[str, bool] = field(default_factory=dict)

    def stages(
        self, reading: Reading, condition: Condition, *, exactly: bool = False
    ) -> Mapping[Any, int]:
        """FLOPs per stage; the reading's own options win over the condition's.

        Args:
            reading: the policy.
            condition: what else it is asked for.
            exactly: ask the policy even where the polynomial is known.
        """
        chosen = condition.options(reading.lacks) | dict(reading.options)
        picture = chosen.pop("picture", None)
        name = f"{reading.policy} {sorted(chosen.items())}"
        known = self._known.setdefault(name, {})
        area = picture[0] * picture[1] if picture else 0
        if area in known:
            return known[area]
        if picture and not exactly and self._is_polynomial.get(reading.policy):
            if (name, area) in self._read_off:
                return self._read_off[name, area]
            if len(anchors := _anchors(known)) == ANCHORS:
                self._read_off[name, area] = _read_off(area, anchors, known)
                return self._read_off[name, area]
        self.asked += 1
        known[area] = self.closed_form(
            reading.policy, chosen | ({"picture": picture} if picture else {})
        )
        if reading.policy not in self._is_polynomial and len(_anchors(known)) == ANCHORS:
            others = [size for size in known if size and size not in _anchors(known)]
            if others:
                read_off = _read_off(others[0], _anchors(known), known)
                self._is_polynomial[reading.policy] = read_off == dict(known[others[0]])
        return known[area]

    def flops(
        self, reading: Reading, condition: Condition, scope: Scope, *, exactly: bool = False
    ) -> int:
        """FLOPs of one inference."""
        stages = self.stages(reading, condition, exactly=exactly)
        return sum(flops for stage, flops in stages.items() if stage not in LEFT_OUT[scope])


def _anchors(known: Mapping[int, Mapping[Any, int]]) -> list[int]:
    """The areas that a polynomial goes through: the first that were asked for."""
    return [area for area in known if area][:ANCHORS]


def _read_off(
    area: int, anchors: Sequence[int], known: Mapping[int, Mapping[Any, int]]
) -> Mapping[Any, int]:
    """FLOPs per stage off the polynomials through the anchors."""
    return {
        stage: round(_at(area, anchors, [known[size].get(stage, 0) for size in anchors]))
        for stage in known[anchors[0]]
    }


def _at(x: int, xs: Sequence[int], ys: Sequence[int]) -> Fraction:
    """The polynomial through some points, at ``x`` (Lagrange), without rounding."""
    total = Fraction(0)
    for i, y in enumerate(ys):
        term = Fraction(y)
        for j, other in enumerate(xs):
            if j != i:
                term *= Fraction(x - other, xs[i] - other)
        total += term
    return total
