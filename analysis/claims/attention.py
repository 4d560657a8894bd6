"""What the paper's figure 4 says, on the policies of attention studies: ``wambench attention``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.attention.compare import arm_name
from analysis.attention.folder import DIFFERENCES, read_folder
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


@dataclass(frozen=True)
class Study:
    """Of one folder, what is asked here of the tables of :mod:`analysis.attention.compare`."""

    folder: str
    command: str
    means: pd.DataFrame
    differences: pd.DataFrame


def studies_under(results: Path | None) -> Sequence[Study]:
    """Every folder of ``results`` that an attention study was written to; UserError if damaged."""
    if results is None:
        return []
    found = [read_folder(file.parent) for file in sorted(results.glob(f"*/{DIFFERENCES}"))]
    return [
        Study(
            one.folder.name, str(one.manifest["command"]), _chosen(one.means),
            _chosen(one.differences),
        )
        for one in found
    ]  # fmt: skip


def _chosen(table: pd.DataFrame) -> pd.DataFrame:
    asked = {"camera": BOTH, "region": REGION, "view": VIEW, "measure": MEASURE}
    return table[(table[list(asked)] == pd.Series(asked)).all(axis=1)]


def rows(claim: Row, studies: Sequence[Study]) -> list[Row]:
    """The claim for each ImageWAM of each study, on its own track; ``claim``: the paper's row.

    UserError for a study without the controls.
    """
    return [
        _row(claim, study, policy)
        for study in studies
        for policy in _listed(study.means)
        if policy.paradigm == PARADIGM and not policy.control
    ]


def _row(claim: Row, study: Study, found: Any) -> Row:
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
    others = study.means[(study.means["control"] == "") & (study.means["policy"] != found.policy)]
    beside = ", ".join(f"{row.policy} {row.mean:.2f}" for row in _listed(others))
    return claim.model_copy(
        update={
            "id": f"{claim.id}/{study.folder}/{found.policy}",
            "claim": f"{found.policy} reads what will change more than the rest of the picture",
            "claimed": f"a lift above {NOTHING_KNOWN:g}",
            "baseline": f"{bare}; {CENTRE}",
            "condition": condition,
            "found": found.mean,
            **interval,
            "command": study.command,
            "verdict": verdict,
            "why": f"{condition}: {told}" + (f"; beside it {beside}." if beside else "."),
            "findings": (Finding(condition=condition, value=found.mean, assumed=True, **interval),),
        }
    )


def _gap(study: Study, policy: str, control: str) -> Any:
    """How much more a policy reads the region than a control; UserError if nobody asked it."""
    gaps = study.differences
    for row in _listed(gaps[(gaps["first"] == policy) & (gaps["second"] == control)]):
        return row
    raise UserError(
        f"the attention study {study.folder!r} has no {control!r} to hold {policy!r} "
        "against; run its command again"
    )


def _signed(gap: Any) -> str:
    interval = f" [{gap.low:+.2f}, {gap.high:+.2f}]" if gap.low == gap.low else ""
    return f"{gap.mean:+.2f}{interval}"


def _listed(table: pd.DataFrame) -> Iterator[Any]:
    return table.itertuples()
