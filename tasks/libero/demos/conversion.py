"""Make the files, one process for each open task, with a bar to watch."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tasks.libero.demos.jobs import Job
from tasks.libero.demos.worker import DemoWorker, Spent
from wambench.sweeping.cluster import LocalRay, ray
from wambench.sweeping.worker import first_line

POLL_SECONDS = 1.0
STALL_SECONDS = 600.0  # no call takes that long unless the simulator is wedged
LOG_EVERY_SECONDS = 20.0

WORKER: Any = ray.remote(num_cpus=1, max_restarts=0)(DemoWorker)


@dataclass(frozen=True)
class Converted:
    """What a conversion did. ``lost``: one line for each file that could not be made."""

    files: int
    spent: Spent
    wall_seconds: float
    lost: Sequence[str]


def convert(jobs: Sequence[Job], workers: int, watch: Watch) -> Converted:
    """Make the files of all jobs with ``workers`` processes.

    Raises:
        RayDied: Ray itself failed; complete files stay.
    """
    began, crew = monotonic(), _Crew(jobs, workers, watch)
    cluster = LocalRay(workers)
    try:
        while crew.busy:
            crew.hire()
            if not crew.wait():
                cluster.check()
    except Exception:
        cluster.check()  # whatever failed, if Ray is gone that is why
        raise
    finally:
        cluster.stop()
    return Converted(crew.files, crew.spent, monotonic() - began, crew.lost)


@dataclass(eq=False)
class _Lane:
    """A worker on its way through a job; ``next`` is the episode after the one under way."""

    actor: Any
    job: Job
    reference: Any
    next: int = 0
    since: float = field(default_factory=monotonic)

    def go_on(self) -> None:
        """Ask for what comes next: each episode, then the end of the file."""
        more = self.next < len(self.job.episodes)
        self.reference = self.actor.add.remote(self.next) if more else self.actor.finish.remote()
        self.next += 1
        self.since = monotonic()

    @property
    def done(self) -> bool:
        """Whether the call under way is, or was, the one that ends the file."""
        return self.next > len(self.job.episodes)


class _Crew:
    """The workers, at most ``size`` at a time, and what they have done."""

    def __init__(self, jobs: Sequence[Job], size: int, watch: Watch) -> None:
        self._waiting, self._lanes = deque(jobs), list[_Lane]()
        self._size, self._watch = size, watch
        self.files = 0
        self.spent = Spent()
        self.lost: list[str] = []

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._waiting or self._lanes)

    def hire(self) -> None:
        """Start a process for each free place: one opens one task in its life."""
        while self._waiting and len(self._lanes) < self._size:
            job = self._waiting.popleft()
            actor = WORKER.remote(job)
            self._lanes.append(_Lane(actor, job, actor.open.remote()))

    def wait(self) -> bool:
        """Wait a second at most for one call; False if none came back."""
        ready, _ = ray.wait([lane.reference for lane in self._lanes], timeout=POLL_SECONDS)
        for lane in list(self._lanes):
            if lane.reference in ready:
                self._collect(lane)
            elif monotonic() - lane.since > STALL_SECONDS:
                self._give_up(lane, f"no progress for {STALL_SECONDS:.0f} s")
        return bool(ready)

    def _collect(self, lane: _Lane) -> None:
        try:
            spent = ray.get(lane.reference)
        except ray.exceptions.RayError as error:
            self._give_up(lane, first_line(error))
            return
        if spent is not None:
            self.spent += spent
            episode = lane.job.episodes[lane.next - 1]
            self._watch.advance(len(episode.actions))
        if lane.done:
            self.files += 1
            self._let_go(lane)
        else:
            lane.go_on()

    def _give_up(self, lane: _Lane, reason: str) -> None:
        self.lost.append(f"{lane.job.suite}/{lane.job.task.index}: {reason}")
        self._watch.note(f"infrastructure: {self.lost[-1]}; its file is not written")
        self._let_go(lane)

    def _let_go(self, lane: _Lane) -> None:
        ray.kill(lane.actor)
        self._lanes.remove(lane)


class Watch:
    """A bar of steps on a terminal, a line now and then in a log; as a context manager.

    Args:
        steps: to draw.
        quiet: show nothing.
    """

    def __init__(self, steps: int, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._live = self._console.is_terminal and not quiet
        self._bar = Progress(
            TextColumn("steps"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=self._console, transient=True, disable=not self._live,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=steps)
        self._began = self._logged = monotonic()
        self._steps, self._done = steps, 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, markup=False, soft_wrap=True)

    def advance(self, steps: int) -> None:
        """Count steps that are drawn."""
        self._done += steps
        self._bar.update(self._task, completed=self._done)
        if not self._live and monotonic() - self._logged > LOG_EVERY_SECONDS:
            self._logged = monotonic()
            left = (self._logged - self._began) * (self._steps / self._done - 1)
            self.note(f"steps {self._done}/{self._steps} · ETA {left // 60:.0f}:{left % 60:02.0f}")
