"""The driver of a sweep: the one process that decides what runs and writes what is known."""

from __future__ import annotations

from collections.abc import Sequence

from wambench.cells import Cell
from wambench.errors import UserError
from wambench.store import Store
from wambench.sweepfile import Plan
from wambench.sweeping.agenda import Agenda, Until
from wambench.sweeping.cluster import Cluster, LocalRay, RayDied, kept_off_stdout, ray
from wambench.sweeping.conditions import extended_passport
from wambench.sweeping.ended import SweepResult
from wambench.sweeping.loop import Loop
from wambench.sweeping.machine import Node, this_machine
from wambench.sweeping.options import SweepOptions
from wambench.sweeping.progress import Reporter
from wambench.sweeping.worker import first_line

RAY_RESTARTS = 3


def run_sweep(
    plan: Plan,
    cells: Sequence[Cell],
    store: Store,
    options: SweepOptions,
    reporter: Reporter,
    until: Until | None = None,
) -> SweepResult:
    """Run the cells that the store does not know yet: all of them, or ``until`` a rule ends it.

    A KeyboardInterrupt passes through after the workers are gone; everything finished is stored.
    """
    extended_passport(plan, store, options.allow_mismatch)
    agenda = Agenda(plan, cells, store, until)
    waiting = agenda.next()
    spared, known = agenda.spared(), agenda.known_before
    reporter.begin(len(cells) - spared, known, len(waiting) + agenda.ahead().total())
    for label, left in agenda.left.items():
        reporter.note(f"{label} has ended: {left.why}")
    done, lost = 0, 0
    if waiting:
        loop = Loop(plan, store, options, reporter, agenda, waiting)
        with kept_off_stdout():
            _run(loop, options, reporter)
        done, lost = loop.done, len(loop.lost)
    return SweepResult(done, known, lost, agenda.spared(), agenda.left)


def _run(loop: Loop, options: SweepOptions, reporter: Reporter) -> None:
    """Run to the end, over several lives of Ray if need be."""
    # Measured once: what a dying Ray leaves behind is not what there is.
    here = None if options.ray_address else this_machine(options.memory_gb, options.gpus)
    for life in range(RAY_RESTARTS + 1):
        try:
            _one_life(loop, options, here)
            return
        except RayDied as error:
            reporter.note(f"Ray failed ({error})")
            if life == RAY_RESTARTS:
                raise UserError(
                    f"Ray failed {life + 1} times, last: {error}; all finished cells "
                    "are stored, the same command goes on from there"
                ) from None


def _one_life(loop: Loop, options: SweepOptions, here: Node | None) -> None:
    cluster: Cluster
    if here is not None:
        cluster = LocalRay(loop.fit([here]).workers, here.gpus)
    else:
        cluster = Cluster(options.ray_address or "")
    try:
        if here is None:
            loop.fit(cluster.nodes())
        loop.run(cluster)
    except Exception as error:
        # Whatever call happened to be under way when Ray went away fails in its own manner.
        reason = None if isinstance(error, UserError) else _why_ray_died(cluster, error)
        if reason is None:
            raise
        loop.lose_running("ray", reason)
        raise RayDied(reason) from None
    finally:
        cluster.stop()


def _why_ray_died(cluster: Cluster, error: Exception) -> str | None:
    """One line, or None if the error has nothing to do with Ray's death."""
    if isinstance(error, RayDied):
        return str(error)
    if isinstance(error, ray.exceptions.RayError):
        return first_line(error)
    try:
        cluster.check()
    except RayDied as died:
        return str(died)
    return None
