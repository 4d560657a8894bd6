"""From what was named to an answer: what ``wambench verdict`` and ``wambench.verdict`` share."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.judging.answer import Answer
from analysis.judging.judge import judge
from analysis.statistics import MARGIN, trend
from wambench.api import Evaluation, Result, Run, Verdict
from wambench.errors import UserError, did_you_mean
from wambench.foreign import Source, check_roles, of_episodes, of_table, read


def judged(
    results: Sequence[Result],
    *,
    policies: Sequence[str] = (),
    columns: Mapping[str, str],
    episodes: int | None = None,
    margin: float = MARGIN,
    is_series: bool = False,
) -> Answer:
    """Judge every two results; see :func:`wambench.verdict`.

    Args:
        results: what is named; see :func:`wambench.verdict`.
        policies: only these of them; none: all.
        columns: role -> column of tables, where it is not called after its role.
        episodes: of each task, where a file tells rates only.
        margin: difference of rates that counts as equivalent.
        is_series: also test whether success rises in the order given.

    Raises:
        UserError: a result that cannot be read, or fewer than two.

    """
    if not 0 < margin < 1:
        raise UserError(f"--margin {margin:g} is not between 0 and 1; 0.05 is 5 points")
    check_roles(columns)
    sources = _chosen(_read(results, columns, episodes), policies)
    counts = [source.successes for source in sources], [source.episodes for source in sources]
    return Answer(sources, judge(sources, margin), trend(*counts) if is_series else None)


def _read(
    results: Sequence[Result], columns: Mapping[str, str], episodes: int | None
) -> Sequence[Source]:
    """Sources of all that was named, each with a label of its own."""
    found = [
        (_name(given), source) for given in results for source in _sources(given, columns, episodes)
    ]
    often = Counter(source.label for _, source in found)
    used: Counter[str] = Counter()
    named = []
    for name, source in found:
        is_plain = often[source.label] == 1 or name in ("", source.label)
        label = source.label if is_plain else f"{name}:{source.label}"
        used[label] += 1
        if used[label] > 1:
            label = f"{label} ({used[label]})"
        named.append(replace(source, label=label))
    return named


def _sources(given: Result, columns: Mapping[str, str], episodes: int | None) -> Sequence[Source]:
    if isinstance(given, Run):
        given = given.path
    if isinstance(given, str | os.PathLike):
        return read(os.fspath(given), columns, episodes)
    if isinstance(given, Evaluation):
        return of_episodes(given.episodes(), "the evaluation", given.passport, probed=False)
    import pandas as pd  # not for counts: it takes longer than they do

    if isinstance(given, pd.DataFrame):
        return of_table(given, "the table", "table", columns)
    raise UserError(
        f"a result of type {type(given).__name__} cannot be judged; give a run, an evaluation, a "
        "table, a path, or counts such as '492/500'"
    )


def _name(given: Result) -> str:
    """Of a result that has one."""
    if isinstance(given, Run):
        return str(given.path)
    return os.fspath(given) if isinstance(given, str | os.PathLike) else ""


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


if TYPE_CHECKING:
    _promised: Callable[..., Verdict] = judged  # by wambench.verdict to its callers
