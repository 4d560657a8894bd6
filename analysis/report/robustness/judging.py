"""Which of two policies loses less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd

from analysis import perturbed
from analysis.pairing import WON
from analysis.perturbed import Varied
from analysis.report.robustness.rows import ALL, DropPair
from analysis.report.verdicts import plainest
from analysis.statistics import OF_DROPS, Verdict, verdicts
from wambench.cells import PolicyChoice
from wambench.contract import PolicySpec


def pairs_of(
    labels: Sequence[str],
    choices: Mapping[str, PolicyChoice],
    specs: Mapping[str, PolicySpec],
) -> Sequence[tuple[str, str]]:
    """Every two learned policies; scripted ones only where there are no two of these."""
    plain = plainest(choices, labels)
    learned = [label for label in plain if specs[label].track != "scripted"]
    return list(combinations(learned if len(learned) > 1 else plain, 2))


def judged(
    pairs: Sequence[tuple[str, str]],
    axes: Sequence[str],
    own: Mapping[str, Varied],
    plain: pd.DataFrame,
) -> Sequence[DropPair]:
    """Compare every pair on every axis and judge all of it together."""
    found = []
    for first, second in pairs:
        for axis in axes:
            sides = [
                cells if axis == ALL else cells[cells["axis"] == axis]
                for cells in (own[first], own[second])
            ]
            both = perturbed.both_of(*sides)
            keys = ["variant", "seed"]
            asked = len(pd.concat([side[keys] for side in sides]).drop_duplicates())
            lost = None
            if len(both):
                after = (both["ended"] == WON).mean(), (both["ended_other"] == WON).mean()
                before = both["plain"].mean(), both["plain_other"].mean()
                lost = float(before[0] - after[0]), float(before[1] - after[1])
            one = perturbed.drop_difference_of(both, plain, (first, second))
            nothing = Verdict("undecided", "", 1.0, 1.0)
            found.append(DropPair(first, second, axis, lost, one, asked - len(both), nothing))
    told = verdicts([pair.found for pair in found], words=OF_DROPS)
    return [replace(pair, verdict=one) for pair, one in zip(found, told, strict=True)]
