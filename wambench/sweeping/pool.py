"""The simulator workers: start, watch and replace their processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, Literal

import ray

from wambench.cells import Cell
from wambench.errors import InfrastructureFailure, PolicyProcessDead
from wambench.sweeping.residents import Replica
from wambench.sweeping.schedule import TaskName
from wambench.sweeping.worker import Progress, SimulatorWorker, first_line

POLL_SECONDS = 1.0
OPENING_SECONDS = 600.0  # a scene compiles in 6 s, but not on a machine that is busy otherwise

# "watch": a thread of its own, so that a worker answers while its simulator runs. Ray's type stubs
# do not know the argument.
WORKER: Any = ray.remote(num_cpus=1, max_restarts=0, concurrency_groups={"watch": 1})(  # type: ignore[call-overload]
    SimulatorWorker
)


@dataclass(eq=False)
class Slot:
    """One worker process and what it is doing. ``reference`` is None while it is idle."""

    actor: Any
    task: TaskName
    doing: Literal["open", "probe", "run", "idle"]
    reference: Any
    cell: Cell | None = None
    replica: Replica | None = None  # of the policy that is asked
    episodes: int = 0
    progress: Progress | None = None
    progress_reference: Any = None
    moved_at: float = field(default_factory=monotonic)


@dataclass(frozen=True)
class Event:
    """Something a worker finished, or why it did not."""

    slot: Slot
    value: Any = None
    kind: str = ""  # of a failure: crash, exception, policy process, stalled, policy stalled
    message: str = ""
    traceback: str = ""
    dead: bool = False  # the policy's process must be replaced


class Pool:
    """At most ``size`` workers; every failure comes back as an :class:`Event`, none raises."""

    def __init__(self, size: int, rendering: str, stall_seconds: float) -> None:
        self.size = size
        self.slots: list[Slot] = []
        self._rendering, self._stall_seconds = rendering, stall_seconds

    @property
    def busy(self) -> bool:
        """Whether any worker is doing anything."""
        return any(slot.reference is not None for slot in self.slots)

    def open(self, task: TaskName) -> Slot:
        """Start a process and let it open a task."""
        actor = WORKER.remote()
        slot = Slot(actor, task, "open", actor.open.remote(*task, self._rendering))
        self.slots.append(slot)
        return slot

    def probe(self, slot: Slot) -> None:
        """Let an idle worker compare its suite's golden frames."""
        self._begin(slot, "probe", slot.actor.probe.remote())

    def run(self, slot: Slot, cell: Cell, setting: Any, replica: Replica) -> None:
        """Let an idle worker run a cell against a process of its policy."""
        slot.cell, slot.replica = cell, replica
        self._begin(slot, "run", slot.actor.run.remote(cell, setting, replica.actor))

    def kill(self, slot: Slot) -> None:
        """End a worker's process at once: its simulator's memory goes with it."""
        self.slots.remove(slot)
        ray.kill(slot.actor)

    def wait(self, others: Sequence[Any] = ()) -> Iterator[Event]:
        """Wait up to a second for workers; yields what finished, failed or stalled.

        It ends early for one of the ``others`` (references) too.

        A slot that failed has left the pool; one that finished is idle.
        """
        busy = {slot.reference: slot for slot in self.slots if slot.reference is not None}
        if not busy and not others:
            sleep(POLL_SECONDS)
            return
        ready, _ = ray.wait([*busy, *others], num_returns=1, timeout=POLL_SECONDS)
        for reference in ready:
            if reference in busy:
                yield self._collect(busy[reference])
        for slot in [slot for slot in self.slots if slot.reference is not None]:
            event = self._check_alive(slot)
            if event is not None:
                yield event

    def _begin(self, slot: Slot, doing: Literal["probe", "run"], reference: Any) -> None:
        slot.doing, slot.reference = doing, reference
        slot.progress, slot.progress_reference, slot.moved_at = None, None, monotonic()

    def _collect(self, slot: Slot) -> Event:
        try:
            value = ray.get(slot.reference)
        except ray.exceptions.RayActorError as error:
            self.slots.remove(slot)
            return Event(slot, kind="crash", message=first_line(error), traceback=str(error))
        except ray.exceptions.RayTaskError as error:
            # The environment may be half-stepped or half-reset: never use it again.
            self.kill(slot)
            return Event(
                slot,
                kind="policy process"
                if isinstance(error.cause, InfrastructureFailure)
                else "exception",
                message=first_line(error),
                traceback=str(error),
                dead=isinstance(error.cause, PolicyProcessDead),
            )
        slot.reference = None
        return Event(slot, value)

    def _check_alive(self, slot: Slot) -> Event | None:
        """Watchdog: an episode whose step does not change for ``stall_seconds`` is wedged.

        A worker wedged inside MuJoCo holds the interpreter lock and cannot even answer, which
        counts the same.
        """
        if slot.progress_reference is None:
            slot.progress_reference = slot.actor.progress.remote()
        elif ray.wait([slot.progress_reference], timeout=0)[0]:
            try:
                seen = ray.get(slot.progress_reference)
            except ray.exceptions.RayError:
                return None  # it died; its own reference will tell
            slot.progress_reference = None
            if seen != slot.progress:
                slot.progress, slot.moved_at = seen, monotonic()
        running = slot.doing == "run"
        limit = self._stall_seconds if running else max(self._stall_seconds, OPENING_SECONDS)
        if monotonic() - slot.moved_at < limit:
            return None
        self.kill(slot)
        asking = slot.progress is not None and slot.progress.asking_policy
        where = f"at step {slot.progress.step}" if slot.progress else f"in {slot.doing}"
        return Event(
            slot,
            kind="policy stalled" if asking else "stalled",
            message=f"no progress for {limit:.0f} s {where}"
            + (
                f"; if one decision takes longer, raise --stall-seconds {self._stall_seconds:.0f}"
                if asking
                else ""
            ),
        )
