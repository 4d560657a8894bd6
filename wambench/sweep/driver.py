"""The driver of a sweep: the one process that decides what runs and writes what is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wambench.cells import Cell, Kind
from wambench.contract import Frozen
from wambench.episode import Setting
from wambench.errors import UserError
from wambench.passport import SuiteProbe
from wambench.policy_server import PolicyActor
from wambench.stopping import Left
from wambench.store import Store, paces
from wambench.sweep.agenda import Agenda, Until
from wambench.sweep.cluster import Cluster, LocalRay, RayDied, kept_off_stdout, ray
from wambench.sweep.conditions import extended_passport, pixel_warnings
from wambench.sweep.pool import POLL_SECONDS, Event, Pool, Slot
from wambench.sweep.progress import Reporter
from wambench.sweep.schedule import Schedule, TaskName
from wambench.sweep.sizing import Estimator
from wambench.sweep.worker import Finished, first_line, ray_options
from wambench.sweepfile import Plan

RAY_RESTARTS = 3


class SweepOptions(Frozen):
    """How to run, which never changes what comes out."""

    workers: int
    ray_address: str | None = None
    attempts: int = 3  # per cell and invocation
    stall_seconds: float = 120.0
    recycle_episodes: int = 100  # a worker process is replaced after so many
    recycle_rss_mb: int = 4000  # or when it has grown to this
    max_batch: int | None = None  # None: each policy's own
    allow_mismatch: tuple[str, ...] = ()


@dataclass(frozen=True)
class SweepResult:
    """What an invocation did.

    Attributes:
        done: episodes.
        known_before: cells that were known already.
        lost: cells that failed by infrastructure each time.
        spared: cells that need not run because a rule has seen enough.
        left: policies that it stopped.
    """

    done: int
    known_before: int
    lost: int
    spared: int = 0
    left: Mapping[str, Left] = field(default_factory=dict)


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
        driver = _Driver(plan, store, options, reporter, agenda, waiting)
        with kept_off_stdout():
            _run(driver, options, reporter)
        done, lost = driver.done, len(driver.lost)
    return SweepResult(done, known, lost, agenda.spared(), agenda.left)


def _run(driver: _Driver, options: SweepOptions, reporter: Reporter) -> None:
    """Run to the end, over several lives of Ray if need be."""
    for life in range(RAY_RESTARTS + 1):
        try:
            _one_life(driver, options)
            return
        except RayDied as error:
            reporter.note(f"Ray failed ({error})")
            if life == RAY_RESTARTS:
                raise UserError(
                    f"Ray failed {life + 1} times, last: {error}; all finished cells "
                    "are stored, the same command goes on from there"
                ) from None


def _one_life(driver: _Driver, options: SweepOptions) -> None:
    cluster = Cluster(options.ray_address) if options.ray_address else LocalRay(options.workers)
    try:
        driver.run(cluster)
    except Exception as error:
        # Whatever call happened to be under way when Ray went away fails in its own manner.
        reason = _why_ray_died(cluster, error)
        if reason is None:
            raise
        driver.lose_running("ray", reason)
        raise RayDied(reason) from None
    finally:
        cluster.stop()


def _why_ray_died(cluster: Cluster, error: Exception) -> str | None:
    """One line, or None if the error has nothing to do with Ray's death."""
    if isinstance(error, ray.exceptions.RayError):
        return first_line(error)
    try:
        cluster.check()
    except RayDied as died:
        return str(died)
    return None


class _Driver:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        options: SweepOptions,
        reporter: Reporter,
        agenda: Agenda,
        waiting: Sequence[Cell],
    ) -> None:
        self._plan, self._store, self._options = plan, store, options
        self._reporter, self._agenda = reporter, agenda
        self._estimator = Estimator(plan, paces(store))
        self._schedule = Schedule(
            waiting,
            self._estimator.seconds,
            lambda task: plan.suites[task[0]].spec.open_seconds,
        )
        self._left = _by_policy(waiting, agenda.ahead())
        self._parking = bool(agenda.ahead())  # idle workers may get cells of their task again
        self._over = False  # the agenda has nothing more
        self._failures: Counter[str] = Counter()  # by cell key, in this invocation
        self._open_failures: Counter[TaskName] = Counter()
        self._settings = {
            (label, name, task.index): Setting(
                plan.protocol, plan.suites[name].spec, policy.spec, task.instruction
            )
            for label, policy in plan.policies.items()
            for (name, _), task in plan.tasks.items()
        }
        self._passport_done = False
        self._pool: Pool | None = None
        self._policies: dict[str, Any] = {}
        self.done = 0
        self.lost: set[str] = set()

    def run(self, cluster: Cluster) -> None:
        """Run everything that waits, in one life of Ray; raises RayDied when that ends early."""
        options = self._options
        self._cluster = cluster
        self._pool = Pool(options.workers, self._plan.protocol.rendering, options.stall_seconds)
        self._start_policies()
        if not self._passport_done:
            probes = self._probe_suites()
            allowed = self._options.allow_mismatch
            self._store.set_passport(extended_passport(self._plan, self._store, allowed, probes))
            for line in pixel_warnings(probes):
                self._reporter.note(line)
            self._passport_done = True
        while self._go_on():
            for event in self._wait():
                self._handle(event)
            self._reporter.update(self._eta())

    def lose_running(self, kind: str, message: str) -> None:
        """Charge the death of the whole machinery to the cells that were running."""
        self._policies.clear()  # they are gone with Ray; do not try to kill them
        for slot in self._pool.slots if self._pool else ():
            if slot.cell is not None:
                self._lose(slot.cell, kind, message, "")

    def _wait(self) -> Iterator[Event]:
        assert self._pool is not None
        self._cluster.check()
        for event in self._pool.wait():
            # A worker that went down with Ray is Ray's failure, not its cell's.
            if event.kind:
                self._cluster.check()
            yield event

    # -- before the first episode ----------------------------------------------------------

    def _start_policies(self) -> None:
        actor = ray.remote(PolicyActor)
        self._policies = {}
        for label, left in self._left.items():
            if left:
                choice, policy = self._plan.choices[label], self._plan.policies[label]
                self._policies[label] = actor.options(**ray_options(policy.spec.num_gpus)).remote(
                    choice.name, dict(choice.options), self._options.max_batch
                )
        for label, handle in self._policies.items():
            loading = handle.ready.remote()
            while not ray.wait([loading], timeout=POLL_SECONDS)[0]:
                self._cluster.check()
            try:
                ray.get(loading)
            except (ray.exceptions.RayTaskError, ray.exceptions.RayActorError) as error:
                self._cluster.check()
                raise UserError(f"policy {label!r} fails to load: {_last_line(error)}") from None

    def _probe_suites(self) -> list[SuiteProbe]:
        """Open task 0 of every suite, as many at a time as there are workers."""
        assert self._pool is not None
        todo = [(name, 0) for name in self._plan.suites]
        probes: list[SuiteProbe] = []
        attempts: Counter[TaskName] = Counter()
        self._reporter.note("checking simulators and golden frames")
        while len(probes) < len(self._plan.suites):
            while todo and len(self._pool.slots) < self._pool.size:
                self._pool.open(todo.pop())
            for event in self._wait():
                task = event.slot.task
                if event.kind:
                    attempts[task] += 1
                    if attempts[task] == self._options.attempts:
                        raise UserError(
                            f"cannot open {task[0]}: {event.message}; run wambench doctor"
                        )
                    todo.append(task)
                elif event.slot.doing == "open":
                    self._pool.probe(event.slot)
                else:
                    probes.append(event.value)
                    self._park(event.slot, room_needed=bool(todo))
        return sorted(probes, key=lambda probe: probe.suite)

    def _park(self, slot: Slot, room_needed: bool) -> None:
        """Keep a probed worker for the cells of its task, if it has any and there is room."""
        assert self._pool is not None
        slot.doing = "idle"
        if room_needed or not self._schedule.has(slot.task):
            self._pool.kill(slot)

    # -- the loop --------------------------------------------------------------------------

    def _go_on(self) -> bool:
        """Keep the workers busy; False when there is nothing left to do."""
        assert self._pool is not None
        if not self._pool.busy and not len(self._schedule) and not self._over:
            self._ask()
        self._fill()
        return bool(self._pool.slots)

    def _ask(self) -> None:
        """Take more cells from the agenda. All that were taken before have ended."""
        before, spared = self._agenda.left, self._agenda.spared()
        waiting = self._agenda.next()
        self._over, self._parking = not waiting, bool(self._agenda.ahead())
        self._schedule.add(waiting)
        for label, left in self._agenda.left.items():
            if label not in before:
                self._reporter.note(f"{label} has ended: {left.why}")
        self._reporter.spared(self._agenda.spared() - spared)
        self._left = _by_policy(waiting, self._agenda.ahead())
        for label in [label for label in self._policies if not self._left[label]]:
            ray.kill(self._policies.pop(label))

    def _fill(self) -> None:
        """Give every idle worker a cell and start workers while there is work for them."""
        assert self._pool is not None
        without: list[Slot] = []
        for slot in [slot for slot in self._pool.slots if slot.reference is None]:
            cell = self._schedule.next_of(slot.task)
            if cell is None:
                without.append(slot)
            else:
                setting = self._settings[cell.policy, cell.suite, cell.task_index]
                self._pool.run(slot, cell, setting, self._policies[cell.policy])
        while without and not self._parking:
            self._pool.kill(without.pop())
        while task := self._schedule.next_task(slot.task for slot in self._pool.slots):
            if len(self._pool.slots) == self._pool.size:
                if not without:
                    return
                self._pool.kill(without.pop())
            self._pool.open(task)

    def _handle(self, event: Event) -> None:
        assert self._pool is not None
        slot = event.slot
        if event.kind:
            self._handle_failure(event)
        elif slot.doing == "run":
            finished: Finished = event.value
            self._store.add_episode(finished.record)
            self._estimator.learn(finished.record.cell, finished.record.seconds)
            self._reporter.finished(finished.record)
            self.done += 1
            self._retire(finished.record.cell)
            slot.cell = None
            slot.episodes += 1
            worn = slot.episodes >= self._options.recycle_episodes
            if worn or finished.rss_mb > self._options.recycle_rss_mb:
                self._pool.kill(slot)
        slot.doing = "idle"

    def _handle_failure(self, event: Event) -> None:
        slot = event.slot
        if slot.cell is not None:
            if event.kind == "policy stalled":
                ray.kill(self._policies[slot.cell.policy], no_restart=False)
            self._lose(slot.cell, event.kind, event.message, event.traceback)
            return
        self._open_failures[slot.task] += 1
        if self._open_failures[slot.task] >= self._options.attempts:
            for cell in self._schedule.drop_task(slot.task):
                self._failures[cell.key] = self._options.attempts
                self._lose(cell, f"open {event.kind}", event.message, event.traceback)

    def _lose(self, cell: Cell, kind: str, message: str, traceback: str) -> None:
        """Record an infrastructure failure; try again while attempts are left."""
        self._store.add_attempt(cell, kind, message, traceback)
        self._failures[cell.key] += 1
        again = self._failures[cell.key] < self._options.attempts
        self._reporter.infrastructure(cell, kind, message, again=again)
        if again:
            self._schedule.put_back(cell)
        else:
            self.lost.add(cell.key)
            self._retire(cell)

    def _retire(self, cell: Cell) -> None:
        """Free a policy's process after its last cell."""
        self._left[cell.policy] -= 1
        actor = self._policies.get(cell.policy)
        if not self._left[cell.policy] and actor is not None:
            del self._policies[cell.policy]
            ray.kill(actor)

    def _eta(self) -> float:
        left = self._schedule.remaining() + self._agenda.ahead()
        return self._estimator.wall_seconds(left, self._options.workers)


def _by_policy(waiting: Sequence[Cell], ahead: Mapping[Kind, int]) -> Counter[str]:
    """How many cells each policy has left."""
    left = Counter(cell.policy for cell in waiting)
    for (policy, _, _), count in ahead.items():
        left[policy] += count
    return left


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
