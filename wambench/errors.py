"""The two kinds of trouble: what the user can mend, and what befell the machinery."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import ValidationError

NAMES_SHOWN = 12  # a line that lists all ninety tasks helps nobody


class UserError(Exception):
    """Bad input: one line that names the thing, the value and the remedy; exit code 2."""


class PolicyFault(Exception):
    """The policy broke its contract in an episode (raised, NaN, wrong shape…).

    It is recorded as outcome ``policy_error`` of that cell: it is neither a robot's failure nor
    an infrastructure failure, and because a cell is deterministic it is never retried.
    """


class InfrastructureFailure(Exception):
    """Something other than robot or policy failed (a dead worker, a wedged simulator…): retried.

    A policy may raise it too, where it knows that the machinery under it is to blame; what
    :mod:`wambench.faults` knows by itself (out of memory, CUDA, connections…) it need not.
    """


class PolicyProcessDead(InfrastructureFailure):
    """A policy's process that cannot answer any more, such as one without its CUDA context."""


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return a remedy that suggests the names in ``known`` nearest to ``value``."""
    names = sorted(known)
    near = difflib.get_close_matches(value, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"known: {', '.join(names[:NAMES_SHOWN])}{more}" if names else "none are installed"


def one_line(error: BaseException) -> str:
    """Type and text of an exception without line breaks."""
    if isinstance(error, ValidationError):
        where, problem = complaint(error)
        return f"{'.'.join(map(str, where))}: {problem}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def complaint(error: ValidationError) -> tuple[tuple[int | str, ...], str]:
    """Where in the data a model's most telling complaint points, and what it says.

    Unknown fields come first, because a misspelt field is also a missing one.
    """
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    if first["type"] == "extra_forbidden":
        return first["loc"], "unknown field"
    if first["type"] == "missing":
        return first["loc"], "is missing"
    if first["type"] == "too_short":
        return first["loc"], "is empty; name at least one"
    message = first["msg"].removeprefix("Value error, ").replace("dictionary", "mapping")
    given = repr(first["input"])
    given = given if len(given) <= 80 else f"{given[:77]}..."
    return first["loc"], f"{message[0].lower()}{message[1:]}, not {given}"
