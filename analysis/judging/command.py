"""The command: name results, get a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from analysis.judging.judge import Judgement, judge
from analysis.judging.junit import write_junit
from analysis.statistics import CONFIDENCE, MARGIN, Trend, rate_interval, trend
from wambench.cli.output import Json, print_json, print_table
from wambench.errors import UserError, did_you_mean
from wambench.foreign import Source, column_map, read

FailOn = Literal["worse", "not-better"]


def command(
    results: Annotated[
        list[str], typer.Argument(help="492/500, NAME=492/500, a run, eval_info.json, .csv, …")
    ],
    columns: Annotated[
        str, typer.Option(help="Of tables: policy=…,suite=…,task=…,episode=…,success=…")
    ] = "",
    episodes: Annotated[
        int | None, typer.Option(min=1, help="Of each task, where a file tells rates only.")
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="Only this policy of the files; may be repeated.")
    ] = None,
    margin: Annotated[
        float, typer.Option(help="Difference of rates that counts as equivalent.")
    ] = MARGIN,
    fail_on: Annotated[
        FailOn | None, typer.Option(help="Exit with 1 if the first result is so against any.")
    ] = None,
    is_series: Annotated[
        bool, typer.Option("--trend", help="Also test whether success rises in the order given.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit file, for CI.")] = None,
    json: Json = False,
) -> None:
    """Say which result is better, from anyone's files: paired where episodes are shared.

    Example: wambench verdict 492/500 488/500
    """
    if not 0 < margin < 1:
        raise UserError(f"--margin {margin:g} is not between 0 and 1; 0.05 is 5 points")
    sources = _chosen(_read(results, column_map(columns), episodes), policy or ())
    judgements = judge(sources, margin)
    failed = [one for one in judgements if one.first == sources[0].label and _fails(one, fail_on)]
    if junit is not None:
        write_junit(junit, judgements, failed)
    counts = [source.successes for source in sources], [source.episodes for source in sources]
    found = trend(*counts) if is_series else None
    if json:
        print_json(
            {
                "sources": [_counts(source) for source in sources],
                "verdicts": [asdict(one) | {"text": one.text} for one in judgements],
                "trend": None if found is None else asdict(found),
            }
        )
    else:
        _print(sources, judgements)
        if found is not None:
            print(_trend(found))
    raise typer.Exit(int(bool(failed)))


def _read(
    results: Sequence[str], columns: Mapping[str, str], episodes: int | None
) -> Sequence[Source]:
    """Sources of all that was named, each with a label of its own."""
    found = [(given, source) for given in results for source in read(given, columns, episodes)]
    often = Counter(source.label for _, source in found)
    used: Counter[str] = Counter()
    named = []
    for given, source in found:
        is_plain = often[source.label] == 1 or source.label == given
        label = source.label if is_plain else f"{given}:{source.label}"
        used[label] += 1
        if used[label] > 1:
            label = f"{label} ({used[label]})"
        named.append(replace(source, label=label))
    return named


def _chosen(sources: Sequence[Source], policies: Sequence[str]) -> Sequence[Source]:
    labels = [source.label for source in sources]
    for name in policies:
        if name not in labels:
            raise UserError(f"--policy {name!r} is in none of them; {did_you_mean(name, labels)}")
    by_label = dict(zip(labels, sources, strict=True))
    found = [by_label[name] for name in policies or labels]
    if len(found) < 2:
        raise UserError(f"a verdict needs two results, and {len(found)} was named; name another")
    return found


def _fails(one: Judgement, fail_on: FailOn | None) -> bool:
    """A check that could compare nothing has not passed."""
    if fail_on is None:
        return False
    kind = None if one.verdict is None else one.verdict.kind
    return kind in (None, "worse") if fail_on == "worse" else kind != "better"


def _counts(source: Source) -> dict[str, Any]:
    low, high = rate_interval(source.successes, source.episodes)
    return {
        "label": source.label,
        "successes": source.successes,
        "episodes": source.episodes,
        "interval": [low, high],
    }


def _print(sources: Sequence[Source], judgements: Sequence[Judgement]) -> None:
    rows = []
    for source in sources:
        low, high = rate_interval(source.successes, source.episodes)
        rate = 100 * source.successes / source.episodes
        rows.append(
            {
                "result": source.label,
                "success": f"{source.successes}/{source.episodes}",
                "per cent": f"{rate:.1f} ({100 * low:.1f} to {100 * high:.1f})",
            }
        )
    print_table(rows, list(rows[0]))
    print_table(
        [
            {
                "first": one.first,
                "second": one.second,
                "difference in points": _points(one),
                "p": "-" if one.p_value is None else f"{one.p_value:.3g}",
                "the first is": one.text,
                "basis": one.basis,
            }
            for one in judgements
        ],
        ["first", "second", "difference in points", "p", "the first is", "basis"],
    )


def _points(one: Judgement) -> str:
    if one.difference is None or one.interval is None:
        return "-"
    low, high = (100 * end for end in one.interval)
    return f"{100 * one.difference:+.1f} ({low:+.1f} to {high:+.1f})"


def _trend(found: Trend) -> str:
    if found.p_value > 1 - CONFIDENCE:
        said = "no trend is shown"
    else:
        said = "success rises" if found.z > 0 else "success falls"
    return f"in the order given: {said} (z {found.z:+.2f}, p {found.p_value:.3g})"
