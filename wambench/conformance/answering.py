"""Lines about answers as such; nobody need know what is right, so no simulator is needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wambench.conformance.line import Result, failed, passed, unchecked
from wambench.conformance.subject import Subject, apart, same
from wambench.contract import Observation
from wambench.errors import PolicyFault

UNREPEATABLE = "it does not answer the same twice; see determinism"
ROUNDING = 1e-4  # of the actions' range: what another order of sums may do
SLACK = 0.05  # of the actions' range: an overshoot that clipping may take off
MOST_OUTSIDE = 0.05  # share of numbers
BATCH = 4  # observations, where the policy takes so many


def chunk_length(subject: Subject) -> Result:
    """Every answer has the declared horizon, and as many actions as are executed."""
    spec = subject.policy.spec
    executed = subject.protocol.replan_steps or spec.replan_steps or spec.horizon
    try:
        lengths = {len(subject.ask(look)) for look in (*subject.few, *subject.few)}
    except PolicyFault as fault:
        return failed(f"it does not answer: {fault}")
    told = " or ".join(map(str, sorted(lengths)))
    if lengths != {spec.horizon}:
        return failed(f"declares {spec.horizon} actions a chunk, answers {told}")
    if spec.replan_steps and spec.replan_steps > spec.horizon:
        return failed(f"means to execute {spec.replan_steps} actions of chunks of {told}")
    return passed(f"{told} of {spec.horizon} actions, {min(executed, spec.horizon)} executed")


def action_range(subject: Subject) -> Result:
    """Numbers lie in the suite's range; what clipping takes off is little and seldom."""
    numbers = np.concatenate([answer.ravel() for answer in subject.answers])
    low, high = subject.action.low, subject.action.high
    slack = SLACK * (high - low)
    outside = float(np.mean((numbers < low - slack) | (numbers > high + slack)))
    reach = f"{numbers.min():.2f} to {numbers.max():.2f} of {low:g} to {high:g}"
    if outside > MOST_OUTSIDE:
        return failed(f"{outside:.0%} of the numbers are well outside: {reach}")
    return passed(reach)


def determinism(subject: Subject) -> Result:
    """One observation twice, in two episodes of different names."""
    if subject.repeatable:
        return passed("equal to the bit")
    gaps = [apart(subject.ask(look), subject.ask(look)) for look in subject.few]
    return failed(f"the same question, the same seed, answers {max(gaps):.2g} apart")


def noise(subject: Subject) -> Result:
    """Another noise seed in between must not be remembered; whether it moves the answer is told."""
    if not subject.repeatable:
        return unchecked(UNREPEATABLE)
    moved = 0.0
    for look in subject.few:
        other = replace(look, seen=replace(look.seen, noise_seed=look.seen.noise_seed + 1))
        first, between, again = (subject.ask(one) for one in (look, other, look))
        if not same(first, again):
            return failed("after another noise seed, the first seed gives another answer")
        moved = max(moved, apart(first, between))
    if moved:
        return passed(f"another seed moves the answer by up to {moved:.2g}, the first restores it")
    return passed("no seed moves the answer: it draws no noise, or fixes its own")


def batch(subject: Subject) -> Result:
    """Answers in a batch are those of each observation alone."""
    size = min(BATCH, subject.policy.spec.max_batch, len(subject.looks))
    if size < 2:
        return unchecked("it takes one observation at a time")
    if not subject.repeatable:
        return unchecked(UNREPEATABLE)
    looks = [subject.looks[i] for i in np.linspace(0, len(subject.looks) - 1, size).astype(int)]
    alone, together = [subject.ask(look) for look in looks], subject.batch(looks)
    if not all(map(same, alone, [subject.ask(look) for look in looks])):
        return unchecked("it answers otherwise after others were asked about; see noise seed")
    if all(map(same, alone, together)):
        return passed(f"{size} together as each alone, to the bit")
    gap = max(map(apart, alone, together)) / (subject.action.high - subject.action.low)
    lengths = [len(one) == len(other) for one, other in zip(alone, together, strict=True)]
    if all(lengths) and gap < ROUNDING:
        return passed(f"{size} together as each alone, up to rounding: {gap:.1g} of the range")
    return failed(f"{size} together answer {gap:.2g} of the range away from each alone")


def not_a_number(subject: Subject) -> Result:
    """A state of NaN is refused, or answered with numbers."""
    names = subject.policy.spec.proprio
    if not names:
        return unchecked("it reads no state")
    refused, look = [], subject.few[0]
    for name in names:
        broken = {**look.seen.proprio, name: np.full_like(look.seen.proprio[name], np.nan)}
        try:
            answer = subject.changed(look, lambda seen, to=broken: replace(seen, proprio=to))  # type: ignore[misc]
        except PolicyFault:
            refused.append(name)
            continue
        if not np.isfinite(answer).all():
            return failed(f"{name} of NaN is answered with NaN; refuse it by name")
    return passed(f"refuses {', '.join(refused)}" if refused else "answers with numbers")


def inputs(subject: Subject) -> Result:
    """Every camera and every state that it asks for moves its answer."""
    spec = subject.policy.spec
    if not spec.cameras and not spec.proprio:
        return unchecked("it reads neither pictures nor states")
    if not subject.repeatable:
        return unchecked(UNREPEATABLE)
    unread = [
        name
        for name in (*spec.cameras, *spec.proprio)
        if all(
            same(subject.ask(look), subject.changed(look, lambda seen, n=name: _other(seen, n)))  # type: ignore[misc]
            for look in subject.few
        )
    ]
    if unread:
        return failed(f"asks for {', '.join(unread)} and answers the same without")
    return passed(", ".join((*spec.cameras, *spec.proprio)))


def _other(seen: Observation, name: str) -> Observation:
    """The same with one picture's colours inverted, or one state a little elsewhere."""
    if name in seen.images:
        return replace(seen, images={**seen.images, name: 255 - seen.images[name]})
    return replace(seen, proprio={**seen.proprio, name: seen.proprio[name] - 0.03})
