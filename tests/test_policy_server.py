"""A policy's fault hits the episode that causes it, whatever the policy does."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.conftest import Install
from tests.toy import SPEC as TOY
from wambench import EpisodeStart, Observation, Policy, PolicySpec, plugins
from wambench.errors import InfrastructureFailure, PolicyFault
from wambench.policy_server import Answer, LocalClient, PolicyActor, answer_batch

GOOD = np.zeros((1, 2))


def see(episode: str, step: int = 0) -> Observation:
    return Observation(episode=episode, step=step, instruction="go left", noise_seed=0)


def start(episode: str) -> EpisodeStart:
    return EpisodeStart(episode, "toy", "go left", "go left", 0, TOY.action, 0)


class Scripted(Policy):
    """Answers with what a function of the observations returns."""

    spec = PolicySpec(paradigm="scripted", about="a test's")

    def __init__(self, answer: Callable[[Sequence[Observation]], Any]) -> None:
        self._answer = answer
        self.asked: list[list[str]] = []

    def act(self, observations: Sequence[Observation]) -> Any:
        self.asked.append([seen.episode for seen in observations])
        return self._answer(observations)


def poisoned(raise_: Callable[[], Any]) -> Scripted:
    """A policy that fails whenever episode "bad" is in the batch."""

    def answer(observations: Sequence[Observation]) -> list[np.ndarray]:
        if any(seen.episode == "bad" for seen in observations):
            raise_()
        return [np.full((1, 2), float(seen.step)) for seen in observations]

    return Scripted(answer)


def divide_by_zero() -> float:
    return 1 / 0


def stop() -> None:
    raise StopIteration


@pytest.mark.parametrize(
    ("raise_", "expected"),
    [
        (divide_by_zero, "ZeroDivisionError: division by zero (test_policy_server.py:"),
        (lambda: sys.exit(3), "SystemExit: 3"),
        (lambda: [][0], "IndexError"),
        (stop, "StopIteration"),
    ],
)
def test_fault_in_a_batch_is_charged_to_its_episode(
    raise_: Callable[[], Any], expected: str
) -> None:
    policy = poisoned(raise_)
    seen = [see("a", 1), see("bad", 2), see("b", 3)]
    answers = answer_batch(policy, seen)
    assert [bool(answer.fault) for answer in answers] == [False, True, False]
    assert answers[0].chunk[0, 0] == 1 and answers[2].chunk[0, 0] == 3
    assert expected in answers[1].fault and "\n" not in answers[1].fault
    assert policy.asked == [["a", "bad", "b"], ["a"], ["bad"], ["b"]]


def test_healthy_batch_is_asked_once() -> None:
    policy = Scripted(lambda seen: [GOOD] * len(seen))
    assert all(answer.unwrap() is GOOD for answer in answer_batch(policy, [see("a"), see("b")]))
    assert policy.asked == [["a", "b"]]


def test_one_array_for_the_batch_will_do() -> None:
    answers = answer_batch(Scripted(lambda seen: np.zeros((len(seen), 4, 2))), [see("a"), see("b")])
    assert [answer.unwrap().shape for answer in answers] == [(4, 2), (4, 2)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda seen: None, "NoneType"),
        (lambda seen: (GOOD for _ in seen), "generator"),
        (lambda seen: {one.episode: GOOD for one in seen}, "dict"),
        (lambda seen: [], "0 chunks for 1 observations"),
        (lambda seen: [GOOD, GOOD, GOOD], "3 chunks for 1 observations"),
        (lambda seen: [[0.0, 0.0] for _ in seen], "list as a chunk"),
        (lambda seen: [None for _ in seen], "NoneType as a chunk"),
    ],
)
def test_answers_of_the_wrong_kind_are_faults(answer: Any, expected: str) -> None:
    answers = answer_batch(Scripted(answer), [see("a"), see("b")])
    assert len(answers) == 2
    for one in answers:
        assert expected in one.fault
        with pytest.raises(PolicyFault):
            one.unwrap()


def test_interrupt_is_not_a_fault() -> None:
    def interrupt(seen: Sequence[Observation]) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer_batch(Scripted(interrupt), [see("a")])


@pytest.mark.parametrize("error", [ValueError("no such task"), SystemExit(1), StopIteration()])
def test_local_client_turns_a_raising_reset_into_a_fault(error: BaseException) -> None:
    class Refuses(Scripted):
        def reset(self, start: EpisodeStart) -> None:
            raise error

    with pytest.raises(PolicyFault, match=type(error).__name__):
        LocalClient(Refuses(lambda seen: [GOOD])).reset(start("a"))


# -- the actor that sweeps use, without Ray ----------------------------------------------------

SERVED = """
import threading
import numpy as np
from wambench import Policy, PolicySpec

gate = threading.Event()
log = []

class Served(Policy):
    spec = PolicySpec(paradigm="scripted", about="served", max_batch=3)
    def load(self):
        log.append("load")
    def reset(self, start):
        log.append(f"reset {start.episode}")
        if start.episode == "exits":
            raise SystemExit("reset exits")
        if start.episode == "stops":
            raise StopIteration
    def act(self, observations):
        gate.wait()
        log.append([seen.episode for seen in observations])
        return [np.full((1, 2), float(seen.step)) for seen in observations]
    def forget(self, episode):
        log.append(f"forget {episode}")
"""


@pytest.fixture
def served(install: Install) -> Any:
    """The module of a policy whose ``act`` waits for ``gate``."""
    install("served", {"served.py": SERVED}, {plugins.POLICIES: {"served": "served:Served"}})
    import importlib

    return importlib.import_module("served")


async def act_together(actor: PolicyActor, gate: threading.Event, episodes: str) -> list[Answer]:
    """Send all requests while the first is being answered."""
    asking = [asyncio.create_task(actor.act(see(e, step))) for step, e in enumerate(episodes)]
    for _ in range(20):
        await asyncio.sleep(0)
    gate.set()
    return await asyncio.wait_for(asyncio.gather(*asking), 30)


@pytest.mark.parametrize("max_batch", [None, 1, 2, 100])
def test_actor_batches_what_waits_and_answers_each_its_own(
    served: Any, max_batch: int | None
) -> None:
    async def run() -> list[Answer]:
        actor = PolicyActor("served", {}, max_batch)
        for episode in "abcdefg":
            assert not (await actor.reset(start(episode))).fault
        return await act_together(actor, served.gate, "abcdefg")

    answers = asyncio.run(run())
    assert [answer.unwrap()[0, 0] for answer in answers] == list(range(7))
    batches = [entry for entry in served.log if isinstance(entry, list)]
    assert [episode for batch in batches for episode in batch] == list("abcdefg")
    limit = max_batch or 3
    assert max(map(len, batches)) == min(limit, 6 if len(batches[0]) == 1 else 7)


def test_actor_refuses_episodes_it_never_began(served: Any) -> None:
    """Else a restarted policy would go on with an episode whose memory it has lost."""
    served.gate.set()

    async def run() -> None:
        actor = PolicyActor("served", {})
        await actor.reset(start("a"))
        await actor.act(see("a"))
        await actor.forget("a")
        with pytest.raises(InfrastructureFailure, match="restarted"):
            await actor.act(see("a"))
        with pytest.raises(InfrastructureFailure, match="restarted"):
            await actor.act(see("b"))

    asyncio.run(asyncio.wait_for(run(), 30))
    assert served.log == ["load", "reset a", ["a"], "forget a"]


@pytest.mark.parametrize("episode", ["exits", "stops"])
def test_actor_survives_a_reset_that_exits(served: Any, episode: str) -> None:
    served.gate.set()

    async def run() -> tuple[Answer, Answer]:
        actor = PolicyActor("served", {})
        refused = await actor.reset(start(episode))
        await actor.reset(start("a"))
        return refused, await actor.act(see("a", 5))

    refused, answer = asyncio.run(asyncio.wait_for(run(), 30))
    assert "policy raised" in refused.fault
    assert answer.unwrap()[0, 0] == 5
