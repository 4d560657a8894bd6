"""One line: what is asked, which public pitfall it guards against, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from wambench.conformance.subject import Subject

Status = Literal["passed", "failed", "cannot be checked"]
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Result:
    """What came out of a check.

    Attributes:
        status: see :data:`Status`.
        found: in words.
        left: of a convention that failed, the share of the error that another one leaves.
    """

    status: Status
    found: str
    left: float = 1.0


def passed(found: str) -> Result:
    """The policy does as it declares."""
    return Result("passed", found)


def failed(found: str, left: float = 1.0) -> Result:
    """The policy does not do as it declares."""
    return Result("failed", found, left)


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


def cause(found: Sequence[Finding]) -> Finding | None:
    """Of several conventions that failed, the one to mend first; None if there are not several.

    Under one wrong convention another wrong one may be a little less wrong; the right one leaves
    the least error.
    """
    wrong = [one for one in found if one.result.status == "failed" and one.result.left < 1]
    return min(wrong, key=lambda one: one.result.left) if len(wrong) > 1 else None


TOLD = ("name", "asks", "pitfall", "source", "effect")
