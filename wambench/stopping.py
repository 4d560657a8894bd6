"""End a sweep before its file does: cells in rounds, and the rule that says when enough is known.

A round is one cell of every task for every policy that still plays: one initial state and seed. A
rule looks at complete rounds in the order of the sweep file and names the policies that have
nothing left to show. It comes from a package, by entry point: the engine knows no statistics.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from wambench.cells import Cell, StoredCell
from wambench.contract import Frozen
from wambench.errors import UserError, one_line


class Rounds(Frozen):
    """In which order cells are looked at.

    Attributes:
        order: (initial state, seed) of each round, as the sweep file has them.
        tasks: (suite, task index); every round has every one.
    """

    order: tuple[tuple[int, int], ...]
    tasks: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> Rounds:
        """The rounds of a plan's cells."""
        return cls(
            order=tuple(dict.fromkeys((cell.init_state, cell.seed) for cell in cells)),
            tasks=tuple(dict.fromkeys((cell.suite, cell.task_index) for cell in cells)),
        )


class Left(Frozen):
    """A policy that plays no more: the rounds it was given, and why they are enough."""

    rounds: int
    why: str


class Stopping(Frozen):
    """What a run remembers of its rule, from the first round on.

    Attributes:
        rule: name of the entry point.
        settings: everything that its decisions depend on beside the outcomes.
        rounds: all that the sweep file asks for.
        left: policies that have been stopped so far.
    """

    rule: str
    settings: Mapping[str, Any]
    rounds: Rounds
    left: Mapping[str, Left] = {}


class StoppingRule(ABC):
    """Decides by outcomes alone, so that a sweep ends where it ends however it was run."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Everything, as JSON, that decisions depend on beside the outcomes."""

    @abstractmethod
    def finished(self, cells: Sequence[StoredCell], rounds: Rounds) -> Mapping[str, str]:
        """Name the policies that need no more rounds, each with the reason in one line.

        Args:
            cells: of all rounds played so far; the outcome is None where infrastructure failed
                each time. Once such a cell is known, the answer must be the one that it would
                have been: decide by the rounds before it, and wait.
            rounds: of the whole sweep.
        """


def continued(before: Stopping | None, now: Stopping, folder: str) -> Stopping:
    """The record to go on with; raises UserError if a run was begun under another rule.

    A rule that is changed after outcomes were seen promises nothing. More rounds at the end do
    not change what earlier ones say.
    """
    if before is None:
        return now
    played = len(before.rounds.order)
    terms = [
        ("rule", before.rule, now.rule),
        *(
            (name, before.settings.get(name), now.settings.get(name))
            for name in sorted({*before.settings, *now.settings})
        ),
        ("tasks", before.rounds.tasks, now.rounds.tasks),
        ("initial states and seeds", before.rounds.order, now.rounds.order[:played]),
    ]
    for name, old, new in terms:
        if old != new:
            shown = f"{old!r} against {new!r}"
            detail = shown if len(shown) <= 160 else "not as they were"
            raise UserError(
                f"{folder!r} was begun with another stopping rule, {name}: {detail}; give the "
                "same, leave --until-decided out to play every round, or choose another --out"
            )
    return before.model_copy(update={"rounds": now.rounds})


def asked(
    rule: StoppingRule, cells: Sequence[StoredCell], record: Stopping, labels: Sequence[str]
) -> Mapping[str, str]:
    """Ask a rule; raises UserError if it breaks or names a policy that does not play."""
    try:
        found = dict(rule.finished(cells, record.rounds))
        reasons = {str(label): " ".join(str(why).split()) for label, why in found.items()}
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise UserError(
            f"stopping rule {record.rule!r} fails: {one_line(error)}; mend its package or leave "
            "--until-decided out; all finished cells are stored"
        ) from error
    unknown = sorted(set(reasons) - set(labels))
    if unknown:
        raise UserError(
            f"stopping rule {record.rule!r} stops {unknown[0]!r}, which is no policy of this "
            "sweep; mend its package or leave --until-decided out"
        )
    return reasons
