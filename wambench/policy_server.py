"""Serve one policy to many episodes: greedy batching, and faults kept to the episode they hit.

Used inside a Ray actor by sweeps and directly in this process by tests and tools.
"""

from __future__ import annotations

import asyncio
import functools
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from wambench import plugins
from wambench.arithmetic import Arithmetic, arithmetic_of
from wambench.contract import EpisodeStart, Observation
from wambench.errors import InfrastructureFailure, PolicyFault, PolicyProcessDead
from wambench.faults import is_dead, is_machinery
from wambench.policy import Policy

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """A policy's answer to one observation: a chunk, or why there is none.

    ``fault``: of the policy; ``trouble``: of the machinery under it; ``dead``: it will not go away
    in this process.
    """

    chunk: Any = None
    fault: str = ""
    trouble: str = ""
    dead: bool = False

    def unwrap(self) -> Any:
        """Return the chunk or raise PolicyFault, InfrastructureFailure or PolicyProcessDead."""
        if self.trouble:
            raise (PolicyProcessDead if self.dead else InfrastructureFailure)(self.trouble)
        if self.fault:
            raise PolicyFault(self.fault)
        return self.chunk


def answer_batch(policy: Policy, observations: Sequence[Observation]) -> list[Answer]:
    """Ask a policy about several episodes at once.

    If the batch raises, each observation is asked again by itself, so that a fault is charged to
    the episode that causes it and not to its neighbours.
    """
    try:
        chunks = policy.act(observations)
        if not isinstance(chunks, Sequence | np.ndarray):
            raise PolicyFault(f"act() returned {type(chunks).__name__}; return a list of arrays")
        if len(chunks) != len(observations):
            raise PolicyFault(
                f"act() returned {len(chunks)} chunks for {len(observations)} observations"
            )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # even sys.exit() in a policy is the policy's fault
        if len(observations) > 1:
            return [answer for seen in observations for answer in answer_batch(policy, [seen])]
        return [_blame(error)]
    return [
        Answer(chunk)
        if isinstance(chunk, np.ndarray)
        else Answer(fault=f"act() returned a {type(chunk).__name__} as a chunk; return an array")
        for chunk in chunks
    ]


def begin(policy: Policy, start: EpisodeStart) -> Answer:
    """Tell a policy of a new episode; an answer without a chunk says that it took it."""
    try:
        policy.reset(start)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _blame(error)
    return Answer()


def measured_by(policy: Policy, episode: str) -> Mapping[str, Sequence[float]]:
    """What a policy measured of its looks; nothing from one that fails at that."""
    try:
        found = policy.measured(episode)
        return {str(name): [float(one) for one in numbers] for name, numbers in found.items()}
    except Exception:  # it is beside the point: the episode stands
        return {}


def _blame(error: BaseException) -> Answer:
    if is_machinery(error):
        return Answer(trouble=describe(error), dead=is_dead(error))
    return Answer(fault=describe(error))


def describe(error: BaseException) -> str:
    """One line that says what a policy raised, and where."""
    text = " ".join("".join(traceback.format_exception_only(error)).split())
    if isinstance(error, PolicyFault | InfrastructureFailure):  # they say what they mean
        return text.removeprefix(f"{type(error).__module__}.{type(error).__name__}: ")
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
    return f"policy raised {text}{where}"


class LocalClient:
    """A policy in this process, behind the episode loop's client interface."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def reset(self, start: EpisodeStart) -> None:
        """Begin an episode."""
        begin(self._policy, start).unwrap()

    def act(self, observation: Observation) -> Any:
        """Answer one observation."""
        return answer_batch(self._policy, [observation])[0].unwrap()

    def measured(self, episode: str) -> Mapping[str, Sequence[float]]:
        """What the policy measured of its looks."""
        return measured_by(self._policy, episode)

    def forget(self, episode: str) -> None:
        """End an episode."""
        self._policy.forget(episode)


class PolicyActor:
    """A policy behind an asyncio Ray actor.

    Batching is greedy: while the policy computes, requests queue up, and the next call takes all
    that wait (at most ``max_batch``). There is no timer, so one simulator never waits for another.
    """

    def __init__(self, name: str, options: Mapping[str, Any], max_batch: int | None = None) -> None:
        self._make = functools.partial(plugins.make_policy, name, options)
        self._wanted_batch = max_batch
        self._policy: Policy | None = None
        self._episodes: set[str] = set()
        self._queue: asyncio.Queue[tuple[Observation, asyncio.Future[Answer]]] | None = None
        # One thread loads and acts: some of torch's settings hold for a thread alone.
        self._thread = ThreadPoolExecutor(1)

    async def born(self) -> bool:
        """Answer as soon as there is a process."""
        return True

    async def ready(self) -> bool:
        """Answer once the policy is loaded."""
        await self._in_thread(self._loaded)
        return True

    async def arithmetic(self) -> Arithmetic | None:
        """Say how the policy computes; see :func:`arithmetic_of`."""
        return await self._in_thread(lambda: arithmetic_of(self._loaded()))

    async def reset(self, start: EpisodeStart) -> Answer:
        """Begin an episode."""
        self._episodes.add(start.episode)
        return await self._in_thread(lambda: begin(self._loaded(), start))

    def _loaded(self) -> Policy:
        """The policy, loaded at the first need: a process that Ray restarts is never told to."""
        if self._policy is None:
            policy = self._make()
            policy.load()
            self._policy = policy
        return self._policy

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def act(self, observation: Observation) -> Answer:
        """Answer one observation, together with whatever else waits."""
        if observation.episode not in self._episodes:
            # This process replaced one that died and took the episode's memory with it.
            raise InfrastructureFailure("the policy's process was restarted during the episode")
        if self._queue is None:
            self._queue = asyncio.Queue()
            self._serving = asyncio.create_task(self._serve(self._queue))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        await self._queue.put((observation, future))
        return await future

    async def measured(self, episode: str) -> Mapping[str, Sequence[float]]:
        """What the policy measured of its looks in an episode that is not yet forgotten."""
        if episode not in self._episodes:
            return {}
        return await self._in_thread(lambda: measured_by(self._loaded(), episode))

    async def forget(self, episode: str) -> None:
        """End an episode."""
        if episode in self._episodes:
            self._episodes.discard(episode)
            await self._in_thread(lambda: self._loaded().forget(episode))

    async def _serve(
        self, queue: asyncio.Queue[tuple[Observation, asyncio.Future[Answer]]]
    ) -> None:
        policy = await self._in_thread(self._loaded)
        most = self._wanted_batch or policy.spec.max_batch
        while True:
            batch = [await queue.get()]
            while not queue.empty() and len(batch) < most:
                batch.append(queue.get_nowait())
            seen = [observation for observation, _ in batch]
            answers = await self._in_thread(functools.partial(answer_batch, policy, seen))
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():  # who asked may have gone
                    future.set_result(answer)
