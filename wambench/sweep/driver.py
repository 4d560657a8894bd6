"""The driver of a sweep: the one process that decides what runs and writes what is known."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wambench.cells import Cell
from wambench.contract import Frozen
from wambench.episode import Setting
from wambench.errors import UserError
from wambench.passport import Passport, SuiteProbe, differences, make_passport, merged
from wambench.store.store import Store
from wambench.sweep.progress import Reporter
from wambench.sweep.schedule import Schedule, TaskName
from wambench.sweep.sizing import Estimator
from wambench.sweepfile import Plan

# Ray reads these when it is imported: no usage statistics leave the machine, a dead control
# service is noticed in seconds instead of a minute, and its warnings are for Ray's developers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "10")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray

from wambench.policy_server import PolicyActor
from wambench.sweep.pool import Event, Pool, Slot
from wambench.sweep.worker import Finished, first_line, ray_options

OBJECT_STORE_BYTES = 200 * 2**20  # observations are the only large objects: 0.3 MB each
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
    """What an invocation did. ``lost`` cells failed by infrastructure each time."""

    done: int
    known_before: int
    lost: int


def run_sweep(
    plan: Plan, cells: Sequence[Cell], store: Store, options: SweepOptions, reporter: Reporter
) -> SweepResult:
    """Run the ``cells`` of a plan that the store does not know yet.

    A KeyboardInterrupt passes through after the workers are gone; everything finished is stored.
    """
    store.add_plan(cells, plan.choices.values(), {k: p.spec for k, p in plan.policies.items()})
    known = store.known()
    waiting = [cell for cell in cells if cell.key not in known]
    reporter.begin(len(cells), len(cells) - len(waiting), len(waiting))
    if not waiting:
        return SweepResult(0, len(cells), 0)
    driver = _Driver(plan, store, options, reporter, waiting)
    for life in range(RAY_RESTARTS + 1):
        _connect(options)
        try:
            driver.run()
            break
        except (ray.exceptions.RaySystemError, ConnectionError) as error:
            reporter.note(f"Ray failed ({first_line(error)})")
            driver.lose_running("ray", first_line(error))
            if life == RAY_RESTARTS:
                raise UserError(
                    f"Ray failed {life + 1} times, last: {first_line(error)}; all finished cells "
                    "are stored, the same command goes on from there"
                ) from None
        finally:
            ray.shutdown()
    return SweepResult(driver.done, len(cells) - len(waiting), len(driver.lost))


def start_local_ray(cpus: int) -> None:
    """Start a Ray of our own on this machine, which dies with this process."""
    # A token of this run's own; otherwise Ray keeps one in the home directory.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=OBJECT_STORE_BYTES,
    )


def _connect(options: SweepOptions) -> None:
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        if options.ray_address:
            ray.init(address=options.ray_address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            start_local_ray(options.workers)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = options.ray_address or "on this machine"
        remedy = "check the address" if options.ray_address else "run wambench doctor"
        raise UserError(f"cannot start Ray {where}: {first_line(error)}; {remedy}") from None
    finally:
        # Ray replaces the handler by one that prints a stack and exits on the spot.
        signal.signal(signal.SIGTERM, on_terminate)


class _Driver:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        options: SweepOptions,
        reporter: Reporter,
        waiting: Sequence[Cell],
    ) -> None:
        self._plan, self._store, self._options = plan, store, options
        self._reporter = reporter
        self._estimator = Estimator(plan, store.cells())
        self._schedule = Schedule(
            waiting,
            self._estimator.seconds,
            lambda task: plan.suites[task[0]].spec.open_seconds,
        )
        self._left = Counter(cell.policy for cell in waiting)
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
        self._interrupted: list[Cell] = []
        self.done = 0
        self.lost: set[str] = set()

    def run(self) -> None:
        """Run everything that waits, in one life of Ray."""
        options = self._options
        self._pool = Pool(options.workers, self._plan.protocol.rendering, options.stall_seconds)
        try:
            self._start_policies()
            if not self._passport_done:
                self._check_passport(self._probe_suites())
                self._passport_done = True
            self._fill()
            while self._pool.slots:
                for event in self._pool.wait():
                    self._handle(event)
                self._fill()
                self._reporter.update(self._eta())
        finally:
            self._interrupted = [slot.cell for slot in self._pool.slots if slot.cell is not None]
            with contextlib.suppress(Exception):  # Ray itself may be gone
                self._pool.kill_all()

    def lose_running(self, kind: str, message: str) -> None:
        """Charge the death of the whole machinery to the cells that were running."""
        for cell in self._interrupted:
            self._lose(cell, kind, message, "")

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
            try:
                ray.get(handle.ready.remote())
            except (ray.exceptions.RayTaskError, ray.exceptions.RayActorError) as error:
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
            for event in self._pool.wait():
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

    def _check_passport(self, probes: Sequence[SuiteProbe]) -> None:
        """Refuse to extend a run made under other conditions; warn of unfamiliar pixels."""
        plan = self._plan
        passport = make_passport(
            plan.protocol,
            list(plan.suites.values()),
            list(plan.choices.values()),
            plan.policies,
            probes,
        )
        stored = self._store.passport()
        if stored is not None:
            # A changed policy needs no refusal: its cells have other keys and run anew.
            conflicts = [
                line
                for line in differences(_without_policies(stored), _without_policies(passport))
                if not line.split(": ")[0].startswith(self._options.allow_mismatch or ("\0",))
            ]
            if conflicts:
                raise UserError(
                    f"{str(self._store.folder)!r} was made under other conditions: "
                    f"{'; '.join(conflicts)}; choose another --out, or add --allow-mismatch "
                    f"{conflicts[0].split(': ')[0]}"
                )
            passport = merged(stored, passport)
        self._store.set_passport(passport)
        for probe in probes:
            if probe.golden not in ("equal", "none shipped"):
                here = ", ".join(f"{k} {v}" for k, v in probe.environment.items())
                self._reporter.note(
                    f"warning: {probe.suite} does not look as on the reference machine "
                    f"({probe.golden}); here: {here}. Recorded in the passport"
                )

    # -- the loop --------------------------------------------------------------------------

    def _fill(self) -> None:
        """Give every idle worker a cell and start workers while there is work for them."""
        assert self._pool is not None
        for slot in [slot for slot in self._pool.slots if slot.reference is None]:
            cell = self._schedule.next_of(slot.task)
            if cell is None:
                self._pool.kill(slot)
            else:
                setting = self._settings[cell.policy, cell.suite, cell.task_index]
                self._pool.run(slot, cell, setting, self._policies[cell.policy])
        while len(self._pool.slots) < self._pool.size:
            task = self._schedule.next_task(slot.task for slot in self._pool.slots)
            if task is None:
                return
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
        self._reporter.infrastructure(cell, kind, message)
        self._failures[cell.key] += 1
        if self._failures[cell.key] < self._options.attempts:
            self._schedule.put_back(cell)
        else:
            self.lost.add(cell.key)
            self._retire(cell)

    def _retire(self, cell: Cell) -> None:
        """Free a policy's process after its last cell."""
        self._left[cell.policy] -= 1
        if not self._left[cell.policy] and ray.is_initialized():
            ray.kill(self._policies.pop(cell.policy))

    def _eta(self) -> float:
        left = self._schedule.remaining()
        return self._estimator.wall_seconds(left, self._options.workers)


def _without_policies(passport: Passport) -> Passport:
    kept = {k: v for k, v in passport.fingerprint.items() if not k.startswith("policy:")}
    return passport.model_copy(update={"fingerprint": kept})


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
