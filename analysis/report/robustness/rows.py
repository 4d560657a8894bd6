"""Rows of the tables of what perturbations cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.pairing import Comparison
from analysis.statistics import Drop, DropDifference, Verdict

ALL = "all"
"""In the place of an axis: all of them together."""
FEW_PAIRS = 60  # rows of a table that someone still reads


@dataclass(frozen=True)
class DropRow:
    """A policy on one axis; rates are 0 to 1.

    Attributes:
        found: over the compared cells; None without any.
        variants: distinct perturbed initial states that were compared.
        of: how many the axis has in all, where the installed suites say.
        expert: success of the expert on the same cells, of those that it finished.
        unfinished: perturbed cells without an outcome.
        without_plain: that finished and have nothing to be held against.
        is_paired: False if objects were placed anew in some.
    """

    policy: str
    axis: str
    found: Drop | None
    variants: int
    of: int | None
    expert: float | None
    unfinished: int
    without_plain: int
    is_paired: bool


@dataclass(frozen=True)
class MeanRow:
    """A policy over all axes.

    Attributes:
        axes: with a drop; ``of_axes`` there are.
        plain_mean: every axis alike.
        weighted: every axis as much as it has variants in all; None where that is not known.
        variants, of: as in :class:`DropRow`, of all axes.
    """

    policy: str
    axes: int
    of_axes: int
    plain_mean: Drop | None
    weighted: Drop | None
    variants: int
    of: int | None


@dataclass(frozen=True)
class CurveRow:
    """A policy at one magnitude of one kind, or at a band of magnitudes."""

    policy: str
    axis: str
    kind: str
    low: float | None
    high: float | None
    unit: str
    found: Drop

    @property
    def where(self) -> str:
        """Axis, kind and magnitude in words."""
        span = "" if self.low is None else f"{self.low:g}"
        if self.high is not None and self.high != self.low:
            span += f" to {self.high:g}"
        return ", ".join(
            part for part in (self.axis, self.kind, f"{span} {self.unit}".strip()) if part
        )


@dataclass(frozen=True)
class DropPair:
    """Two policies on one axis or on :data:`ALL`; ``verdict`` is on the first.

    Attributes:
        drops: of each, on the cells that both were compared on.
        left_out: perturbed cells of either that are not among them.
    """

    first: str
    second: str
    axis: str
    drops: tuple[float, float] | None
    found: DropDifference
    left_out: int
    verdict: Verdict


@dataclass(frozen=True)
class Lacking:
    """A plain cell that is not there; ``cells``: perturbed ones held against it in vain."""

    policy: str
    suite: str
    task: str
    init_state: int | None
    seed: int | None
    why: str
    cells: int


@dataclass(frozen=True)
class Robustness:
    """One family.

    Attributes:
        name: of the family; empty where suites are not installed.
        pairs: on all perturbed cells, then on each axis: two families of tests.
        levels: success on perturbed cells, whatever it was on plain ones.
        ceiling: label of the expert.
    """

    name: str
    suites: Sequence[str]
    total: int | None
    axes: Sequence[str]
    rows: Sequence[DropRow]
    means: Sequence[MeanRow]
    curves: Sequence[CurveRow]
    pairs: Sequence[DropPair]
    levels: Sequence[Comparison]
    lacking: Sequence[Lacking]
    ceiling: str

    @property
    def title(self) -> str:
        """For headings."""
        return self.name or "Perturbed suites"

    @property
    def by_magnitude(self) -> Mapping[str, Mapping[str, Drop]]:
        """Where on the curves -> policy -> what it cost."""
        found: dict[str, dict[str, Drop]] = {}
        for row in sorted(self.curves, key=lambda row: (row.axis, row.kind, row.low or 0.0)):
            found.setdefault(row.where, {})[row.policy] = row.found
        return found

    @property
    def pairs_shown(self) -> Sequence[DropPair]:
        """All, or where they are too many to read those on all axes together."""
        if len(self.pairs) <= FEW_PAIRS:
            return self.pairs
        return [pair for pair in self.pairs if pair.axis == ALL]
