"""Find policies, suites, commands and rules by entry point; imported only when asked for."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

from wambench.contract import PolicySpec, SuiteSpec
from wambench.errors import UserError, did_you_mean, one_line
from wambench.policy import Policy
from wambench.stopping import StoppingRule
from wambench.suite import Suite

POLICIES = "wambench.policies"
SUITES = "wambench.suites"
COMMANDS = "wambench.commands"
AUDITS = "wambench.audits"  # commands under ``wambench audit``
FUNCTIONS = "wambench.functions"  # that wambench offers from Python, and another package has
STOPPING = "wambench.stopping"  # rules that end a sweep early


def installed(group: str) -> Mapping[str, metadata.EntryPoint]:
    """Entry points of a group by name, sorted."""
    points = sorted(metadata.entry_points(group=group), key=lambda point: point.name)
    return {point.name: point for point in points}


def load(group: str, kind: str, name: str) -> Any:
    """Import one entry point; raises UserError for an unknown name or a package that breaks."""
    points = installed(group)
    if name not in points:
        raise UserError(f"unknown {kind} {name!r}; {did_you_mean(name, points)}")
    rivals = {_origin(point) for point in metadata.entry_points(group=group, name=name)}
    if len(rivals) > 1:
        listed = " and ".join(sorted(rivals))
        raise UserError(f"{kind} {name!r} comes from both {listed}; uninstall one of them")
    point = points[name]
    try:
        return point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a stranger's module can raise anything, and exit, on import
        raise UserError(
            f"{kind} {name!r} ({_origin(point)}) fails to import: {one_line(error)}; "
            "fix or uninstall that package"
        ) from error


def _origin(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def make_policy(name: str, options: Mapping[str, Any]) -> Policy:
    """Construct a policy (cheaply: no weights yet)."""
    factory = load(POLICIES, "policy", name)
    try:
        policy = factory(**options)
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise UserError(
            f"policy {name!r} refuses its options {dict(options)}: {one_line(error)}; "
            f"it takes {_parameters(factory)}"
        ) from error
    if not isinstance(policy, Policy) or not isinstance(getattr(policy, "spec", None), PolicySpec):
        raise UserError(
            f"policy {name!r} gives {type(policy).__name__}, not a wambench.Policy with a "
            "PolicySpec as its spec; derive it from wambench.Policy"
        )
    return policy


def make_rule(name: str, policies: Sequence[str], options: Mapping[str, Any]) -> StoppingRule:
    """Construct a rule for a sweep of these policies (labels), with the options of its own."""
    factory = load(STOPPING, "stopping rule", name)
    try:
        rule = factory(policies, **options)
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise UserError(
            f"stopping rule {name!r} refuses {dict(options)}: {one_line(error)}; "
            f"it takes {_parameters(factory)}"
        ) from error
    if not isinstance(rule, StoppingRule):
        raise UserError(
            f"stopping rule {name!r} gives {type(rule).__name__}, not a "
            "wambench.stopping.StoppingRule; derive it from that"
        )
    return rule


def _parameters(factory: Callable[..., object]) -> str:
    """What a policy's constructor takes, for messages."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return "unknown options"
    shown = (p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters)
    return ", ".join(shown) or "no options"


@functools.cache
def make_suite(name: str) -> Suite:
    """Construct a suite (light: no simulator yet)."""
    factory = load(SUITES, "suite", name)
    try:
        suite = factory()
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise UserError(
            f"suite {name!r} cannot be made: {one_line(error)}; fix or uninstall its package"
        ) from error
    if not isinstance(suite, Suite) or not isinstance(getattr(suite, "spec", None), SuiteSpec):
        raise UserError(
            f"suite {name!r} gives {type(suite).__name__}, not a wambench.Suite with a SuiteSpec "
            "as its spec; derive it from wambench.Suite"
        )
    if suite.spec.name != name:
        raise UserError(
            f"suite {name!r} calls itself {suite.spec.name!r} in its spec; make the names agree"
        )
    return suite
