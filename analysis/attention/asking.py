"""A whole study: every policy and control asked at the same moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
from rich.progress import Progress

from analysis.attention import causal
from analysis.attention.compare import arm_name
from analysis.attention.parts import Parts
from analysis.attention.scenes import Course, Looking, Moment, gather
from analysis.attention.study import Arm, Seen, ask, ask_nothing
from wambench import plugins


@dataclass(frozen=True)
class Plan:
    """What a study asks.

    Attributes:
        arms: policies, each followed by its controls.
        groups: episodes, those of one task together; the first one is drawn.
        wide: at which moments all episodes are looked at.
        fine: at which moments the one that is drawn is.
        blanking: whether to blank what is read and see what moves.
    """

    arms: Sequence[Arm]
    groups: Sequence[Sequence[Course]]
    wide: Looking
    fine: Looking
    blanking: bool

    @property
    def drawn(self) -> Course:
        """The episode of the figures."""
        return self.groups[0][0]


@dataclass(frozen=True)
class Answers:
    """What came of it.

    Attributes:
        moments: of all episodes, at which all were asked.
        episode: the moments that are drawn.
        seen: what each policy read at them.
        scores: of :func:`analysis.attention.study.ask`, of all arms and of maps that know nothing.
        shares: of the same, by kind of token.
        moved: of :func:`analysis.attention.causal.moved`; None if that was not asked for.
    """

    moments: Sequence[Moment]
    episode: Sequence[Moment]
    seen: Sequence[Seen]
    scores: pd.DataFrame
    shares: pd.DataFrame
    moved: pd.DataFrame | None


def answers(plan: Plan, parts: Parts, progress: Progress) -> Answers:
    """Play the episodes and ask every arm, but for what ``parts`` has already."""
    wide, fine, turned = plan.wide, plan.fine, plan.wide.rules.orientation
    bar = progress.add_task("episodes", total=len(plan.groups) + 1)
    moments: list[Moment] = []
    for courses in plan.groups:
        moments += parts.once("moments", [courses, wide], partial(gather, courses, wide))
        progress.advance(bar)
    episode = parts.once("moments", [[plan.drawn], fine], partial(gather, [plan.drawn], fine))
    progress.advance(bar)
    bar = progress.add_task("policies", total=len(plan.arms) * (1 + plan.blanking))
    scores, shares, moved = [], [], []
    seen: list[Seen] = []
    for arm in plan.arms:
        identity = plugins.make_policy(arm.name, arm.options).fingerprint()
        key = [arm, identity, plan.groups, wide]
        progress.update(bar, description=arm_name(arm.policy, arm.control))
        asked = parts.once("asked", key, partial(ask, arm, moments, turned))
        scores.append(asked.scores)
        shares.append(asked.shares)
        progress.advance(bar)
        if not arm.control:
            seen += ask(arm, episode, turned, keep=lambda moment: True).kept
        if plan.blanking and not arm.control:
            moved.append(parts.once("moved", key, partial(causal.moved, arm, moments)))
        progress.advance(bar, int(plan.blanking))
    scores.append(ask_nothing(moments, wide.spec.cameras))
    return Answers(
        moments=moments,
        episode=episode,
        seen=seen,
        scores=pd.concat(scores, ignore_index=True),
        shares=pd.concat(shares, ignore_index=True),
        moved=pd.concat(moved, ignore_index=True) if moved else None,
    )
