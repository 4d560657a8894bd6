"""Do the paper's own tables add up? Computed from the printed digits alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import linprog

from analysis.claims import weightings
from analysis.claims.published import Published, Readings, Table
from analysis.claims.ratios import saved, share
from analysis.claims.rows import Row

COMMAND = "wambench audit claims --kind arithmetic"
ROUNDING = 1e-9  # of floating point, beside half a printed digit


def rows(published: Published, readings: Readings) -> list[Row]:
    """Averages and the tasks they are of, speed-ups, headline figures, rows printed twice."""
    out = []
    for key, parts in readings.averages.items():
        out += averages(key, published.tables[key], parts)
    out += weightings.rows(published, readings)
    out += speedups("table11_latency_optimised", published.tables["table11_latency_optimised"])
    out += headline(published)
    for key, table in published.tables.items():
        out += twins(key, table)
    return out


def averages(key: str, table: Table, parts: Sequence[str]) -> list[Row]:
    """Whether each printed average is the mean of its row.

    Where most rows are not, they may be weighted means: then it is asked whether one set of weights
    explains all of them, and which rows belong to a largest set that has such weights.
    """
    slack = table.half_digit(parts) + table.half_digit(["average"]) + ROUNDING
    names = [str(row[0]) for row in table.rows]
    cells = np.array([[table.row(name)[part] for part in parts] for name in names], dtype=float)
    printed = np.array([table.row(name)["average"] for name in names], dtype=float)
    means = cells.mean(axis=1)
    plain = np.abs(means - printed) <= slack
    is_weighted = plain.sum() < len(names) / 2
    largest = largest_explained(cells, printed, slack) if is_weighted else []
    fine = {i for rows in largest for i in rows} if is_weighted else set(np.flatnonzero(plain))
    kind = "weighted mean" if is_weighted else "mean"
    out = [
        Row(
            id=f"{key}.{name}.average/arithmetic",
            kind="arithmetic",
            source=table.source,
            claim=f"{name}'s average is a {kind} of its {len(parts)} columns",
            claimed=float(printed[i]),
            unit=table.unit("average"),
            condition="plain mean",
            found=float(means[i]),
            command=COMMAND,
            verdict="consistent" if i in fine else "not consistent",
            why=f"The plain mean of the columns is {means[i]:.3f}, printed is {printed[i]:g}"
            + ("; other rows' averages are weighted." if is_weighted and plain[i] else "."),
        )
        for i, name in enumerate(names)
    ]
    return [*out, _alike(key, table, names, largest, plain)] if is_weighted else out


def _alike(
    key: str,
    table: Table,
    names: Sequence[str],
    largest: Sequence[Sequence[int]],
    plain: np.ndarray,
) -> Row:
    """Whether all averages of a table of weighted means can have been formed in one way."""
    count = len(largest[0])
    unweighted = [name for name, is_plain in zip(names, plain, strict=True) if is_plain]
    odd = f"; the plain mean it is for {' and '.join(unweighted)}" if unweighted else ""
    return Row(
        id=f"{key}/arithmetic weights",
        kind="arithmetic",
        source=table.source,
        claim="All averages weigh the columns alike",
        claimed=len(names),
        unit="rows",
        found=float(count),
        command=COMMAND,
        verdict="consistent" if count == len(names) else "not consistent",
        why=f"One set of weights explains at most {count} of {len(names)} rows within "
        f"rounding{odd}.",
    )


def largest_explained(cells: np.ndarray, averages: np.ndarray, slack: float) -> list[list[int]]:
    """The largest sets of rows whose averages one set of weights explains.

    Args:
        cells: [rows, columns].
        averages: [rows].
        slack: how far rounding may have moved an average.

    Returns:
        Indices of rows, one list for each set of that size.
    """
    rows = range(len(cells))
    for size in range(len(cells), 0, -1):
        found = [
            list(chosen)
            for chosen in combinations(rows, size)
            if _has_weights(cells[list(chosen)], averages[list(chosen)], slack)
        ]
        if found:
            return found
    return [[]]


def _has_weights(cells: np.ndarray, averages: np.ndarray, slack: float) -> bool:
    """Whether non-negative weights of sum 1 give all averages: a linear programme."""
    columns = cells.shape[1]
    solved = linprog(
        np.zeros(columns),
        A_ub=np.r_[cells, -cells],
        b_ub=np.r_[averages + slack, slack - averages],
        A_eq=np.ones((1, columns)),
        b_eq=[1.0],
    )
    return solved.status == 0


def speedups(key: str, table: Table) -> list[Row]:
    """Whether each printed speed-up follows from the printed latencies, the first row's over it."""
    names = [str(row[0]) for row in table.rows]
    ms = {name: float(table.row(name)["latency_ms"]) for name in names}
    half_ms, half = table.half_digit(["latency_ms"]), table.half_digit(["speedup"]) + ROUNDING
    out = []
    for name in names:
        printed = float(table.row(name)["speedup"])
        low = (ms[names[0]] - half_ms) / (ms[name] + half_ms)
        high = (ms[names[0]] + half_ms) / (ms[name] - half_ms)
        fine = low - half <= printed <= high + half
        out.append(
            Row(
                id=f"{key}.{name}.speedup/arithmetic",
                kind="arithmetic",
                source=table.source,
                claim=f"{name} is {printed:g} times as fast as {names[0]}",
                claimed=printed,
                unit="x",
                baseline=names[0],
                found=ms[names[0]] / ms[name],
                low=low,
                high=high,
                command=COMMAND,
                verdict="consistent" if fine else "not consistent",
                why=f"{ms[names[0]]:g} ms over {ms[name]:g} ms is {ms[names[0]] / ms[name]:.3f}.",
            )
        )
    return out


def headline(published: Published) -> list[Row]:
    """Whether the headline follows from Table 5."""
    table = published.tables["table5_efficiency"]
    numbers = table.numbers()
    flops = numbers["FastWAM-IDM", "tflops"] / numbers["ImageWAM", "tflops"]
    speed = numbers["FastWAM-IDM", "latency_ms"] / numbers["ImageWAM", "latency_ms"]
    head = published.headline
    shares = {
        "flops_ratio": (share(str(head["flops_ratio"])), flops, "TFLOPs"),
        "latency_ratio": (share(str(head["latency_ratio"])), speed, "milliseconds"),
    }
    out = [
        _headline_row(
            name,
            str(head[name]),
            1 / value,
            int(claimed) <= value,
            f"Table 5's {unit} are as 1 to {value:.2f}, FastWAM-IDM over ImageWAM.",
        )
        for name, (claimed, value, unit) in shares.items()
    ]
    percent = float(head["project_page_flops_saved_percent"])
    times = float(head["project_page_latency_speedup"])
    return [
        *out,
        _headline_row(
            "project_page_flops_saved_percent",
            percent,
            saved(flops),
            abs(saved(flops) - percent) <= 0.05 + ROUNDING,
            f"Table 5's TFLOPs save {saved(flops):.2f} % against FastWAM-IDM.",
        ),
        _headline_row(
            "project_page_latency_speedup",
            times,
            speed,
            abs(speed - times) <= 0.05 + ROUNDING,
            f"Table 5's milliseconds are as 1 to {speed:.2f} against FastWAM-IDM.",
        ),
    ]


def _headline_row(name: str, claimed: str | float, found: float, fine: bool, why: str) -> Row:
    return Row(
        id=f"headline.{name}/arithmetic",
        kind="arithmetic",
        source="headline",
        claim=f"{name.replace('_', ' ').capitalize()} {claimed} follows from Table 5",
        claimed=claimed,
        baseline="FastWAM-IDM",
        found=found,
        command=COMMAND,
        verdict="consistent" if fine else "not consistent",
        why=why,
    )


def twins(key: str, table: Table) -> list[Row]:
    """Rows with the same numbers throughout under two names."""
    alike: Mapping[tuple[object, ...], list[str]] = defaultdict(list)
    for row in table.rows:
        figures = tuple(cell for cell in row[1:] if isinstance(cell, int | float))
        alike[figures].append(str(row[0]))
    return [
        Row(
            id=f"{key}.{names[0]}/arithmetic twin",
            kind="arithmetic",
            source=table.source,
            claim=f"{' and '.join(names)} are rows of their own",
            claimed=len(figures),
            unit="figures",
            found=float(len(figures)),
            command=COMMAND,
            verdict="not consistent",
            why=f"All {len(figures)} figures of {' and '.join(names)} are the same, so at least "
            "one row is not of the policy it names.",
        )
        for figures, names in alike.items()
        if len(names) > 1 and len(figures) > 1
    ]
