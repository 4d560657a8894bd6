"""Are two policies as good as each other, up to a margin that is named."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.score import score
from analysis.statistics.tally import Tally

MARGIN = 0.05
"""Success rates that differ by less are called equivalent unless another margin is named.

A choice: five points, more than most published differences between policies on LIBERO.
"""


def equivalence(tally: Tally, margin: float = MARGIN) -> Any:
    """P-value of "the success rates differ by ``margin`` or more": two one-sided tests.

    Schuirmann 1987, J. Pharmacokinetics and Biopharmaceutics 15:657-680. Each side takes the larger
    of two p-values: Tango's score test, which asks for enough cells even where none tells the two
    apart, and the t test over tasks, which asks for tasks that agree.

    Args:
        tally: counts, [..., tasks].
        margin: of success rates, between 0 and 1.

    Returns:
        [...].

    """
    if not 0 < margin < 1:
        raise ValueError(f"margin {margin} is not between 0 and 1")
    counts = tally.first, tally.second, tally.total
    sides = [stats.norm.sf(score(*counts, -margin)), stats.norm.cdf(score(*counts, margin))]
    if tally.tasks > 1:
        error, freedom = np.sqrt(tally.task_variance), tally.tasks - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            above = np.nan_to_num((tally.difference + margin) / error)
            below = np.nan_to_num((tally.difference - margin) / error)
        # Tasks that agree to the last cell leave it to the score test.
        sides += [stats.t.sf(above, freedom), stats.t.cdf(below, freedom)]
    return np.max(sides, axis=0)
