"""Play episodes with a policy of this process and a simulator in another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Any

from wambench.cells import Cell
from wambench.episode import EpisodeRecord, Setting
from wambench.errors import InfrastructureFailure
from wambench.policy import Policy
from wambench.policy_server import LocalClient


@dataclass(frozen=True)
class Job:
    """One cell and under what it is run."""

    cell: Cell
    setting: Setting


@dataclass(frozen=True)
class Call:
    """The simulator's process asks the policy: a method of LocalClient and its argument."""

    method: str
    argument: Any


@dataclass(frozen=True)
class Raised:
    """What a call, or the whole process, raised."""

    error: Exception


def play(policy: Policy, jobs: Sequence[Job]) -> Iterator[EpisodeRecord]:
    """Play cells in order, a process for each task; the policy is asked in this thread."""
    client = LocalClient(policy)
    for part in _by_task(jobs):
        ours, theirs = Pipe()
        number = theirs.fileno()
        # A program of its own, and no fork or spawn of this one: there is no torch in it, and
        # nothing of the caller's script is run again.
        process = subprocess.Popen(
            [sys.executable, "-m", "wambench.api.worker", str(number)],
            pass_fds=[number],
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        try:
            ours.send(part)
            yield from _serve(client, ours, len(part))
        except EOFError:
            code = process.wait()
            raise InfrastructureFailure(
                f"the simulator's process of {part[0].cell.suite}/{part[0].cell.task_index} ended "
                f"with code {code}; run wambench doctor"
            ) from None
        finally:
            ours.close()
            process.kill()
            process.wait()


def _serve(client: LocalClient, pipe: Connection, episodes: int) -> Iterator[EpisodeRecord]:
    while episodes:
        told = pipe.recv()
        if isinstance(told, EpisodeRecord):
            episodes -= 1
            yield told
        elif isinstance(told, Raised):
            raise told.error
        else:
            try:
                answer = getattr(client, told.method)(told.argument)
            except Exception as error:
                answer = Raised(error)
            pipe.send(answer)


def _by_task(jobs: Sequence[Job]) -> Iterator[Sequence[Job]]:
    """Jobs of one task together, tasks in the order in which they first come."""
    tasks = dict.fromkeys(job.cell.task_index for job in jobs)
    for task in tasks:
        yield [job for job in jobs if job.cell.task_index == task]
