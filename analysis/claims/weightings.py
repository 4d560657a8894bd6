"""Over which tasks printed averages were taken: all of them, or so many of each column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from scipy import stats

from analysis.claims.published import Published, Readings, Table, Weighting, Weightings
from analysis.claims.rows import Finding, Row
from analysis.statistics import CONFIDENCE

COMMAND = "wambench audit claims --kind arithmetic"
ROUNDING = 1e-9  # of floating point, beside half a printed digit
Rates = Mapping[str, float]


def rows(published: Published, readings: Readings) -> list[Row]:
    """A row for every average of a table whose columns stand for known numbers of tasks."""
    return [
        row
        for key, weightings in readings.weightings.items()
        for row in _table(key, published.tables[key], weightings)
    ]


def _table(key: str, table: Table, weightings: Weightings) -> list[Row]:
    columns = list(weightings.all_tasks)
    slack = table.half_digit(columns) + table.half_digit(["average"]) + ROUNDING
    names = [str(row[0]) for row in table.rows]
    out = [_row(key, table, name, weightings, slack) for name in names]
    apart = {
        name: float(row.claimed) - float(row.found or 0)
        for name, row in zip(names, out, strict=True)
        if row.verdict == "not consistent"
    }
    return [*out, _all(key, table, apart, len(names), weightings.note)]


def _row(key: str, table: Table, name: str, weightings: Weightings, slack: float) -> Row:
    """One average against each way to form it."""
    cells, printed = table.row(name), float(table.row(name)["average"])
    rates = {column: float(cells[column]) for column in weightings.all_tasks}
    total = sum(weightings.all_tasks.values())
    every = weighted(rates, weightings.all_tasks)
    plain = weighted(rates, dict.fromkeys(rates, 1))
    findings = [
        Finding(condition=f"all {total:,} tasks alike", value=every, assumed=True),
        Finding(condition=f"the {len(rates)} axes alike", value=plain),
        *(
            Finding(condition=draw.name, value=weighted(rates, draw.tasks))
            for draw in weightings.draws
        ),
    ]
    is_fine = abs(every - printed) <= slack
    said = f"All {total:,} tasks alike give {every:.2f}, the {len(rates)} axes alike {plain:.2f}"
    said += "".join(f", {one.condition} {one.value:.2f}" for one in findings[2:])
    if not is_fine:
        said += _cautiously(printed, rates, weightings.draws, findings[1:], slack)
    return Row(
        id=f"{key}.{name}.average/arithmetic tasks",
        kind="arithmetic",
        source=table.source,
        claim=f"{name}'s average is over all {total:,} tasks",
        claimed=printed,
        unit=table.unit("average"),
        condition=findings[0].condition,
        found=every,
        command=COMMAND,
        verdict="consistent" if is_fine else "not consistent",
        why=f"{said}.",
        findings=tuple(findings),
    )


def _cautiously(
    printed: float,
    rates: Rates,
    draws: Sequence[Weighting],
    others: Sequence[Finding],
    slack: float,
) -> str:
    """Which ways fit, and why that proves nothing."""
    fitting = [one.condition for one in others if abs(one.value - printed) <= slack]
    said = f"; within rounding {' and '.join(fitting) or 'none of these'} would print {printed:g}"
    for draw in draws:
        if draw.name in fitting:
            whole = sum(is_fraction(rates[column], draw.tasks[column]) for column in rates)
            said += (
                f"; {whole} of {len(rates)} columns can be fractions of {draw.name}'s counts, "
                f"and so few tasks would be sure to {sure_to(rates, draw.tasks):.1f} points"
            )
    return f"{said}; that is no proof of how it was formed"


def _all(key: str, table: Table, apart: Mapping[str, float], count: int, note: str) -> Row:
    """Whether the averages of a table may be held against each other."""
    why = f"All {count} are."
    if apart:
        why = (
            f"{count - len(apart)} of {count} are within rounding; those of {', '.join(apart)} are "
            f"{min(apart.values()):.1f} to {max(apart.values()):.1f} points above that. "
            f"{note} A sample or another weighting would explain it; neither is shown."
        )
    return Row(
        id=f"{key}/arithmetic tasks",
        kind="arithmetic",
        source=table.source,
        claim="All averages are over all tasks, as the benchmark's own are",
        claimed=count,
        unit="rows",
        found=float(count - len(apart)),
        command=COMMAND,
        verdict="not consistent" if apart else "consistent",
        why=why,
    )


def weighted(rates: Rates, tasks: Mapping[str, int]) -> float:
    """Mean of columns that count as much as they have tasks."""
    return sum(rate * tasks[column] for column, rate in rates.items()) / sum(tasks.values())


def sure_to(rates: Rates, tasks: Mapping[str, int]) -> float:
    """Half the 95 % interval of such a mean, in points: one episode a task, independent."""
    variance = sum(tasks[column] * rate * (100 - rate) for column, rate in rates.items())
    return float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * math.sqrt(variance) / sum(tasks.values())


def is_fraction(rate: float, tasks: int, digits: int = 1) -> bool:
    """Whether some number of ``tasks`` is printed so in per cent, rounded or cut off."""
    near = range(
        max(0, math.floor(rate * tasks / 100) - 1),
        min(tasks, math.ceil(rate * tasks / 100) + 1) + 1,
    )
    return any(
        abs(rounded - rate) < ROUNDING
        for won in near
        for rounded in (
            round(100 * won / tasks, digits),
            math.floor(100 * won / tasks * 10**digits) / 10**digits,
        )
    )
