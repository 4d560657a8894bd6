"""Traced counts, each made once in a run: ledger and page need some of the same."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from wambench.profile.records import PolicyCount


def counted(
    policy: str, geometry: str | None = None, options: Mapping[str, Any] | None = None
) -> PolicyCount:
    """Count a policy under a geometry, at most once; UserError where it cannot be counted."""
    return _counted(policy, geometry, tuple(sorted((options or {}).items())))


@functools.cache
def _counted(
    policy: str, geometry: str | None, options: tuple[tuple[str, Any], ...]
) -> PolicyCount:
    from wambench.profile import flops

    return flops.count(policy, dict(options), geometry)
