"""A sweep as it is asked for, by the command or from Python: checked, sized, run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wambench import sweepfile
from wambench.cells import Cell
from wambench.errors import UserError
from wambench.store import STORE_NAME, Store, counts, paces
from wambench.sweepfile import Plan, SweepFile
from wambench.sweeping.agenda import Agenda, Until
from wambench.sweeping.ended import Ended, rates
from wambench.sweeping.machine import this_machine
from wambench.sweeping.options import SweepOptions
from wambench.sweeping.progress import Reporter
from wambench.sweeping.sizing import Sizing, size
from wambench.sweeping.until import until_decided


class Waiting(NamedTuple):
    """Cells still to run, keys that are known, and how long episodes took (see ``paces``)."""

    cells: Sequence[Cell]
    known: set[str]
    spent: Mapping[tuple[str, str], tuple[float, int]]


@dataclass(frozen=True)
class Request:
    """A checked sweep into a run directory. Make one with :func:`requested`."""

    plan: Plan
    cells: Sequence[Cell]  # of the plan, or of a shard of it
    out: Path
    options: SweepOptions
    limit: int | None = None  # of new cells
    until: Until | None = None

    def waiting(self) -> Waiting:
        """What the run directory, if there is one, does not know yet."""
        known: set[str] = set()
        left: set[str] = set()
        spent: Mapping[tuple[str, str], tuple[float, int]] = {}
        if (self.out / STORE_NAME).exists():
            with Store.read(self.out) as store:
                known, spent = store.known(), paces(store)
                if self.until is not None:
                    left = set(Agenda(self.plan, self.cells, store, self.until).left_before)
        cells = [cell for cell in self.cells if cell.key not in known and cell.policy not in left]
        return Waiting(cells, known, spent)

    def sizing(self, waiting: Sequence[Cell]) -> Sizing | None:
        """What these cells take here or on the cluster; None: there is nothing to run.

        Raises UserError for what can never fit.
        """
        asked = {cell.policy for cell in waiting}
        if not asked:
            return None
        nodes = [this_machine(self.options.memory_gb, self.options.gpus)]
        if self.options.ray_address is not None:
            from wambench.sweeping.cluster import Cluster

            cluster = Cluster(self.options.ray_address)
            try:
                nodes = cluster.nodes()
            finally:
                cluster.stop()
        labels = [label for label in self.plan.choices if label in asked]
        return size(self.plan, self.options.workers, nodes, labels)

    def run(self, reporter: Reporter, command: str) -> Ended:
        """Run what the run directory does not know yet.

        Args:
            reporter: is told how it goes.
            command: what asked for it, for the record.

        Raises:
            UserError: it does not fit here, the run is of other conditions or cannot be written.
            KeyboardInterrupt: it was stopped; everything finished is stored.

        """
        if self.options.ray_address is None:
            self.sizing(self.waiting().cells)  # refuse before a run is made
        from wambench.sweeping.driver import run_sweep  # imports Ray: a second

        cells = self.cells
        with Store.write(self.out, command) as store:
            if self.limit is not None:
                known = store.known()
                cells = [cell for cell in cells if cell.key not in known][: self.limit]
            for line in self.plan.notes:
                reporter.note(line)
            try:
                with reporter:
                    result = run_sweep(self.plan, cells, store, self.options, reporter, self.until)
            except KeyboardInterrupt:
                done = store.episodes()
                reporter.note(
                    f"stopped: {done} cells are stored; the same command goes on from there"
                )
                raise
            found = rates(counts(store))
        return Ended(result, len(cells), found, self.options.attempts, self.out)


def requested(
    file: SweepFile,
    out: Path,
    options: SweepOptions,
    *,
    shard: str | None = None,
    limit: int | None = None,
    pairs: Sequence[str] = (),
    effect: float | None = None,
    look_every: int | None = None,
) -> Request:
    """Plan and check a sweep; nothing is written.

    Args:
        file: what to run.
        out: the run directory, to be made, resumed or extended.
        options: how to run.
        shard: part "i/n" of the cells; None: all.
        limit: run at most so many new ones.
        pairs: end when it is decided which of these is better; see :func:`until_decided`.
        effect: of that.
        look_every: of that.

    Raises:
        UserError: it cannot be, or its parts do not go together.

    """
    plan = sweepfile.plan(file)
    cells = sweepfile.shard(plan.cells, shard) if shard else plan.cells
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit} is not a number of cells; give 1 or more")
    for name, given in (("--shard", shard), ("--limit", limit)):
        if pairs and given is not None:
            raise UserError(
                f"{name} {given} and --until-decided do not go together, which needs whole rounds "
                "of one sweep; leave one of them out"
            )
    until = until_decided(plan, pairs, effect, look_every)
    for name, allowed in (("--memory-gb", options.memory_gb), ("--gpus", options.gpus)):
        if options.ray_address is not None and allowed is not None:
            raise UserError(
                f"{name} {allowed} is for this machine; leave it out with --ray-address"
            )
    return Request(plan, cells, out, options, limit, until)
