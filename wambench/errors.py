"""The two kinds of trouble: what the user can mend, and what befell the machinery."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: printed as one line that names the thing, the value and the remedy; exit code 2."""


class PolicyFault(Exception):
    """The policy broke its contract in an episode (raised, NaN, wrong shape…).

    It is recorded as outcome ``policy_error`` of that cell: it is neither a robot's failure nor
    an infrastructure failure, and because a cell is deterministic it is never retried.
    """


class InfrastructureFailure(Exception):
    """Something other than robot or policy failed (a dead worker, a wedged simulator…): retried."""


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return a remedy that suggests the names in ``known`` nearest to ``value``."""
    names = sorted(known)
    near = difflib.get_close_matches(value, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"known: {', '.join(names)}" if names else "none are installed"
