"""What the paper's figure 4 says, on the policies of attention studies: ``wambench attention``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.attention.compare import arm_name
from analysis.attention.scores import chance
from analysis.attention.study import BOTH
from analysis.claims.rows import Finding, Row, Verdict
from wambench.errors import UserError

CLAIM = "attention"
"""Its name among the claims without a number."""
PARADIGM = "imagewam"  # whose caches the claim is about
REGION, VIEW, MEASURE = "change", "mean", "lift"
CONTROL = "untrained"
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
    return [_read(file.parent) for file in sorted(results.glob("*/differences.csv"))]


def _read(folder: Path) -> Study:
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        means, gaps = (pd.read_csv(folder / f"{name}.csv") for name in ("means", "differences"))
        return Study(folder.name, str(manifest["command"]), _chosen(means), _chosen(gaps))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"the attention study {str(folder)!r} is damaged ({reason}); run its command again"
        ) from None


def _chosen(table: pd.DataFrame) -> pd.DataFrame:
    asked = {"camera": BOTH, "region": REGION, "view": VIEW, "measure": MEASURE}
    return table[(table[list(asked)] == pd.Series(asked)).all(axis=1)]


def rows(claim: Row, studies: Sequence[Study]) -> list[Row]:
    """The claim for each ImageWAM of each study, on its own track; ``claim``: the paper's row.

    UserError for a study without the untrained networks.
    """
    return [
        _row(claim, study, policy)
        for study in studies
        for policy in _listed(study.means)
        if policy.paradigm == PARADIGM and pd.isna(policy.control)
    ]


def _row(claim: Row, study: Study, found: Any) -> Row:
    """Focused: more than chance, and more than the same network before it learned anything."""
    gaps = study.differences[study.differences["first"] == found.policy].set_index("second")
    control = arm_name(found.policy, CONTROL)
    if control not in gaps.index:
        raise UserError(
            f"the attention study {study.folder!r} has no {control!r} to hold {found.policy!r} "
            "against; run its command again"
        )
    own: Any = gaps.loc[control]
    verdict: Verdict = "not tested yet"
    interval, more = {}, f"{own['mean']:+.2f}"
    if found.low == found.low:  # an interval of too few episodes is not a number
        focused = found.low > NOTHING_KNOWN and own["low"] > 0
        verdict = "reproduced" if focused else "not reproduced"
        interval = {"low": found.low, "high": found.high}
        more += f" [{own['low']:.2f}, {own['high']:.2f}]"
    condition = f"{found.track} track, {found.episodes} episodes, {BOTH}"
    others = study.means[study.means["control"].isna() & (study.means["policy"] != found.policy)]
    beside = ", ".join(f"{row.policy} {row.mean:.2f}" for row in _listed(others))
    return claim.model_copy(
        update={
            "id": f"{claim.id}/{study.folder}/{found.policy}",
            "claim": f"{found.policy} reads what will change more than the rest of the picture",
            "claimed": f"a lift above {NOTHING_KNOWN:g}",
            "baseline": control,
            "condition": condition,
            "found": found.mean,
            **interval,
            "command": study.command,
            "verdict": verdict,
            "why": f"{condition}: {more} over its untrained network"
            + (f"; beside it {beside}." if beside else "."),
            "findings": (Finding(condition=condition, value=found.mean, assumed=True, **interval),),
        }
    )


def _listed(table: pd.DataFrame) -> Iterator[Any]:
    return table.itertuples()
