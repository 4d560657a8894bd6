"""Every policy asked at the moments of its own episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from analysis.attention import maps
from analysis.attention.capture import attention_of
from analysis.attention.own.chosen import Chosen, Group
from analysis.attention.own.effects import Effect, bare, moved
from analysis.attention.own.looks import Floats, Look, ground
from analysis.attention.parts import Parts
from analysis.attention.scenes import Moment, gather
from analysis.attention.study import about, read_once
from wambench import plugins
from wambench.attention import Attention, Grid
from wambench.contract import checked_chunk
from wambench.episode import Setting, as_executed
from wambench.inference import Inference
from wambench.policy import Policy

AT_ONCE = 8  # episodes whose pictures are in memory
SHOWN_EPISODES = 5  # rows of a policy's figure
AROUND = (-2, -1, 0, 1, 2)  # looks around the failure: its columns


@dataclass(frozen=True)
class Shown:
    """A moment of a failed episode that is to be drawn; ``way``: looks after the failing one."""

    way: int
    moment: Moment
    weights: Mapping[str, Floats]
    grids: Mapping[str, Grid]


@dataclass(frozen=True)
class Found:
    """What asking gave.

    Attributes:
        looks: at all moments.
        effects: at some of every episode.
        shown: of failed episodes, what is to be drawn.
        asked, same: moments at which the policy was made to act again, and at how many of them its
            actions are those of the run, to the bit.
    """

    looks: Sequence[Look]
    effects: Sequence[Effect]
    shown: Sequence[Shown]
    asked: int
    same: int


def found(chosen: Chosen, per_episode: int, parts: Parts, progress: Progress) -> Sequence[Found]:
    """Take the episodes again and ask, but for what ``parts`` has already; one for each group.

    ``per_episode``: moments of each episode at which effects are measured.
    """
    drawn = shown_keys(chosen.groups)
    bar = progress.add_task("tasks", total=len(chosen.groups))
    out = []
    for group in chosen.groups:
        progress.update(bar, description=group.arm.policy)
        identity = plugins.make_policy(group.arm.name, group.arm.options).fingerprint()
        keys = [one.cell.key for one in group.stored]
        own = [key for key in keys if key in drawn]
        key = [group.arm, identity, group.looking, keys, per_episode, own]
        out.append(parts.once("own", key, partial(ask, group, per_episode, own)))
        progress.advance(bar)
    return out


def shown_keys(groups: Sequence[Group]) -> set[str]:
    """Failed episodes to be drawn: for each policy the first of every task, then others."""
    out: set[str] = set()
    for label in dict.fromkeys(group.arm.policy for group in groups):
        failed = [
            (rank, number, one.cell.key)
            for number, group in enumerate(groups)
            if group.arm.policy == label
            for rank, one in enumerate(o for o in group.stored if o.outcome == "failure")
        ]
        out |= {key for _, _, key in sorted(failed)[:SHOWN_EPISODES]}
    return out


def ask(group: Group, per_episode: int, drawn: Sequence[str]) -> Found:
    """One policy on one task; it is loaded here."""
    policy = plugins.make_policy(group.arm.name, group.arm.options)
    policy.load()
    inference = policy.inference("loaded")
    attention = attention_of(group.arm.policy, inference)
    assert inference is not None
    asking = _Asking(group, policy, inference, attention)
    looks: list[Look] = []
    effects: list[Effect] = []
    shown: list[Shown] = []
    asked = same = 0
    for start in range(0, len(group.courses), AT_ONCE):
        courses = group.courses[start : start + AT_ONCE]
        moments = gather(courses, group.looking)
        for one in courses:
            assert one.stored is not None and one.actions is not None
            own = [moment for moment in moments if moment.seen.episode == one.stored.key]
            outcome = "failure" if one.stored.failed else "success"
            read = [asking.look(moment, outcome) for moment in own]
            looks += read
            for number in spaced(len(own), per_episode):
                whole = np.asarray(policy.act([own[number].seen])[0])
                asked += 1
                same += asking.is_as_stored(own[number], whole, one.actions)
                effects.append(asking.effect(own[number], read[number], whole))
            if one.stored.key in drawn:
                shown += [
                    Shown(way, own[number], read[number].weights, attention.cameras)
                    for way, number in around(own).items()
                ]
    return Found(looks, effects, shown, asked, same)


def spaced(count: int, most: int) -> Sequence[int]:
    """At most so many of 0 … ``count`` - 1, evenly spaced, the first and the last among them."""
    ends = np.linspace(0, count - 1, min(count, most))
    return [int(place) for place in ends.round()]


def around(own: Sequence[Moment]) -> Mapping[int, int]:
    """Looks after the failing one -> which moment; around the end where no failure is known."""
    happened = own[-1].happened
    step = happened.failure.step if happened and happened.failure else own[-1].step
    last = max(number for number, moment in enumerate(own) if moment.step <= step)
    return {way: last + way for way in AROUND if 0 <= last + way < len(own)}


@dataclass(frozen=True)
class _Asking:
    group: Group
    policy: Policy
    inference: Inference
    attention: Attention

    def look(self, moment: Moment, outcome: str) -> Look:
        turned, happened = self.group.looking.rules.orientation, moment.happened
        before = None
        if happened is not None:
            before = happened.attempt is None or moment.step < happened.attempt
        return Look(
            place=about(self.group.arm, self.policy, moment),
            outcome=outcome,
            before=before,
            weights=self._weights(moment),
            ground=ground(moment, self.attention.cameras, turned),
        )

    def effect(self, moment: Moment, look: Look, whole: NDArray[np.floating]) -> Effect:
        nothing = replace(moment, seen=bare(moment.seen))
        return Effect(
            look=look,
            moved=moved(self.policy, moment.seen, self.attention, whole),
            bare=self._weights(nothing),
        )

    def is_as_stored(
        self, moment: Moment, whole: NDArray[np.floating], actions: NDArray[np.float64]
    ) -> bool:
        """Whether an answer is what the robot did next, to the bit."""
        suite, looking = plugins.make_suite(moment.suite), self.group.looking
        task = suite.tasks()[moment.task_index]
        setting = Setting(
            looking.rules, suite.spec, self.policy.spec, task.start(moment.init_state)
        )
        chunk = as_executed(
            checked_chunk(whole, suite.spec.action, self.policy.spec.horizon), setting
        )
        did = actions[moment.step : moment.step + looking.stride]
        return bool(np.array_equal(chunk[: len(did)], did))

    def _weights(self, moment: Moment) -> Mapping[str, Floats]:
        captured = read_once(self.policy, self.inference, self.attention, moment)
        images = maps.sight(captured, self.attention).images
        return {camera: w.astype(np.float64) for camera, w in images.items()}
