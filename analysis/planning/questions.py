"""What is to be told apart, and the episodes that takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.statistics import (
    CONFIDENCE,
    POWER,
    discordance,
    episodes_paired,
    episodes_unpaired,
    highest_correlation,
    power_at_most,
)
from wambench.errors import UserError

ILLUSTRATED = (0.25, 0.5, 0.75)
"""Shown where no correlation is given and none is measured: what pairing would save."""
TASKS = 40
"""Of LIBERO's four suites of ten."""


@dataclass(frozen=True)
class Question:
    """What is to be told apart.

    Attributes:
        baseline: success rate of one policy.
        delta: how much more the other solves; negative: less.
        power: chance of finding it.
        confidence: 1 minus the chance of finding a difference between equals.
        comparisons: that are judged together; Holm's first step divides by them.
        task_spread: standard deviation of the difference over tasks.
        tasks: of the sweep.
    """

    baseline: float
    delta: float
    power: float = POWER
    confidence: float = CONFIDENCE
    comparisons: int = 1
    task_spread: float = 0.0
    tasks: int = TASKS

    @property
    def other(self) -> float:
        """Success rate of the other policy."""
        return round(self.baseline + self.delta, 12)

    @property
    def surer(self) -> float:
        """Confidence of each comparison."""
        return 1 - (1 - self.confidence) / self.comparisons


@dataclass(frozen=True)
class Design:
    """One way to ask. ``discordant``: share of cells that one policy alone solves."""

    design: str
    correlation: float | None
    discordant: float | None
    episodes: int


def check(question: Question, correlations: Sequence[float]) -> None:
    """Raise UserError for a question without an answer."""
    for name, share in (("power", question.power), ("confidence", question.confidence)):
        if not 0.5 <= share < 1:
            raise UserError(f"--{name} {share:g} is not between 0.5 and 1; write 0.8 for 80 %")
    if not 0 <= question.baseline <= 1:
        raise UserError(f"--baseline {question.baseline:g} is no rate; write 0.95 for 95 %")
    if question.delta == 0:
        raise UserError("--delta 0 takes infinitely many episodes; name a difference, such as 0.03")
    if not 0 <= question.other <= 1:
        raise UserError(
            f"--baseline {question.baseline:g} and --delta {question.delta:g} give a rate of "
            f"{question.other:g}; choose them so that it lies between 0 and 1"
        )
    highest = highest_correlation(question.baseline, question.other)
    for correlation in correlations:
        if not 0 <= correlation <= highest:
            raise UserError(
                f"--paired-correlation {correlation:g} cannot be: with rates of "
                f"{question.baseline:g} and {question.other:g} it is 0 to {highest:.3f}"
            )
    spread, tasks = question.task_spread, question.tasks
    if tasks > 1 and power_at_most(question.delta, question.surer, spread, tasks) <= question.power:
        raise _too_few(question)


def designs(
    question: Question, given: Sequence[float], measured: Mapping[str, float]
) -> Sequence[Design]:
    """Answers: for episodes of their own, and for the same cells at each correlation.

    Correlations are those given, else those measured, else ILLUSTRATED as far as they can be.
    """
    first, second = question.baseline, question.other
    highest = highest_correlation(first, second)
    out = []
    if not question.task_spread:
        alone = episodes_unpaired(first, second, question.power, question.surer)
        out.append(Design("different episodes", None, None, alone))
    named = [("same cells", value) for value in given]
    if not named:
        named = [(f"same cells, as {pair}", value) for pair, value in measured.items()]
    if not named:
        named = [("same cells, if", value) for value in (0.0, *ILLUSTRATED)]
    for name, correlation in named:
        possible = min(correlation, highest)
        if correlation > highest and name == "same cells, if":
            continue
        share = max(discordance(first, second, possible), abs(question.delta))
        out.append(Design(name, possible, share, _paired(question, share)))
    return out


def _paired(question: Question, discordant: float) -> int:
    found = episodes_paired(
        question.delta,
        discordant,
        question.power,
        question.surer,
        task_spread=question.task_spread,
        tasks=question.tasks,
    )
    if math.isinf(found):
        raise _too_few(question)
    return int(found)


def _too_few(question: Question) -> UserError:
    return UserError(
        f"--tasks {question.tasks} are too few: with a --task-spread of "
        f"{question.task_spread:g} no number of episodes tells a difference of "
        f"{abs(question.delta):g}; take more tasks"
    )
