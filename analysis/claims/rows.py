"""A row of the ledger, and how its verdict follows from what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from wambench.contract import Frozen

Kind = Literal[
    "flops", "ratio", "latency", "success", "parameters", "setting", "arithmetic", "qualitative"
]
Verdict = Literal[
    "reproduced",
    "reproduced only under",
    "not reproduced",
    "needs weights",
    "needs a robot",
    "needs a GPU",
    "not built here",
    "not tested yet",
    "no evidence yet",
    "consistent",
    "not consistent",
]
Relation = Literal["equal", "at least"]
Number = int | float


class Finding(Frozen):
    """A number that we computed or measured for a claim.

    Attributes:
        condition: under which, in words.
        assumed: a reader of the claim takes this condition for granted (a released configuration).
        low: with ``high`` the interval of a measurement.
    """

    condition: str
    value: float
    assumed: bool = False
    low: float | None = None
    high: float | None = None


class Row(Frozen):
    """One claim and what became of it.

    Attributes:
        id: path of the figure in claims.json, and after a slash what it is tested against.
        claimed: the figure as printed.
        baseline: what the claim compares with.
        condition: geometry, steps and scope of ``found``.
        found: what we computed or measured, nearest to the claim.
        device: on which it was measured; empty for what needs none.
        predicted: what a roofline says, always labelled; never part of the verdict.
        command: prints this row, or makes the measurement that is missing.
        under: all conditions that reproduce it, where it is not all of the assumed ones.
        why: one sentence.
        findings: everything that was tried.
    """

    id: str
    kind: Kind
    source: str
    claim: str
    claimed: str | Number
    unit: str = ""
    baseline: str = ""
    condition: str = ""
    found: float | None = None
    low: float | None = None
    high: float | None = None
    device: str = ""
    predicted: str = ""
    command: str
    verdict: Verdict
    under: tuple[str, ...] = ()
    why: str
    findings: tuple[Finding, ...] = ()

    @property
    def outcome(self) -> str:
        """The verdict in full: a conditional one with its first condition."""
        if self.verdict != "reproduced only under":
            return self.verdict
        more = f" (and {len(self.under) - 1} more)" if len(self.under) > 1 else ""
        return f"reproduced only under {self.under[0]}{more}"


class Judgement(Frozen):
    """What a set of findings says of a claim."""

    verdict: Verdict
    nearest: Finding
    fitting: tuple[Finding, ...]


def fits(claimed: float, finding: Finding, relation: Relation, tolerance: float) -> bool:
    """Whether a finding bears a claim out.

    Args:
        claimed: the figure.
        finding: with an interval: any value in it may bear the claim out.
        relation: ``at least``: more than claimed is fine.
        tolerance: relative, of the claimed figure.
    """
    low = finding.value if finding.low is None else finding.low
    high = finding.value if finding.high is None else finding.high
    slack = tolerance * abs(claimed)
    return high >= claimed - slack and (relation == "at least" or low <= claimed + slack)


def judge(
    claimed: float, findings: Sequence[Finding], relation: Relation, tolerance: float
) -> Judgement:
    """Say what findings mean for a claim.

    *Reproduced*: under every assumed condition, of which there is one at least. *Reproduced only
    under*: under some condition. *Not reproduced*: under none. Raises ValueError without findings.
    """
    fitting = tuple(one for one in findings if fits(claimed, one, relation, tolerance))
    nearest = min(findings, key=lambda one: (one not in fitting, abs(one.value - claimed)))
    assumed = [one for one in findings if one.assumed]
    verdict: Verdict = "reproduced only under" if fitting else "not reproduced"
    if assumed and all(one in fitting for one in assumed):
        verdict = "reproduced"
    return Judgement(verdict=verdict, nearest=nearest, fitting=fitting)


def significant(value: float) -> str:
    """A number with three significant digits, or all digits before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
