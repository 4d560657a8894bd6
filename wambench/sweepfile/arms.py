"""A sweep under a clock that is not frozen: every policy at every latency, by every rule."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from wambench.cells import PolicyChoice
from wambench.clock import NAMED_RULES, Latency, Rules, Timing, charged_steps
from wambench.contract import SuiteSpec
from wambench.episode import Setting
from wambench.errors import UserError, did_you_mean
from wambench.policy import Policy
from wambench.protocols import Protocol
from wambench.suite import InitState
from wambench.sweepfile.latencies import resolved
from wambench.sweepfile.schema import SweepFile

WALL = "wall"


def arms(
    sweep: SweepFile,
    protocol: Protocol,
    choices: Mapping[str, PolicyChoice],
    policies: Mapping[str, Policy],
    suites: Sequence[SuiteSpec],
) -> tuple[Mapping[str, PolicyChoice], Sequence[str]]:
    """The policies as they are played, by label, and what was left out of the grid.

    Raises UserError for latencies under a frozen clock, a policy without one under a paying clock,
    and what cannot be played though nothing else was asked for.
    """
    _check(sweep, protocol, choices)
    if protocol.clock == "frozen":
        return choices, ()
    rules = {name: _rules(name) for name in sweep.rules or ["hold"]}
    out: dict[str, PolicyChoice] = {}
    notes = []
    for choice in choices.values():
        for latency in _latencies(sweep, protocol, choice, suites):
            for name, rule in _distinct(latency, rules, suites):
                timing = Timing(
                    clock="wall" if latency is None else "paying",
                    rule=name,
                    rules=rule,
                    latency=latency,
                    policy=choice.label,
                )
                arm = _label(timing, out)
                why = _impossible(arm, timing, protocol, policies[choice.label], suites)
                if why and len(rules) == 1:
                    raise UserError(why)
                if why:
                    notes.append(f"left out: {why}")
                else:
                    out[arm] = PolicyChoice(arm, choice.name, choice.options, timing)
    if not out:
        raise UserError(notes[0].removeprefix("left out: "))
    return out, notes


def _check(sweep: SweepFile, protocol: Protocol, choices: Mapping[str, PolicyChoice]) -> None:
    given = {
        "latency_ms": sweep.latency_ms, "latency": sweep.latency, "rules": sweep.rules
    }  # fmt: skip
    named = next((name for name, value in given.items() if value), None)
    if protocol.clock == "frozen" and named:
        raise UserError(
            f"{named}: under {protocol.name} the world waits for the policy; add "
            "protocol_changes: {clock: paying}"
        )
    if protocol.clock == "wall" and (sweep.latency_ms or sweep.latency):
        name = "latency_ms" if sweep.latency_ms else "latency"
        raise UserError(f"{name}: a wall clock takes what this machine takes; write clock: paying")
    for label in sweep.latency:
        if label not in choices:
            raise UserError(f"latency: no policy {label!r}; {did_you_mean(label, choices)}")


def _latencies(
    sweep: SweepFile, protocol: Protocol, choice: PolicyChoice, suites: Sequence[SuiteSpec]
) -> Iterator[Latency | None]:
    if protocol.clock == "wall":
        yield None
        return
    grid = [Latency(ms=(ms,), about=f"{ms:g} ms") for ms in sweep.latency_ms]
    own = sweep.latency.get(choice.label, [])
    own_found = [resolved(entry, choice, suites) for entry in own]
    if not grid and not own_found:
        raise UserError(
            f"policy {choice.label!r} has no latency under a paying clock; write "
            f"latency_ms: [0, 100], or latency: {{{choice.label}: {{ms: 100}}}}"
        )
    yield from (*grid, *own_found)


def _rules(name: str) -> Rules:
    if name not in NAMED_RULES:
        raise UserError(f"rules: no rule {name!r}; {did_you_mean(name, NAMED_RULES)}")
    return NAMED_RULES[name]


def _distinct(
    latency: Latency | None, rules: Mapping[str, Rules], suites: Sequence[SuiteSpec]
) -> Iterator[tuple[str, Rules]]:
    """The rules that make a difference: where nothing is charged, they are one."""
    if latency is not None and not any(
        charged_steps(max(latency.ms), suite.control_hz, rule)
        for suite in suites
        for rule in rules.values()
    ):
        yield "", Rules()
        return
    yield from rules.items()


def _label(timing: Timing, taken: Container[str]) -> str:
    """``nano-pi0 200ms hold``; with the source in full where two would be called alike."""
    latency = timing.latency
    words = WALL if latency is None else f"{latency.typical_ms:g}ms"
    if latency is not None and latency.source != "constant":
        words += f" {latency.source}"
    label = " ".join(filter(None, (timing.policy, words, timing.rule)))
    return f"{label} ({latency.about})" if latency is not None and label in taken else label


def _impossible(
    arm: str, timing: Timing, protocol: Protocol, policy: Policy, suites: Sequence[SuiteSpec]
) -> str:
    """Why an arm cannot be played, in one line; empty if it can."""
    if timing.rules.arrival == "rtc" and not policy.spec.inpaints:
        return (
            f"{arm}: rule rtc needs a policy whose chunk can begin with committed actions "
            f"(inpaints), which {timing.policy!r} does not offer; choose another rule"
        )
    if timing.latency is None or timing.rules.asking != "overlap":
        return ""
    for suite in suites:
        setting = Setting(protocol, suite, policy.spec, InitState("", ""))
        steps = charged_steps(max(timing.latency.ms), suite.control_hz, timing.rules)
        if steps > setting.replan_steps:
            return (
                f"{arm}: {max(timing.latency.ms):g} ms are {steps} steps of {suite.name}, and only "
                f"{setting.replan_steps} are executed between two looks; ask at_end (rule hold or "
                "continue), or execute more: protocol_changes: {replan_steps: …}"
            )
    return ""
