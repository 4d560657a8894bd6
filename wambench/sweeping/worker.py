"""The simulator's process: a Ray actor that holds one open task and runs its cells."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import ray

from wambench import plugins
from wambench.cells import Cell
from wambench.contract import EpisodeStart, Observation
from wambench.episode import EpisodeRecord, Setting, run_episode
from wambench.errors import InfrastructureFailure
from wambench.passport import SuiteProbe, probe_suite
from wambench.suite import Simulator, first_task


@dataclass(frozen=True)
class Progress:
    """A sign of life: it changes as long as the episode moves."""

    key: str
    step: int
    asking_policy: bool


@dataclass(frozen=True)
class Finished:
    """A record and the state of the process that made it."""

    record: EpisodeRecord
    rss_mb: int


class SimulatorWorker:
    """One environment for the life of one process; killed, not closed, when its task is done."""

    def __init__(self) -> None:
        # One process per core: more BLAS or llvmpipe threads only fight each other.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        self._progress = Progress("", 0, False)
        self._simulator: Simulator | None = None

    def open(self, suite: str, task_index: int, rendering: str) -> float:
        """Open the task; returns wall seconds."""
        began = perf_counter()
        self._suite = plugins.make_suite(suite)
        task = self._suite.tasks()[task_index]
        self._task, self._rendering = task, rendering
        self._simulator = self._suite.open(task, rendering)
        return perf_counter() - began

    def probe(self) -> SuiteProbe:
        """Compare the golden frames of the suite; its first task must be the open one."""
        assert self._simulator is not None and self._task == first_task(self._suite)
        return probe_suite(self._suite, self._simulator, self._rendering)

    def run(self, cell: Cell, setting: Setting, policy: Any) -> Finished:
        """Run one cell of the open task against a policy actor."""
        assert self._simulator is not None

        def on_step(step: int) -> None:
            self._progress = Progress(cell.key, step, False)

        client = _RemoteClient(policy, self)
        record = run_episode(cell, setting, self._simulator, client, on_step)
        return Finished(record, rss_mb())

    @ray.method(concurrency_group="watch")
    def progress(self) -> Progress:
        """Where the episode is, asked from outside while it runs."""
        return self._progress

    def asking(self, key: str, step: int) -> None:
        """Note that the policy has been asked."""
        self._progress = Progress(key, step, True)


class _RemoteClient:
    """A policy actor behind the episode loop's client interface."""

    def __init__(self, actor: Any, worker: SimulatorWorker) -> None:
        self._actor, self._worker = actor, worker

    def reset(self, start: EpisodeStart) -> None:
        self._worker.asking(start.episode, -1)
        self._get(self._actor.reset.remote(start)).unwrap()

    def act(self, observation: Observation) -> Any:
        self._worker.asking(observation.episode, observation.step)
        return self._get(self._actor.act.remote(observation)).unwrap()

    def measured(self, episode: str) -> Mapping[str, Sequence[float]]:
        try:
            found: Mapping[str, Sequence[float]] = self._get(self._actor.measured.remote(episode))
        except InfrastructureFailure:
            return {}
        return found

    def forget(self, episode: str) -> None:
        self._actor.forget.remote(episode)

    def _get(self, reference: Any) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayError as error:
            raise InfrastructureFailure(f"the policy's process: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    """The gist of an exception whose text runs over pages, as Ray's do."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        error = cause
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def rss_mb() -> int:
    """Resident memory of this process in MiB."""
    import psutil

    return int(psutil.Process().memory_info().rss / 2**20)


def ray_options(num_gpus: float = 0) -> Mapping[str, Any]:
    """Options of a policy actor: it comes back after a crash, but loses its episodes."""
    return {
        "num_cpus": 0,
        "num_gpus": num_gpus,
        "max_restarts": -1,
        "max_task_retries": 0,
        "max_concurrency": 1000,
    }
