"""Traced counts, each made once in a run: ledger and page need some of the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wambench.errors import UserError
from wambench.profile.records import PolicyCount

_known: dict[str, PolicyCount] = {}


def counted(
    policy: str, geometry: str | None = None, options: Mapping[str, Any] | None = None
) -> PolicyCount:
    """Count a policy under a geometry, at most once; UserError where it cannot be counted."""
    from wambench.profile import flops

    key = _key(policy, geometry, options or {})
    if key not in _known:
        _known[key] = flops.count(policy, dict(options or {}), geometry)
    return _known[key]


def counted_all(
    policies: Sequence[str], geometry: str | None = None
) -> tuple[Sequence[PolicyCount], Sequence[str]]:
    """Count policies on all cores; those that cannot be are told in a line each."""
    from wambench.profile import flops

    missing = [name for name in policies if _key(name, geometry, {}) not in _known]
    try:
        for one in flops.count_all([(name, {}) for name in missing], geometry):
            _known[_key(one.policy, geometry, {})] = one
    except UserError:
        pass  # one of them spoils it for all; which one shows when each is asked alone
    found, unusable = [], []
    for name in policies:
        try:
            found.append(counted(name, geometry))
        except UserError as error:
            unusable.append(f"{name} ({geometry or 'own'}): {error}")
    return found, unusable


def forget() -> None:
    """Forget all counts."""
    _known.clear()


def _key(policy: str, geometry: str | None, options: Mapping[str, Any]) -> str:
    return f"{policy} {geometry} {sorted(options.items())}"
