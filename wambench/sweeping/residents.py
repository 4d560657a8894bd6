"""The policies that are in memory: loaded when their cells come up, released for others.

A policy stays until its cells are done, so each is loaded once (with a stopping rule: at most once
a block of rounds); those that do not fit beside the others wait until one has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import ray

from wambench.sweeping.sizing import Load, Room

RESTART_SECONDS = 120.0  # within which Ray has noticed that a process was ended, on a busy machine


@dataclass(eq=False)
class Replica:
    """One process of a policy.

    ``born``: it has a place; ``loaded``: so is the policy; ``ready``: it has said how it computes,
    or is ``mute``: it hung or died when it was asked.
    """

    actor: Any
    node: int
    born: bool = False
    loaded: bool = False
    ready: bool = False
    mute: bool = False
    since: float = 0.0  # it was loaded
    restarted: float = float("-inf")  # when it was last ended for another to take its place
    running: int = 0  # cells
    pending: Any = None  # the reference that tells the next


@dataclass
class Resident:
    """A policy and its processes."""

    load: Load
    replicas: list[Replica] = field(default_factory=list)

    @property
    def running(self) -> int:
        """Cells that ask it now."""
        return sum(replica.running for replica in self.replicas)


@dataclass(frozen=True)
class Arrival:
    """A replica that was loaded, with what it answered, or that cannot be (``error``)."""

    label: str
    answer: Any = None
    error: BaseException | None = None


class Residents:
    """Policies in the ``room`` there is; ``make`` starts the process of one, by label.

    One that does not say within ``stall_seconds`` how it computes, or dies of being asked, is
    taken as it is: its episodes will tell.
    """

    def __init__(
        self,
        loads: Mapping[str, Load],
        room: Room,
        make: Callable[[str], Any],
        stall_seconds: float,
    ) -> None:
        self._loads, self._room, self._make = loads, room, make
        self._stall_seconds = stall_seconds
        self._here: dict[str, Resident] = {}

    @property
    def ready(self) -> set[str]:
        """Policies that can be asked."""
        return {
            label
            for label, resident in self._here.items()
            if any(replica.ready for replica in resident.replicas)
        }

    @property
    def pending(self) -> list[Any]:
        """References of processes that are starting or loading."""
        return [r.pending for one in self._here.values() for r in one.replicas if not r.ready]

    def waiting_for(self) -> list[str]:
        """What is starting or loading, for people."""
        found = []
        for label, resident in self._here.items():
            for replica in resident.replicas:
                if not replica.born:
                    need = f" with {resident.load.gpus:g} GPU" if resident.load.gpus else ""
                    found.append(f"a process{need} for policy {label!r}")
                elif not replica.loaded:
                    found.append(f"policy {label!r} to load")
                elif not replica.ready:
                    found.append(f"policy {label!r} to answer what all are asked")
        return found

    def fill(self, wanted: Sequence[str]) -> None:
        """Start the policies that have work, in this order, while there is room.

        Those that have none make room. Nobody overtakes one that waits for room, or a large one
        would wait for ever; second replicas come when every policy has its first.
        """
        for copies in range(1, 1 + max((self._copies(label) for label in wanted), default=0)):
            for label in wanted:
                here = self._here.get(label)
                has = len(here.replicas) if here else 0
                if has >= min(copies, self._copies(label)):
                    continue
                if not self._start(label, idle=self._idle(wanted) if copies == 1 else ()):
                    return

    def poll(self) -> list[Arrival]:
        """What has been loaded, or failed to, since the last time; never waits."""
        arrivals = []
        for label, resident in list(self._here.items()):
            for replica in resident.replicas:
                if replica.ready:
                    continue
                try:
                    arrived = self._advance(label, replica)
                except (ray.exceptions.RayTaskError, ray.exceptions.RayActorError) as error:
                    self.drop(label)
                    arrivals.append(Arrival(label, error=error))
                    break
                if arrived is not None:
                    arrivals.append(arrived)
        return arrivals

    def _advance(self, label: str, replica: Replica) -> Arrival | None:
        """Take a process as far as it has come; raises what Ray says of one that cannot load."""
        answered = bool(ray.wait([replica.pending], timeout=0)[0])
        if replica.loaded:
            if answered:
                try:
                    answer = ray.get(replica.pending)
                except ray.exceptions.RayTaskError:
                    answer = None
                except ray.exceptions.RayActorError:  # it died of it; Ray starts it again
                    self._come_back_mute(replica)
                    return None
                replica.ready = True
                return Arrival(label, answer)
            if monotonic() - replica.since > self._stall_seconds:
                ray.kill(replica.actor, no_restart=False)
                self._come_back_mute(replica)
        elif answered:
            try:
                ray.get(replica.pending)
            except ray.exceptions.RayActorError:
                # It may have been asked while the old process was going.
                if monotonic() - replica.restarted > RESTART_SECONDS:
                    raise
                replica.pending = replica.actor.ready.remote()
                return None
            if replica.mute:
                replica.loaded = replica.ready = True
                return Arrival(label)
            if replica.born:
                replica.loaded, replica.since = True, monotonic()
                replica.pending = replica.actor.arithmetic.remote()
            else:
                replica.born, replica.pending = True, replica.actor.ready.remote()
        return None

    def begin(self, label: str) -> Replica:
        """The process that takes the next cell: the one with the fewest."""
        able = [replica for replica in self._here[label].replicas if replica.ready]
        chosen = min(able, key=lambda replica: replica.running)
        chosen.running += 1
        return chosen

    @staticmethod
    def end(replica: Replica) -> None:
        """A cell has ended, in whatever way."""
        replica.running -= 1

    @staticmethod
    def restart(replica: Replica) -> None:
        """End a process that is beyond help; Ray starts it again.

        It gets no cell before it has loaded and said again how it computes: what it is now may
        not be what it was.
        """
        ray.kill(replica.actor, no_restart=False)
        Residents._come_back(replica)

    @staticmethod
    def _come_back_mute(replica: Replica) -> None:
        """Wait for a process in another's place, and do not ask it what the other stuck at."""
        replica.mute = True
        Residents._come_back(replica)

    @staticmethod
    def _come_back(replica: Replica) -> None:
        replica.loaded = replica.ready = False
        replica.restarted = monotonic()
        replica.pending = replica.actor.ready.remote()

    def drop(self, label: str) -> None:
        """Release a policy."""
        resident = self._here.pop(label, None)
        for replica in resident.replicas if resident else ():
            ray.kill(replica.actor)
            self._room.give_back(self._loads[label], replica.node)

    def _copies(self, label: str) -> int:
        return self._loads[label].replicas or 1

    def _idle(self, wanted: Iterable[str]) -> list[str]:
        """Policies that nobody asks now or wants to ask soon."""
        kept = set(wanted)
        return [label for label, one in self._here.items() if label not in kept and not one.running]

    def _start(self, label: str, idle: Iterable[str]) -> bool:
        """Start one process; False if there is no room even when the ``idle`` have gone."""
        load = self._loads[label]
        node = self._room.take(load)
        for other in idle:
            if node is not None:
                break
            self.drop(other)
            node = self._room.take(load)
        if node is None:
            return False
        actor = self._make(label)
        replica = Replica(actor, node, pending=actor.born.remote())
        self._here.setdefault(label, Resident(load)).replicas.append(replica)
        return True
