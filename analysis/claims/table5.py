"""Which single condition gives all FLOPs of Table 5? A search, not an assumption."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from analysis.claims.costs import SCOPES, TERA, Condition, Costs, Scope, picture_name
from analysis.claims.published import Number, Readings
from analysis.claims.rows import Finding, Row, Verdict, judge

TABLE = "table5_efficiency"
COMMAND = "wambench audit claims --kind flops"
Picture = tuple[int, int]


@dataclass(frozen=True)
class Fit:
    """A condition with what each row was read as (row -> reading) and came to (row -> TFLOPs)."""

    condition: Condition
    scope: Scope
    read_as: Mapping[str, str]
    tflops: Mapping[str, float]

    def __str__(self) -> str:
        return f"{self.condition}, {self.scope}"

    @property
    def way(self) -> str:
        """Everything but the picture: how the table is read."""
        rest = dataclasses.replace(self.condition, picture=None)
        read = ", ".join(f"{row} as {name}" for row, name in self.read_as.items())
        return f"{rest}, {self.scope}, {read}"

    def worst(self, claimed: Mapping[str, float]) -> float:
        """Largest relative gap to a figure."""
        return max(abs(value - claimed[row]) / claimed[row] for row, value in self.tflops.items())


@dataclass(frozen=True)
class Found:
    """Outcome of the search.

    Attributes:
        tried: conditions times readings that the search stands for.
        fits: those that give every figure, the closest first.
        survivors: row -> how many conditions gave it and all rows before it.
        nearest: row -> the condition that came nearest among those that were left.
    """

    tried: int
    fits: Sequence[Fit]
    survivors: Mapping[str, int]
    nearest: Mapping[str, Fit]


def search(claimed: Mapping[str, float], readings: Readings, costs: Costs) -> Found:
    """Find the conditions that give all of ``claimed`` (row -> TFLOPs) within the tolerance.

    Rows are taken one after the other and only what fits is followed up, so most of the product
    of conditions is never computed; the outcome is that of the whole product.
    """
    space, tolerance = readings.search, readings.tolerance["flops"]
    left = [
        Fit(Condition(picture, preset, steps, frames), scope, {}, {})
        for picture, preset, steps, frames, scope in product(
            space.pictures(), space.presets, space.steps, space.video_frames, SCOPES
        )
    ]
    tried = len(left)
    survivors: dict[str, int] = {}
    nearest: dict[str, Fit] = {}
    for row, meanings in readings.table5.items():
        tried *= len(meanings)
        grown = [
            Fit(
                fit.condition,
                fit.scope,
                {**fit.read_as, row: name},
                {**fit.tflops, row: costs.flops(reading, fit.condition, fit.scope) / TERA},
            )
            for fit in left
            for name, reading in meanings.items()
        ]
        if grown:
            nearest[row] = min(grown, key=lambda fit: abs(fit.tflops[row] - claimed[row]))
        left = [
            fit for fit in grown if abs(fit.tflops[row] - claimed[row]) <= tolerance * claimed[row]
        ]
        survivors[row] = len(left)
    sure = [fit for fit in left if _is_sure(fit, claimed, readings, costs)]
    sure = sorted(_plainest(sure), key=lambda fit: fit.worst(claimed))
    return Found(tried, sure, survivors, nearest)


def _is_sure(fit: Fit, claimed: Mapping[str, float], readings: Readings, costs: Costs) -> bool:
    """Whether the policies themselves, asked for this very picture, bear the fit out."""
    for row, name in fit.read_as.items():
        reading = readings.table5[row][name]
        tflops = costs.flops(reading, fit.condition, fit.scope, exactly=True) / TERA
        if abs(tflops - claimed[row]) > readings.tolerance["flops"] * claimed[row]:
            return False
    return True


def rows(
    numbers: Mapping[tuple[str, str], Number],
    readings: Readings,
    found: Found,
    released: Mapping[Picture, str],
) -> list[Row]:
    """Ledger rows of the FLOPs of Table 5.

    Args:
        numbers: (row, column) -> figure of the table.
        readings: what was searched.
        found: the outcome of the search.
        released: pictures of released configurations -> whose.
    """
    out = []
    for name in (row for row, column in numbers if column == "tflops"):
        claimed = float(numbers[name, "tflops"])
        verdict, finding = _verdict(name, claimed, readings, found, released)
        out.append(
            Row(
                id=f"{TABLE}.{name}.tflops",
                kind="flops",
                source="Table 5",
                claim=f"One inference of {name} takes {claimed:g} TFLOPs",
                claimed=claimed,
                unit="TFLOPs",
                condition=finding.condition if finding else "",
                found=finding.value if finding else None,
                command=COMMAND,
                verdict=verdict,
                under=tuple(str(fit) for fit in found.fits) if "only" in verdict else (),
                why=_why(found, readings, released),
                findings=tuple(_finding(fit, name, released) for fit in found.fits),
            )
        )
    return out


def _verdict(
    name: str,
    claimed: float,
    readings: Readings,
    found: Found,
    released: Mapping[Picture, str],
) -> tuple[Verdict, Finding | None]:
    if found.fits:
        findings = [_finding(fit, name, released) for fit in found.fits]
        judged = judge(claimed, findings, "equal", readings.tolerance["flops"])
        return judged.verdict, findings[0]  # all rows show one fit, the closest to all of them
    near = found.nearest.get(name)
    return "not reproduced", _finding(near, name, released) if near else None


def _finding(fit: Fit, name: str, released: Mapping[Picture, str]) -> Finding:
    picture, preset = fit.condition.picture, fit.condition.preset
    return Finding(
        condition=f"{fit.condition}, {fit.scope}; read as {fit.read_as[name]}",
        value=fit.tflops[name],
        assumed=picture in released and preset == "released",
    )


def _plainest(fits: Sequence[Fit]) -> list[Fit]:
    """One fit for each picture and reading: scopes that leave out more but change nothing go."""
    kept: dict[tuple[object, ...], Fit] = {}
    for fit in fits:
        figures = tuple(sorted(fit.tflops.items()))
        kept.setdefault((fit.condition, tuple(fit.read_as.items()), figures), fit)
    return list(kept.values())


def _why(found: Found, readings: Readings, released: Mapping[Picture, str]) -> str:
    percent = f"{readings.tolerance['flops']:.0%}".replace("%", " %")
    if not found.fits:
        steps = "; ".join(
            f"{row}: {count} left, nearest {found.nearest[row].tflops[row]:.2f}"
            for row, count in found.survivors.items()
            if row in found.nearest
        )
        return f"None of {found.tried:,} conditions gives all rows within {percent} ({steps})."
    ways = list(dict.fromkeys(fit.way for fit in found.fits))
    listed = "; or ".join(f"{way}, at {_areas(found.fits, way)}" for way in ways[:3])
    many = "One way" if len(ways) == 1 else f"{len(ways)} ways"
    known = ", ".join(map(picture_name, released))
    none = all(fit.condition.picture not in released for fit in found.fits)
    where = "no released configuration has such a picture" if none else "released pictures"
    return (
        f"{many} to read the table gives all rows within {percent}, of {found.tried:,} tried: "
        f"{listed}; {where} ({known})."
    )


def _areas(fits: Sequence[Fit], way: str) -> str:
    """The pictures at which a way of reading fits: the closest one, and the range of areas."""
    pictures = [fit.condition.picture for fit in fits if fit.way == way and fit.condition.picture]
    areas = sorted(height * width for height, width in pictures)
    closest = f"{picture_name(pictures[0])} over all cameras"
    if len(areas) == 1:
        return closest
    return f"{closest} ({areas[0]:,} to {areas[-1]:,} pixels fit)"
