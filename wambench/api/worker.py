"""``python -m wambench.api.worker FD``: the simulator's process of an evaluation."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from wambench import plugins
from wambench.api.playing import Call, Job, Raised
from wambench.contract import EpisodeStart, Observation
from wambench.episode import run_episode
from wambench.errors import InfrastructureFailure, UserError, one_line


class PipedClient:
    """The policy behind a pipe, as the episode loop sees it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def reset(self, start: EpisodeStart) -> None:
        """Begin an episode."""
        self._ask("reset", start)

    def act(self, observation: Observation) -> object:
        """Answer one observation."""
        return self._ask("act", observation)

    def measured(self, episode: str) -> Mapping[str, Sequence[float]]:
        """What the policy measured of its looks."""
        found: Mapping[str, Sequence[float]] = self._ask("measured", episode)
        return found

    def forget(self, episode: str) -> None:
        """End an episode."""
        self._ask("forget", episode)

    def _ask(self, method: str, argument: Any) -> Any:
        self._pipe.send(Call(method, argument))
        answer = self._pipe.recv()
        if isinstance(answer, Raised):
            raise answer.error
        return answer


def main(number: int) -> None:
    """Play the jobs that come through a pipe, and send their records back."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    pipe = Connection(number)
    jobs: Sequence[Job] = pipe.recv()
    try:
        cell, setting = jobs[0].cell, jobs[0].setting
        suite = plugins.make_suite(cell.suite)
        task = suite.tasks()[cell.task_index]
        simulator = suite.open(task, setting.protocol.rendering)
        for job in jobs:
            pipe.send(run_episode(job.cell, job.setting, simulator, PipedClient(pipe)))
        simulator.close()
    except EOFError:  # nobody waits for it any more
        return
    except (UserError, InfrastructureFailure) as error:
        pipe.send(Raised(error))
    except Exception as error:  # of any class, which may not travel
        pipe.send(Raised(InfrastructureFailure(f"the simulator: {one_line(error)}")))


if __name__ == "__main__":
    main(int(sys.argv[1]))
