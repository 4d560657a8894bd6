"""Whether a policy looks elsewhere where it fails: scores of its maps, success minus failure.

Tasks differ in how hard they are and in what they show, so episodes are compared within tasks
alone: the difference of each task with both outcomes, then the mean over tasks. The interval draws
whole tasks; p is from a null in which outcomes are shuffled within tasks (a permutation test with
strata, Good 2005, Permutation, Parametric and Bootstrap Tests of Hypotheses).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.attention.compare import EPISODE
from analysis.attention.own.looks import DISTANCE, PICTURE
from analysis.statistics.clusters import MIN_CLUSTERS, means_of_clusters
from analysis.statistics.multiple import holm

DRAWS = 9_999
"""Shuffles of the null: p is a multiple of 1 / 10 000."""
ALL, BEFORE = "all", "before the first attempt"
"""Moments that an episode's mean is over. One that fails runs until its steps are out, so ``all``
compares other stages of the task as well; what comes before the first attempt compares like."""
ASKED = (
    ("object", "mass"), ("object", "lift"), ("object", DISTANCE),
    ("goal", "mass"), ("goal", "lift"), (PICTURE, "entropy"),
)  # fmt: skip
ROW = ["track", "paradigm", "policy", "sinks", "moments", "camera", "region", "measure"]

Floats = NDArray[np.float64]


def outcomes(scores: pd.DataFrame, draws: int = DRAWS) -> pd.DataFrame:
    """Relate what was looked at to what came of it.

    Args:
        scores: a row per moment, camera, region and ``sinks``, with ``outcome`` and ``before``.
        draws: shuffles of the null.

    Returns:
        A row per policy, ``sinks``, ``moments``, camera, region and measure: ``success`` and
        ``failure`` (means over the tasks with both), ``difference`` (the first minus the second)
        with ``low`` and ``high`` (95 %), ``p`` and ``p_holm`` (over all rows with the same
        ``sinks``: leaving sinks out is another way to count, not another question), ``tasks`` with
        both outcomes, their ``successes`` and ``failures``, and ``note``: in words, why there are
        no numbers.
    """
    early = scores[scores["before"] == 1]
    parts = [(ALL, scores)] + ([(BEFORE, early)] if len(early) else [])
    means = pd.concat([_by_episode(chosen, moments) for moments, chosen in parts])
    out = []
    for names, part in means.groupby(ROW, sort=False, dropna=False):
        out.append(dict(zip(ROW, names, strict=True)) | _related(part, draws))
    table = pd.DataFrame(out)
    table["p_holm"] = np.nan
    for _, rows in table[table["p"].notna()].groupby("sinks"):
        table.loc[rows.index, "p_holm"] = holm(rows["p"].tolist())
    return table


def _by_episode(scores: pd.DataFrame, moments: str) -> pd.DataFrame:
    """Rows: an episode's mean of one measure, ``value``."""
    who = ["track", "paradigm", "policy", "sinks", "camera", "region", *EPISODE, "outcome"]
    found = []
    for region, measure in ASKED:
        if measure in scores:
            chosen = scores[scores["region"] == region]
            mean: Any = chosen.groupby(who, sort=False)[measure].mean().dropna()
            found.append(mean.rename("value").reset_index().assign(measure=measure))
    return pd.concat(found, ignore_index=True).assign(moments=moments)


def _related(part: pd.DataFrame, draws: int) -> dict[str, Any]:
    """One row: of episodes with ``value`` and ``outcome``."""
    both = part.groupby(["suite", "task_index"])["outcome"].transform("nunique") == 2
    used = part[both]
    is_success = used["outcome"].eq("success").to_numpy()
    tasks = used.groupby(["suite", "task_index"]).ngroup().to_numpy()
    count = len(set(tasks))
    told = {
        "tasks": count,
        "successes": int(is_success.sum()),
        "failures": int((~is_success).sum()),
    }
    nothing = dict.fromkeys(("success", "failure", "difference", "low", "high", "p"), np.nan)
    if count < MIN_CLUSTERS:
        return nothing | told | {"note": too_few(part["outcome"].tolist(), count)}
    values = used["value"].to_numpy(np.float64)
    won, lost = (_task_means(values, tasks, chosen) for chosen in (is_success, ~is_success))
    mean, low, high = (float(one[0]) for one in means_of_clusters((won - lost)[:, None]))
    return {
        "success": float(won.mean()), "failure": float(lost.mean()),
        "difference": mean, "low": low, "high": high,
        "p": shuffled(values, is_success, tasks, draws), **told, "note": "",
    }  # fmt: skip


def too_few(ended: Sequence[str], tasks: int) -> str:
    """Why nothing is said, in words."""
    if len(set(ended)) == 1:
        return f"every episode ended in {ended[0]}"
    have = "1 task has" if tasks == 1 else f"{tasks or 'no'} tasks have"
    return f"{have} both outcomes; {MIN_CLUSTERS} are needed"


def _task_means(values: Floats, tasks: NDArray[np.intp], chosen: NDArray[np.bool_]) -> Floats:
    return np.array([values[chosen & (tasks == task)].mean() for task in range(tasks.max() + 1)])


def shuffled(
    values: Floats, is_success: NDArray[np.bool_], tasks: NDArray[np.intp], draws: int
) -> float:
    """Two-sided p of the mean difference within tasks, outcomes shuffled within tasks.

    Args:
        values: [episodes].
        is_success: [episodes].
        tasks: [episodes], numbers from 0 on; each task has both outcomes.
        draws: shuffles, of one seed.

    Returns:
        (1 + shuffles with a difference at least as large) / (1 + shuffles): never zero, as of
        Phipson & Smyth (2010, Stat. Appl. Genet. Mol. Biol. 9:39).
    """
    found, null = 0.0, np.zeros(draws)
    for task in range(tasks.max() + 1):
        own, won = values[tasks == task], is_success[tasks == task]
        found += own[won].mean() - own[~won].mean()
        of_won = _shuffles(task, won.tobytes(), draws) @ own
        null += of_won / won.sum() - (own.sum() - of_won) / (~won).sum()
    near = 1e-9 * max(1.0, float(np.abs(values).max()))  # sums in another order
    return float((1 + (np.abs(null) >= abs(found) - near).sum()) / (1 + draws))


@functools.lru_cache(maxsize=512)
def _shuffles(task: int, outcomes: bytes, draws: int) -> NDArray[np.bool_]:
    """[draws, episodes], the outcomes of one task shuffled; the same for all rows of a table."""
    drawn = np.tile(np.frombuffer(outcomes, bool), (draws, 1))
    return np.random.default_rng(task).permuted(drawn, axis=1)
