"""One row for every arm: how it fared, and what the robot did while it decided."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from analysis.report.score import Score
from wambench import plugins
from wambench.cells import PolicyChoice
from wambench.clock import PREFIX, Timing
from wambench.store import Count, Store

WALL = "wall clock"


@dataclass(frozen=True)
class ArmRow:
    """One policy at one latency, by one rule. Shares are of all control steps of its episodes.

    Attributes:
        label: of the arm; ``policy``: whose it is.
        rule: empty where nothing is charged: there the rules are one.
        latency_ms: the median of what a decision is charged before rounding; None: wall clock.
        source: of the latency: ``constant``, ``measured``, ``predicted``, ``claimed`` or
            ``wall clock``, which never comes again.
        about: the latency in words; ``where``: on what, for policies to be set side by side.
        decisions: that were asked for.
        charged_steps, charged_ms: mean of a decision, in control steps and robot time.
        waiting: steps with a decision under way; of these or others, ``held``: steps without
            an action to execute; ``stale``: actions executed while a newer answer was being
            thought out, or later than they were meant for.
        decisions_per_s: of robot time.
    """

    label: str
    policy: str
    rule: str
    latency_ms: float | None
    source: str
    about: str
    where: str
    score: Score
    decisions: int
    charged_steps: float | None
    charged_ms: float | None
    waiting: float | None
    held: float | None
    stale: float | None
    decisions_per_s: float | None

    @property
    def is_free(self) -> bool:
        """Whether nothing is charged."""
        return self.rule == "" and self.source == "constant"


def representatives(choices: Mapping[str, PolicyChoice], labels: Sequence[str]) -> Sequence[str]:
    """Of every policy's arms the one that is charged least; policies without arms as they are."""

    def charge(timing: Timing) -> tuple[bool, float]:
        return timing.latency is None, max(timing.latency.ms) if timing.latency else 0.0

    timed = {label: choices[label].timing for label in labels}
    least: dict[str, str] = {}
    for label, timing in timed.items():
        if timing is not None:
            other = timed.get(least.get(timing.policy, ""))
            if other is None or charge(timing) < charge(other):
                least[timing.policy] = label
    return [label for label, timing in timed.items() if timing is None or label in least.values()]


def arm_rows(
    store: Store, cells: Sequence[Count], choices: Mapping[str, PolicyChoice]
) -> Sequence[ArmRow]:
    """A row of every arm that has cells: policies in the store's order, latencies ascending."""
    counted: dict[str, list[Count]] = {}
    for count in cells:
        counted.setdefault(count.policy, []).append(count)
    timed = [
        (label, choice.timing)
        for label, choice in choices.items()
        if choice.timing is not None and label in counted
    ]
    policies = list(dict.fromkeys(timing.policy for _, timing in timed))
    rules = list(dict.fromkeys(timing.rule for _, timing in timed))
    spent = _spent(store, {count.suite for count in cells})
    rows = [_row(label, timing, counted[label], spent.get(label)) for label, timing in timed]
    return sorted(
        rows,
        key=lambda row: (
            policies.index(row.policy),
            rules.index(row.rule) if row.rule else -1,
            row.source != "constant",
            row.source,
            row.latency_ms or 0.0,
        ),
    )


@dataclass
class _Spent:
    """Sums over the finished episodes of an arm; seconds of robot time, NaN where not known."""

    steps: int = 0
    seconds: float = 0.0
    decisions: int = 0
    charged: float = 0
    charged_s: float = 0.0
    waiting: float = 0
    held: float = 0
    stale: float = 0


def _row(label: str, timing: Timing, counts: Sequence[Count], spent: _Spent | None) -> ArmRow:
    latency, took = timing.latency, spent or _Spent()

    def a_step(sum_: float) -> float | None:
        return sum_ / took.steps if took.steps else None

    def a_decision(sum_: float) -> float | None:
        return sum_ / took.decisions if took.decisions and not math.isnan(sum_) else None

    return ArmRow(
        label=label,
        policy=timing.policy,
        rule=timing.rule,
        latency_ms=latency.typical_ms if latency else None,
        source=latency.source if latency else WALL,
        about=latency.about if latency else WALL,
        where=latency.where if latency else "",
        score=Score.of(counts),
        decisions=took.decisions,
        charged_steps=a_decision(took.charged),
        charged_ms=a_decision(1000 * took.charged_s),
        waiting=a_step(took.waiting),
        held=a_step(took.held),
        stale=a_step(took.stale),
        decisions_per_s=took.decisions / took.seconds if took.seconds > 0 else None,
    )


def _spent(store: Store, suites: Collection[str]) -> Mapping[str, _Spent]:
    """Arm -> what its finished episodes on these suites took."""
    kept = store.measurements(PREFIX)
    cells = [stored for stored in store.cells(kept) if stored.cell.suite in suites]
    hz = _control_hz({stored.cell.suite for stored in cells})
    found: dict[str, _Spent] = {}
    for stored in cells:
        told, steps, rate = kept[stored.cell.key], stored.steps or 0, hz[stored.cell.suite]
        asked, charged = told[f"{PREFIX}asked_step"], told[f"{PREFIX}charged_steps"]
        own = found.setdefault(stored.cell.policy, _Spent())
        own.steps += steps
        own.seconds += steps / rate
        own.decisions += len(asked)
        own.charged += sum(charged)
        own.charged_s += sum(charged) / rate
        own.waiting += sum(
            min(cost, steps - step) for step, cost in zip(asked, charged, strict=True)
        )
        own.held += sum(told[f"{PREFIX}held_steps"])
        own.stale += sum(told[f"{PREFIX}stale_actions"])
    return found


def _control_hz(suites: set[str]) -> Mapping[str, float]:
    """Suite -> control steps a second; NaN where it is not installed."""
    found = {}
    for suite in suites:
        try:
            found[suite] = plugins.make_suite(suite).spec.control_hz
        except Exception:  # numbers must not depend on an intact simulator package
            found[suite] = float("nan")
    return found
