"""The loop of a sweep: policies and simulators come and go, cells run, records are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

from wambench.arithmetic import Arithmetic
from wambench.cells import Cell, Kind
from wambench.episode import EpisodeRecord
from wambench.errors import UserError
from wambench.passport import SuiteProbe
from wambench.policy_server import PolicyActor
from wambench.store import Store, paces
from wambench.suite import first_task
from wambench.sweepfile import Plan
from wambench.sweeping.agenda import Agenda
from wambench.sweeping.cluster import Cluster, RayDied, ray
from wambench.sweeping.conditions import extended_passport, pixel_warnings
from wambench.sweeping.estimating import Estimator
from wambench.sweeping.machine import Node
from wambench.sweeping.options import SweepOptions
from wambench.sweeping.pool import POLL_SECONDS, Event, Pool, Slot
from wambench.sweeping.progress import Reporter
from wambench.sweeping.residents import Arrival, Residents
from wambench.sweeping.schedule import Schedule, TaskName
from wambench.sweeping.sizing import Sizing, size
from wambench.sweeping.trust import KIND, POLICY_KINDS, Trust
from wambench.sweeping.watch import Watch
from wambench.sweeping.worker import Finished, ray_options

NODES_SECONDS = 5.0  # from one count of a cluster's nodes to the next
POLICY: Any = ray.remote(PolicyActor)


class Loop:
    """One invocation's work, over as many lives of Ray as it takes."""

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
        self._passport_done = False
        self._arithmetic: dict[str, Arithmetic] = {}
        self._sizing: Sizing | None = None
        self._nodes_seen = 0.0
        self._pool: Pool | None = None
        self._residents: Residents | None = None
        known = {stored.cell.policy for stored in store.cells() if stored.outcome is not None}
        self._trust = Trust(
            label for label, p in plan.policies.items() if p.logistics and label not in known
        )
        self.done = 0
        self.lost: set[str] = set()

    def fit(self, nodes: Sequence[Node]) -> Sizing:
        """What runs on these nodes; raises UserError for what never can."""
        asked = [label for label, left in self._left.items() if left]
        sizing = size(self._plan, self._options.workers, nodes, asked)
        turns = sizing.turns()
        if len(turns) > 1 and (self._sizing is None or len(self._sizing.turns()) != len(turns)):
            self._reporter.note(
                f"{len(asked)} policies do not fit at once: "
                f"{', '.join(map(str, map(len, turns)))} in turns"
            )
        self._sizing = sizing
        return sizing

    def run(self, cluster: Cluster) -> None:
        """Run everything that waits, in one life of Ray; raises RayDied when that ends early."""
        assert self._sizing is not None
        options = self._options
        self._cluster = cluster
        self._watch = Watch(options.wait_seconds, self._reporter.note)
        self._pool = Pool(
            self._sizing.workers, self._plan.protocol.rendering, options.stall_seconds
        )
        self._residents = Residents(
            self._sizing.loads, self._sizing.room(), self._start_policy, options.stall_seconds
        )
        self._load_first()
        if not self._passport_done:
            probes = self._probe_suites()
            self._extend_passport(probes=probes, arithmetic=self._arithmetic)
            for line in pixel_warnings(probes):
                self._reporter.note(line)
            self._passport_done = True
        while self._go_on():
            for event in self._wait():
                self._handle(event)
            self._reporter.update(self._eta())

    def lose_running(self, kind: str, message: str) -> None:
        """Charge the death of the whole machinery to the cells that were running."""
        self._residents = None  # they are gone with Ray; do not try to kill them
        for slot in self._pool.slots if self._pool else ():
            if slot.cell is not None:
                self._lose(slot.cell, kind, message, "")

    def _wait(self) -> Iterator[Event]:
        assert self._pool is not None and self._residents is not None
        self._cluster.check()
        self._check_nodes()
        for event in self._pool.wait(self._residents.pending):
            # A worker that went down with Ray is Ray's failure, not its cell's.
            if event.kind:
                self._cluster.check()
            else:
                self._watch.moved()
            yield event
        for slot in self._pool.slots:
            self._watch.moved(slot.moved_at)
        waiting = self._residents.waiting_for()
        opening = sum(slot.doing == "open" for slot in self._pool.slots)
        if opening:
            waiting.append(f"{opening} simulator{'s' * (opening > 1)} to open")
        elif self._pool.busy:
            return  # the pool watches the episodes themselves
        self._watch.look(waiting or ["a place for a policy or a simulator"])

    def _check_nodes(self) -> None:
        """Begin another life if nodes of a cluster have gone: what ran there has no place now.

        Ray would start it again elsewhere, but what does not fit any more would wait for ever.
        """
        assert self._sizing is not None
        now = monotonic()
        if not self._cluster.shared or now - self._nodes_seen < NODES_SECONDS:
            return
        self._nodes_seen = now
        gone = len(self._sizing.nodes) - len(self._cluster.nodes())
        if gone > 0:
            raise RayDied(f"{gone} of its {len(self._sizing.nodes)} nodes have gone")

    # -- before the first episode ----------------------------------------------------------

    def _start_policy(self, label: str) -> Any:
        """Start one process of a policy."""
        assert self._sizing is not None
        choice, load = self._plan.choices[label], self._sizing.loads[label]
        return POLICY.options(**ray_options(load.gpus)).remote(
            choice.name, dict(choice.options), self._options.max_batch
        )

    def _load_first(self) -> None:
        """Load the policies that come first; one that cannot be loaded ends the sweep here."""
        assert self._residents is not None
        self._fill_residents()
        while pending := self._residents.pending:
            ray.wait(pending, timeout=POLL_SECONDS)
            self._cluster.check()
            for arrival in self._residents.poll():
                self._watch.moved()
                if arrival.error is not None:
                    self._cluster.check()
                    raise UserError(
                        f"policy {arrival.label!r} fails to load: {_last_line(arrival.error)}"
                    ) from None
                self._check_arithmetic(arrival)
            self._watch.look(self._residents.waiting_for())

    def _extend_passport(self, **found: Any) -> None:
        """Add what was ``found`` to the run's passport; raises UserError if it conflicts."""
        allowed = self._options.allow_mismatch
        self._store.set_passport(extended_passport(self._plan, self._store, allowed, **found))

    def _check_arithmetic(self, arrival: Arrival) -> None:
        """Refuse a policy that computes otherwise than it did in this run, before it acts."""
        if arrival.answer is None:
            return
        if not self._passport_done and arrival.label not in self._arithmetic:
            self._arithmetic |= dict.fromkeys(self._arms(arrival.label), arrival.answer)
        # Of several processes each is held to the first.
        first = self._arithmetic.get(arrival.label, arrival.answer)
        held = dict.fromkeys(self._arms(arrival.label), first)
        extended_passport(self._plan, self._store, self._options.allow_mismatch, arithmetic=held)
        if self._passport_done or first.answers != arrival.answer.answers:
            self._extend_passport(arithmetic=held)
            self._extend_passport(arithmetic=dict.fromkeys(held, arrival.answer))

    def _fill_residents(self) -> None:
        """Let the policies that have cells in, as far as there is room."""
        assert self._residents is not None
        waiting, process = self._schedule.policies(), self._plan.process
        self._residents.fill(
            list(dict.fromkeys(process[one] for one in self._plan.choices if one in waiting))
        )

    def _arms(self, process: str) -> list[str]:
        """Labels of the policies that are asked in a process."""
        return [label for label, its in self._plan.process.items() if its == process]

    def _release(self, label: str) -> None:
        """End the process of a policy that has nothing left, unless others are asked in it."""
        process = self._plan.process[label]
        if self._residents is not None and not any(self._left[one] for one in self._arms(process)):
            self._residents.drop(process)

    def _welcome(self) -> None:
        """See which policies have been loaded; cells of one that cannot be are given up."""
        assert self._residents is not None
        for arrival in self._residents.poll():
            self._watch.moved()
            if arrival.error is None:
                self._check_arithmetic(arrival)
                continue
            self._cluster.check()
            why = f"policy {arrival.label!r} fails to load: {_last_line(arrival.error)}"
            for label in self._arms(arrival.label):
                for cell in self._schedule.drop_policy(label):
                    self._failures[cell.key] = self._options.attempts
                    self._lose(cell, "policy load", why, str(arrival.error))

    def _probe_suites(self) -> list[SuiteProbe]:
        """Open the first task of every suite, as many at a time as there are workers."""
        assert self._pool is not None
        todo = [(name, first_task(suite).index) for name, suite in self._plan.suites.items()]
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
        self._welcome()
        self._fill_residents()
        self._fill()
        return self._pool.busy or bool(len(self._schedule))

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
        before_left = list(self._left)
        self._left = _by_policy(waiting, self._agenda.ahead())
        for label in before_left:
            if not self._left[label]:
                self._release(label)

    def _fill(self) -> None:
        """Give every idle worker a cell and start workers while there is work for them."""
        assert self._pool is not None and self._residents is not None
        here = self._residents.ready
        ready = {label for label, process in self._plan.process.items() if process in here}
        without: list[Slot] = []
        for slot in [slot for slot in self._pool.slots if slot.reference is None]:
            cell = self._schedule.next_of(slot.task, ready)
            if cell is None:
                without.append(slot)
            else:
                replica = self._residents.begin(self._plan.process[cell.policy])
                self._pool.run(slot, cell, self._plan.setting(cell), replica)
        if not self._parking:
            for slot in [slot for slot in without if not self._schedule.has(slot.task)]:
                without.remove(slot)
                self._pool.kill(slot)
        while task := self._schedule.next_task((slot.task for slot in self._pool.slots), ready):
            if len(self._pool.slots) == self._pool.size:
                if not without:
                    return
                self._pool.kill(without.pop())
            self._pool.open(task)

    def _handle(self, event: Event) -> None:
        assert self._pool is not None
        slot = event.slot
        replica, slot.replica = slot.replica, None
        if replica is not None:
            Residents.end(replica)
            if event.dead or event.kind == "policy stalled":
                Residents.restart(replica)
        if event.kind:
            self._handle_failure(event)
        elif slot.doing == "run":
            finished: Finished = event.value
            if not self._trusted(finished.record):
                slot.cell, slot.doing = None, "idle"
                return
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

    def _trusted(self, record: EpisodeRecord) -> bool:
        """Whether it counts; else it is stored as an attempt and its cell waits again."""
        try:
            counts = self._trust.ended(record)
        except UserError:
            self._store.add_attempt(record.cell, KIND, record.fault, "")
            raise
        if not counts:
            self._lose(record.cell, KIND, record.fault, "")
        return counts

    def _handle_failure(self, event: Event) -> None:
        slot = event.slot
        if slot.cell is not None:
            self._lose(slot.cell, event.kind, event.message, event.traceback)
            if event.kind in POLICY_KINDS:
                self._trust.failed(slot.cell.policy, event.message)
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
        if not self._left[cell.policy]:
            self._release(cell.policy)

    def _eta(self) -> float:
        left = self._schedule.remaining() + self._agenda.ahead()
        return self._estimator.wall_seconds(left, self._sizing.workers if self._sizing else 1)


def _by_policy(waiting: Sequence[Cell], ahead: Mapping[Kind, int]) -> Counter[str]:
    """How many cells each policy has left."""
    left = Counter(cell.policy for cell in waiting)
    for (policy, _, _), count in ahead.items():
        left[policy] += count
    return left


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
