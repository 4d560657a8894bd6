"""One line: what is asked, which public pitfall it guards against, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from wambench.conformance.subject import Subject

Status = Literal["passed", "failed", "cannot be checked"]
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Result:
    """What came out of a check; ``found`` says it in words."""

    status: Status
    found: str


def passed(found: str) -> Result:
    """The policy does as it declares."""
    return Result("passed", found)


def failed(found: str) -> Result:
    """The policy does not do as it declares."""
    return Result("failed", found)


def unchecked(why: str) -> Result:
    """The policy has no such part, or the check cannot tell."""
    return Result("cannot be checked", why)


@dataclass(frozen=True)
class Line:
    """One check, and why it is there.

    Attributes:
        name: short, unique.
        asks: what is checked.
        pitfall: what goes wrong in public.
        source: the reports; empty if none is known.
        effect: on success, as reported there.
        check: the check itself; what the policy raises in it passes through.
    """

    name: str
    asks: str
    pitfall: str
    check: Callable[[Subject], Result]
    source: str = ""
    effect: str = NOT_MEASURED


@dataclass(frozen=True)
class Finding:
    """A line and what came out."""

    line: Line
    result: Result

    def as_json(self) -> Mapping[str, str]:
        """All of it, flat."""
        told = {name: getattr(self.line, name) for name in TOLD}
        return told | {"status": self.result.status, "found": self.result.found}


TOLD = ("name", "asks", "pitfall", "source", "effect")
