"""Where a policy is measured: behind the server that sweeps use, in this process or Ray's."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from wambench.contract import EpisodeStart, Observation
from wambench.errors import InfrastructureFailure, PolicyFault, UserError
from wambench.policy_server import PolicyActor
from wambench.profile.latency.bench import Bench
from wambench.profile.latency.choice import Choice
from wambench.profile.latency.clock import HostClock, Timed
from wambench.profile.latency.messages import Prepared, Told
from wambench.profile.latency.protocol import LatencyProtocol, Mode, Scope, Text
from wambench.profile.latency.records import Stages
from wambench.profile.latency.showing import Show

SERVED_SEED = 1  # so that the client's cold instructions are others than the bench's


class LatencyActor(PolicyActor):
    """The policy server of sweeps, with a bench beside it that computes in the same thread."""

    def __init__(
        self, choice: Choice, rules: LatencyProtocol, mode: Mode, make_bench: type[Bench] = Bench
    ) -> None:
        began = perf_counter()
        super().__init__(choice.policy, choice.options)
        policy = self._thread.submit(self._loaded).result()
        self._load_seconds = perf_counter() - began
        self._bench = make_bench(policy, rules, mode)

    async def load_seconds(self) -> float:
        """How long it took to have the policy ready."""
        return self._load_seconds

    async def bench(self, method: str, *arguments: Any) -> Any:
        """Call a method of the bench."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, getattr(self._bench, method), *arguments)


class Host(ABC):
    """One policy behind its server. ``served_by``: what is between client and server."""

    served_by: str

    def __init__(self, choice: Choice, rules: LatencyProtocol) -> None:
        self.choice = choice
        self._show = Show(choice.spec, rules, SERVED_SEED)
        self._clock = HostClock()

    @abstractmethod
    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the actor and wait for what it returns."""

    @abstractmethod
    def close(self) -> None:
        """End it; its memory is free afterwards."""

    def load_seconds(self) -> float:
        """How long loading took; waits for it."""
        return self._say(lambda: self.ask("load_seconds"))

    def prepare(self) -> Prepared:
        """See :meth:`Bench.prepare`; also begins the episode that requests belong to."""
        prepared = self._say(lambda: self.ask("bench", "prepare"))
        start: EpisodeStart = self._show.start()
        self._say(lambda: self.ask("reset", start).unwrap())
        return prepared

    def block(self, scope: Scope, text: Text, calls: int) -> Sequence[Timed]:
        """Time some calls of a scope."""
        if scope != "served":
            return self._say(lambda: self.ask("bench", "block", scope, text, calls))
        return [self._time_served(text) for _ in range(calls)]

    def stages(self) -> Stages | None:
        """See :meth:`Bench.stages`."""
        return self._say(lambda: self.ask("bench", "stages"))

    def told(self) -> Told:
        """See :meth:`Bench.told`."""
        return self._say(lambda: self.ask("bench", "told"))

    def _time_served(self, text: Text) -> Timed:
        shown: Observation = self._show.next(text)
        timed = self._clock.time(lambda: self._say(lambda: self.ask("act", shown).unwrap()))
        return Timed(timed.wall_ms)  # the CPU time is mostly spent elsewhere

    def _say(self, call: Callable[[], Any]) -> Any:
        """Let an error name the policy."""
        try:
            return call()
        except (UserError, PolicyFault, InfrastructureFailure) as error:
            raise UserError(f"policy {self.choice.label!r}: {error}") from None


class LocalHost(Host):
    """A policy in this process, its server on an event loop of its own."""

    served_by = "the policy server in the same process"

    def __init__(
        self, choice: Choice, rules: LatencyProtocol, mode: Mode, make_bench: type[Bench] = Bench
    ) -> None:
        super().__init__(choice, rules)
        self._actor = self._say(lambda: LatencyActor(choice, rules, mode, make_bench))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the actor on its loop."""
        call = getattr(self._actor, method)(*arguments)
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    def close(self) -> None:
        """End the server and its loop."""
        asyncio.run_coroutine_threadsafe(_end_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_others() -> None:
    """Cancel every task of the loop that runs this."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class RayHost(Host):
    """A policy in a process of its own, as in a sweep; Ray must be running."""

    served_by = "the policy server in a Ray actor"

    def __init__(self, choice: Choice, rules: LatencyProtocol, mode: Mode) -> None:
        super().__init__(choice, rules)
        import ray

        from wambench.sweeping.worker import ray_options

        # All policies of an audit share the GPU, one computing at a time: none may reserve it.
        options = {**ray_options(0), "max_restarts": 0}
        self._actor: Any = ray.remote(LatencyActor).options(**options).remote(choice, rules, mode)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the actor in its process."""
        import ray

        from wambench.sweeping.worker import first_line

        try:
            return ray.get(getattr(self._actor, method).remote(*arguments))
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, UserError | PolicyFault):
                raise cause from None
            raise UserError(f"its process failed: {first_line(error)}") from None

    def close(self) -> None:
        """End the process."""
        import ray

        ray.kill(self._actor)
