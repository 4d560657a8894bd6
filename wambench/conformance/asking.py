"""Ask a policy about itself, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wambench import plugins
from wambench.conformance.line import Finding, Line, Result, unchecked
from wambench.conformance.lines import LINES
from wambench.conformance.looks import gather, made_up
from wambench.conformance.subject import Subject
from wambench.contract import PolicySpec, mismatches
from wambench.errors import InfrastructureFailure, PolicyFault, UserError, one_line
from wambench.profile.observations import observations
from wambench.protocols import Protocol, protocol, protocols
from wambench.suite import Suite

USUAL = "wambench-1"
MADE_UP = 8  # observations, where no simulator is opened


def subject(
    name: str,
    options: Mapping[str, Any],
    suite: str | None = None,
    rules: str | None = None,
    *,
    simulator: bool = True,
    tell: Callable[[str], None] = lambda text: None,
) -> Subject:
    """Load a policy and lay out what it will be asked about.

    Args:
        name: of the policy.
        options: of the policy.
        suite: whose conventions it is held to; None: those of the first that the usual protocol
            names.
        rules: name of the protocol whose pictures it is given; None: the first that it fits.
        simulator: False: made-up observations, about which nobody knows what is right.
        tell: is told what takes long.

    Raises:
        UserError: an unknown name, a policy that does not fit or cannot run here.
    """
    suite = suite or next(iter(protocol(USUAL).max_steps))
    policy, offered = plugins.make_policy(name, options), plugins.make_suite(suite)
    preset = fitting(name, policy.spec, offered, rules)
    if obstacles := policy.obstacles():
        raise UserError(f"policy {name!r} cannot run here: {'; '.join(obstacles)}")
    looks, judge = made_up(offered, policy.spec, observations(policy.spec, MADE_UP)), ""
    if simulator:
        tell(f"letting the expert of {suite} play, about half a minute")
        try:
            looks = gather(suite, preset, policy.spec)
        except UserError as error:
            judge = str(error)
    else:
        judge = "needs a simulator, and --no-simulator leaves it out"
    try:
        policy.load()
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:  # a stranger's code
        raise UserError(f"policy {name!r} cannot be loaded: {one_line(error)}") from error
    told = [task.instruction for task in offered.tasks()]
    return Subject(policy, suite, preset, offered.spec.action, told, looks, judge)


def fitting(name: str, policy: PolicySpec, suite: Suite, rules: str | None) -> Protocol:
    """The protocol asked for, or the first whose pictures the policy takes; UserError if none."""
    usual = protocol(rules or USUAL)
    for one in [usual] if rules else [usual, *protocols().values()]:
        if not _misfit(policy, suite, one):
            return one
    remedy = "name another --protocol or --suite" if rules else "name another --suite"
    raise UserError(f"policy {name!r} {'; '.join(_misfit(policy, suite, usual))}; {remedy}")


def _misfit(policy: PolicySpec, suite: Suite, rules: Protocol) -> list[str]:
    pictures = {"image_size": rules.image_size, "orientation": rules.orientation}
    return list(mismatches(policy, suite.spec, **pictures))  # type: ignore[arg-type]


def findings(asked: Subject) -> Iterator[Finding]:
    """Check line by line, each as soon as it is asked for; nothing that the policy does raises."""
    for line in LINES:
        yield Finding(line, _result(line, asked))


def _result(line: Line, asked: Subject) -> Result:
    try:
        return line.check(asked)
    except PolicyFault as fault:
        return unchecked(f"it does not answer: {fault}")
    except InfrastructureFailure as trouble:
        return unchecked(f"the machinery under it failed: {trouble}")
