"""The process that makes one file: a Ray actor with one open task, killed when it is done."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from tasks.libero.demos.files import DemoFile, libero_attributes
from tasks.libero.demos.jobs import Job
from tasks.libero.demos.recording import Demonstration, Episode, record
from tasks.libero.demos.takeover import moments, record_takeover
from tasks.libero.suite import LiberoSuite

if TYPE_CHECKING:  # MuJoCo may be imported only once its OpenGL is chosen
    from tasks.libero.simulator import LiberoSimulator


@dataclass(frozen=True)
class Spent:
    """What some demonstrations took, in seconds of CPU time."""

    demos: int = 0
    steps: int = 0
    frames: int = 0
    draw_seconds: float = 0.0
    other_seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.demos + other.demos,
            self.steps + other.steps,
            self.frames + other.frames,
            self.draw_seconds + other.draw_seconds,
            self.other_seconds + other.other_seconds,
        )


class DemoWorker:
    """Makes one file, an episode a call, so that the driver sees how it goes."""

    def __init__(self, job: Job) -> None:
        # One process per core: more BLAS or llvmpipe threads only fight each other.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        self._job = job

    def open(self) -> None:
        """Open the task and begin the file."""
        job, suite = self._job, LiberoSuite(self._job.suite)
        simulator = cast("LiberoSimulator", suite.open(job.task, job.rules.rendering))
        self._simulator, self._settle = simulator, np.array(suite.spec.settle_action)
        goal = f"{job.suite}/{job.task.name}.bddl"
        about = libero_attributes(
            job.task.instruction, simulator.problem, goal, job.rules.image_size
        )
        self._file = DemoFile(job.path, job.attributes, about)

    def add(self, number: int) -> Spent:
        """Replay one of the job's episodes into the file, or what corrects it."""
        spent = Spent()
        with self._whole_or_nothing():
            for step, demo in self._demonstrations(self._job.episodes[number]):
                self._file.add(demo, takeover=step)
                frames = sum(len(drawn) for drawn in demo.frames.values())
                spent += Spent(1, len(demo.states), frames, demo.draw_seconds, demo.other_seconds)
        return spent

    def _demonstrations(self, episode: Episode) -> Iterator[tuple[int | None, Demonstration]]:
        """Each with the step at which the expert took over."""
        simulator, rules, settle = self._simulator, self._job.rules, self._settle
        every = self._job.draw_every
        if not self._job.takeover:
            yield None, record(episode, simulator, rules, settle, every)
            return
        assert episode.snapshots is not None
        for step in moments([simulator.facts(snapshot) for snapshot in episode.snapshots]):
            if demo := record_takeover(episode, step, simulator, rules, settle, every):
                yield step, demo

    def finish(self) -> None:
        """Complete the file."""
        with self._whole_or_nothing():
            self._file.finish()

    @contextlib.contextmanager
    def _whole_or_nothing(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._file.discard()
            raise
