"""What the paper's figure 4 says, on the policies of attention studies: ``wambench attention``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.attention.compare import arm_name
from analysis.attention.folder import DIFFERENCES, StudyFolder, read_folder
from analysis.attention.scores import chance
from analysis.attention.study import BOTH
from analysis.claims.rows import Finding, Row, Verdict
from wambench.errors import UserError

CLAIM = "attention"
"""Its name among the claims without a number."""
PARADIGM = "imagewam"  # whose caches the claim is about
REGION, VIEW, MEASURE = "change", "mean", "lift"
UNTRAINED, CENTRE, INSTRUCTION = "untrained", "centre prior", "other instruction"
NOTHING_KNOWN = chance(0.5)[MEASURE]  # a lift does not depend on the area


def studies_under(results: Path | None) -> Sequence[StudyFolder]:
    """Every folder of ``results`` that an attention study was written to; UserError if damaged."""
    if results is None:
        return []
    return [read_folder(file.parent) for file in sorted(results.glob(f"*/{DIFFERENCES}"))]


def _chosen(table: pd.DataFrame) -> pd.DataFrame:
    """What the claim is about, of the tables of :mod:`analysis.attention.compare`."""
    asked = {"camera": BOTH, "region": REGION, "view": VIEW, "measure": MEASURE}
    return table[(table[list(asked)] == pd.Series(asked)).all(axis=1)]


def rows(claim: Row, studies: Sequence[StudyFolder]) -> list[Row]:
    """The claim for each ImageWAM of each study, on its own track; ``claim``: the paper's row.

    UserError for a study without the controls.
    """
    return [
        _row(claim, study, policy)
        for study in studies
        for policy in _listed(_chosen(study.means))
        if policy.paradigm == PARADIGM and not policy.control
    ]


def _row(claim: Row, study: StudyFolder, found: Any) -> Row:
    """Focused: more than chance, the untrained network and a map that only knows the middle.

    What changes is about the same whatever the instruction says (the arm), so a policy that hears
    another one need not read it less: that difference is told and judges nothing.
    """
    bare, deaf = (arm_name(found.policy, control) for control in (UNTRAINED, INSTRUCTION))
    gaps = {name: _gap(study, found.policy, name) for name in (bare, CENTRE, deaf)}
    told = ", ".join(f"{_signed(gap)} over {name}" for name, gap in gaps.items())
    verdict: Verdict = "not tested yet"
    interval = {}
    if found.low == found.low:  # an interval of too few episodes is not a number
        lowest = min(found.low - NOTHING_KNOWN, gaps[bare].low, gaps[CENTRE].low)
        verdict = "reproduced" if lowest > 0 else "not reproduced"
        interval = {"low": found.low, "high": found.high}
    condition = f"{found.track} track, {found.episodes} episodes, {BOTH}"
    means = _chosen(study.means)
    others = means[(means["control"] == "") & (means["policy"] != found.policy)]
    beside = ", ".join(f"{row.policy} {row.mean:.2f}" for row in _listed(others))
    return claim.model_copy(
        update={
            "id": f"{claim.id}/{study.folder.name}/{found.policy}",
            "claim": f"{found.policy} reads what will change more than the rest of the picture",
            "claimed": f"a lift above {NOTHING_KNOWN:g}",
            "baseline": f"{bare}; {CENTRE}",
            "condition": condition,
            "found": found.mean,
            **interval,
            "command": study.manifest["command"],
            "verdict": verdict,
            "why": f"{condition}: {told}" + (f"; beside it {beside}." if beside else "."),
            "findings": (Finding(condition=condition, value=found.mean, assumed=True, **interval),),
        }
    )


def _gap(study: StudyFolder, policy: str, control: str) -> Any:
    """How much more a policy reads the region than a control; UserError if nobody asked it."""
    gaps = _chosen(study.differences)
    found = next(_listed(gaps[(gaps["first"] == policy) & (gaps["second"] == control)]), None)
    if found is None:
        raise UserError(
            f"the attention study {str(study.folder)!r} has no {control!r} to hold {policy!r} "
            "against; run its command again, with its controls"
        )
    return found


def _signed(gap: Any) -> str:
    interval = f" [{gap.low:+.2f}, {gap.high:+.2f}]" if gap.low == gap.low else ""
    return f"{gap.mean:+.2f}{interval}"


def _listed(table: pd.DataFrame) -> Iterator[Any]:
    return table.itertuples()
