"""Which of two results is better. The statistics are another package's, found by entry point."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union

from wambench import plugins
from wambench.api.arguments import named_as_arguments
from wambench.api.evaluation import Evaluation
from wambench.api.run import Run
from wambench.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

VERDICT = "verdict"
Result: TypeAlias = Union[Run, Evaluation, str, os.PathLike[str], "pd.DataFrame"]


class Judgement(Protocol):
    """On two results."""

    @property
    def first(self) -> str:
        """Its label."""

    @property
    def second(self) -> str:
        """The label of the other."""

    @property
    def text(self) -> str:
        """What the first is: better, worse, equivalent, undecided or not comparable."""

    @property
    def winner(self) -> str | None:
        """Label of the better one; None where neither is shown to be."""

    @property
    def basis(self) -> str:
        """How the two were compared, or why they cannot be."""

    @property
    def rates(self) -> tuple[float, float] | None:
        """Of both, on the episodes that were compared."""

    @property
    def difference(self) -> float | None:
        """First minus second."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the difference, 95 %."""

    @property
    def p_value(self) -> float | None:
        """Of "neither is better", alone; the words hold for all pairs together (Holm)."""


class Verdict(Protocol):
    """On all results; ``str()`` of it is the table that the command prints."""

    @property
    def judgements(self) -> Sequence[Judgement]:
        """One a pair, in the order of the results."""

    @property
    def winner(self) -> str | None:
        """Label of the one that is better than each other; None: there is none."""

    def to_dict(self) -> dict[str, Any]:
        """What ``wambench verdict --json`` prints."""


@named_as_arguments
def verdict(
    *results: Result,
    policy: str | Sequence[str] | None = None,
    margin: float | None = None,
    columns: Mapping[str, str] | None = None,
    trend: bool = False,
) -> Verdict:
    """Say which result is better, as ``wambench verdict`` does: paired where episodes are shared.

    Args:
        results: at least two policies' in all: runs and evaluations; paths of runs and of files of
            others; counts such as "492/500" or "NAME=492/500"; tables with a row an episode (of
            ``episodes()``, or with columns policy, suite, task, episode, success).
        policy: only these (labels) of the runs, files and tables.
        margin: difference of rates that counts as equivalent; None: 0.05.
        columns: role -> column of a table, for columns that are not called after their role.
        trend: also test whether success rises in the order given.

    Raises:
        UserError: a result that cannot be read, or no statistics are installed.

    """
    if VERDICT not in plugins.installed(plugins.FUNCTIONS):
        raise UserError(
            "wambench.verdict needs the statistics of the package analysis, which is not installed "
            "(no entry point verdict in wambench.functions); install wambench whole, from its "
            "checkout: pip install -e ."
        )
    found: Verdict = plugins.load(plugins.FUNCTIONS, "function", VERDICT)(
        results,
        policies=[policy] if isinstance(policy, str) else policy or (),
        columns=columns or {},
        is_series=trend,
        **({} if margin is None else {"margin": margin}),
    )
    return found
