"""Does success rise or fall over a series, such as the checkpoints of one training?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Trend:
    """Of success rates in order.

    Attributes:
        z: standard normal deviate of "no trend"; above 0 where success rises.
        p_value: two-sided.
    """

    z: float
    p_value: float


def trend(successes: Sequence[int], episodes: Sequence[int]) -> Trend:
    """The linear test of Cochran and Armitage with equally spaced scores.

    Armitage 1955, Biometrics 11:375-386, with the variance that is exact given the totals. It takes
    episodes as independent: a series that plays the same cells varies less than it assumes where
    outcomes agree, and the test then finds too little rather than too much.

    Args:
        successes: of each of the series, in order.
        episodes: of each, at least one.

    Raises:
        ValueError: fewer than two results.

    """
    from statsmodels.stats.contingency_tables import Table  # half a second, which verdicts spare

    if len(successes) < 2:
        raise ValueError(f"{len(successes)} results are no series")
    won, counted = np.array(successes), np.array(episodes)
    if won.sum() in (0, counted.sum()):
        return Trend(0.0, 1.0)
    found = Table(np.array([counted - won, won]), shift_zeros=False).test_ordinal_association()
    return Trend(float(found.zscore), float(found.pvalue))
