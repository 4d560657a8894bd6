"""What a sweep asks for next: all cells at once, or round after round until a rule has enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wambench import stopping
from wambench.cells import Cell, Kind, StoredCell
from wambench.stopping import Left, Rounds, Stopping, StoppingRule
from wambench.store.store import Store
from wambench.sweepfile import Plan


@dataclass(frozen=True)
class Until:
    """A rule, its entry point's name, and after how many rounds each it is asked."""

    name: str
    rule: StoppingRule
    look_every: int = 1


class Agenda:
    """Hands out cells, a block at a time; without a rule there is one block.

    A block is some rounds, of all policies that still play. The next is handed out when every
    cell of this one has ended, so what is asked for depends on outcomes alone: not on which
    worker was faster, nor on kills. A cell that infrastructure failed each time ends its block
    too; the rule waits for it (see :meth:`wambench.stopping.StoppingRule.finished`), its policies
    play on, and once it is known the rule decides as if it always had been.

    Raises UserError if the run was begun under another rule.
    """

    def __init__(
        self, plan: Plan, cells: Sequence[Cell], store: Store, until: Until | None = None
    ) -> None:
        self._plan, self._cells, self._store, self._until = plan, cells, store, until
        self._known = store.known()
        self.known_before = sum(cell.key in self._known for cell in cells)
        self._ahead = Counter(cell.kind for cell in cells if cell.key not in self._known)
        self._spared = 0
        self._played = 0  # blocks
        self._last: Sequence[str] = ()  # keys of the block that was handed out last
        self._ended: list[StoredCell] = []  # of all blocks before it
        self._blocks, self._record = [list(cells)], None
        self.left_before: Mapping[str, Left] = {}  # policies that earlier invocations stopped
        if until is not None:
            rounds = Rounds.of(cells)
            now = Stopping(rule=until.name, settings=dict(until.rule.settings), rounds=rounds)
            record = stopping.continued(store.stopping(), now, str(store.folder))
            # A sweep that was cut off looks again at what it has, and finds what it had found.
            self._record, self.left_before = record.model_copy(update={"left": {}}), record.left
            self._blocks = _blocks(cells, rounds, until.look_every)

    @property
    def left(self) -> dict[str, Left]:
        """Policies that the rule has stopped."""
        return dict(self._record.left) if self._record else {}

    def next(self) -> Sequence[Cell]:
        """Cells to run now; none: the sweep is over. Ask when all cells handed out have ended."""
        if self._until is not None and not self._played:
            self._ask(self._cells)  # this puts cells of older policies aside, those not played too
            self._store.withdraw([cell for cell in self._cells if cell.key not in self._known])
        waiting: list[Cell] = []
        while not waiting and self._more():
            block = [c for c in self._blocks[self._played] if c.policy not in self.left]
            self._played += 1
            self._ask(block)
            self._last = [cell.key for cell in block]
            waiting = [cell for cell in block if cell.key not in self._known]
            self._ahead -= Counter(cell.kind for cell in waiting)
        if self._record is not None:
            self._store.set_stopping(self._record)
        return waiting

    def ahead(self) -> Counter[Kind]:
        """Cells not known yet that later blocks may ask for, by kind."""
        return self._ahead

    def spared(self) -> int:
        """Cells of the file that nobody needs: their policy has left, and they have no episode."""
        return self._spared

    def _ask(self, cells: Sequence[Cell]) -> None:
        specs = {label: policy.spec for label, policy in self._plan.policies.items()}
        starts = [(cell, self._plan.start(cell)) for cell in cells]
        told = [(cell, one.name, one.factors) for cell, one in starts if one.factors is not None]
        self._store.add_plan(cells, list(self._plan.choices.values()), specs, told)

    def _rounds_before(self, label: str) -> int:
        """Rounds that an earlier invocation gave a policy, which may have looked less often."""
        left = self.left_before.get(label)
        return left.rounds if left else 0

    def _more(self) -> bool:
        """Let the rule look at what has been played; whether there are blocks after it."""
        if self._until is not None and self._record is not None and self._played:
            self._ended += self._store.cells(self._last)
            found = stopping.asked(
                self._until.rule, self._ended, self._record, list(self._plan.choices)
            )
            rounds = min(self._played * self._until.look_every, len(self._record.rounds.order))
            new = {
                label: Left(rounds=max(rounds, self._rounds_before(label)), why=why)
                for label, why in found.items()
                if label not in self.left
            }
            self._record = self._record.model_copy(update={"left": self.left | new})
            for kind in [kind for kind in self._ahead if kind[0] in new]:
                self._spared += self._ahead.pop(kind)
        return self._played < len(self._blocks)


def _blocks(cells: Sequence[Cell], rounds: Rounds, look_every: int) -> list[list[Cell]]:
    """Cells of every ``look_every`` rounds, in the order of the file."""
    place = {name: number // look_every for number, name in enumerate(rounds.order)}
    blocks: list[list[Cell]] = [[] for _ in range(1 + max(place.values()))]
    for cell in cells:
        blocks[place[cell.init_state, cell.seed]].append(cell)
    return blocks
