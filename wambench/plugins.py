"""Find policies, suites and commands by entry point; nothing is imported until it is asked for."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from wambench.errors import UserError, did_you_mean
from wambench.policy import Policy
from wambench.suite import Suite

POLICIES = "wambench.policies"
SUITES = "wambench.suites"
COMMANDS = "wambench.commands"


def installed(group: str) -> Mapping[str, metadata.EntryPoint]:
    """Entry points of a group by name, sorted."""
    points = sorted(metadata.entry_points(group=group), key=lambda point: point.name)
    return {point.name: point for point in points}


def load(group: str, kind: str, name: str) -> Any:
    """Import one entry point; raises UserError for an unknown name or a package that breaks."""
    points = installed(group)
    if name not in points:
        raise UserError(f"unknown {kind} {name!r}; {did_you_mean(name, points)}")
    point = points[name]
    try:
        return point.load()
    except Exception as error:  # a stranger's module can raise anything on import
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        raise UserError(
            f"{kind} {name!r} ({origin}) fails to import: {type(error).__name__}: {error}; "
            "fix or uninstall that package"
        ) from error


def make_policy(name: str, options: Mapping[str, Any]) -> Policy:
    """Construct a policy (cheaply: no weights yet)."""
    factory = load(POLICIES, "policy", name)
    try:
        policy = factory(**options)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"policy {name!r} refuses its options {dict(options)}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(policy, Policy) or not hasattr(policy, "spec"):
        raise UserError(
            f"policy {name!r} is a {type(policy).__name__}, not a wambench.Policy with a spec; "
            "derive it from wambench.Policy"
        )
    return policy


@functools.cache
def make_suite(name: str) -> Suite:
    """Construct a suite (light: no simulator yet)."""
    suite = load(SUITES, "suite", name)()
    if not isinstance(suite, Suite):
        raise UserError(f"suite {name!r} is a {type(suite).__name__}; derive it from wambench.Suite")
    return suite
