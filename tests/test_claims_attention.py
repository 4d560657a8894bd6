"""The claim on attention, judged on attention studies."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.attention import compare
from analysis.attention.scores import MEASURES
from analysis.attention.study import BOTH
from analysis.claims.attention import studies_under
from analysis.claims.policies import qualitative_rows
from analysis.claims.published import load
from analysis.claims.rows import Row
from wambench.errors import UserError

OWN, BARE, OTHER = ("nano-imagewam", ""), ("nano-imagewam", "untrained"), ("nano-pi0", "")
DEAF, CENTRE = ("nano-imagewam", "other instruction"), ("centre prior", "centre prior")


def write_study(results: Path, lifts: dict[tuple[str, str], float], episodes: int = 40) -> Path:
    """Policies and controls whose lift scatters about what is given."""
    random = np.random.default_rng(0)
    scores = pd.DataFrame(
        {
            "suite": "toy", "task_index": 0, "init_state": episode, "seed": 0, "step": 0,
            "track": "nano", "paradigm": policy.removeprefix("nano-"), "policy": policy,
            "control": control, "view": "mean", "camera": BOTH, "region": "change", "area": 0.1,
            **dict.fromkeys(MEASURES, random.normal(lift, 0.1)),
        }
        for episode, ((policy, control), lift) in itertools.product(range(episodes), lifts.items())
    )  # fmt: skip
    folder = results / "study"
    folder.mkdir()
    compare.means(scores).to_csv(folder / "means.csv", index=False)
    pairs = [(compare.arm_name(*OWN), compare.arm_name(*arm)) for arm in lifts if arm != OWN]
    compare.differences(scores, pairs).to_csv(folder / "differences.csv", index=False)
    manifest = {"command": "wambench attention --out study", "episodes": episodes, "moments": 1,
                "policies": {}, "regions": {}, "files": []}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def judged(results: Path) -> dict[str, Row]:
    rows = qualitative_rows(load(None)[0], studies_under(results))
    return {row.id: row for row in rows}


@pytest.mark.parametrize(
    ("own", "bare", "centre", "verdict"),
    [
        (1.3, 1.0, 1.1, "reproduced"),
        (1.0, 1.0, 0.9, "not reproduced"),  # reads evenly
        (1.3, 1.3, 1.1, "not reproduced"),  # so does a network that learned nothing
        (0.8, 0.5, 0.6, "not reproduced"),  # learned something, and reads what changes less
        (1.3, 1.0, 1.4, "not reproduced"),  # the middle of the picture is a better guess
    ],
)
def test_focus_must_beat_chance_the_untrained_network_and_the_middle(
    tmp_path: Path, own: float, bare: float, centre: float, verdict: str
) -> None:
    write_study(tmp_path, {OWN: own, BARE: bare, CENTRE: centre, DEAF: own, OTHER: 1.5})
    rows = judged(tmp_path)
    row = rows["qualitative.attention/study/nano-imagewam"]
    assert row.verdict == verdict
    assert row.found == pytest.approx(own, abs=0.05) and row.low < row.found < row.high
    assert "nano track" in row.condition and "40 episodes" in row.condition
    assert "over nano-imagewam, other instruction" in row.why
    assert "nano-pi0" in row.why and row.command == "wambench attention --out study"
    # What nano policies do says nothing of the published ones.
    assert rows["qualitative.attention"].verdict == "needs weights"
    assert not any("pi0" in name for name in rows), "the claim is on ImageWAM's caches"


def test_few_episodes_judge_nothing(tmp_path: Path) -> None:
    write_study(tmp_path, {OWN: 1.5, BARE: 1.0, CENTRE: 1.0, DEAF: 1.5}, episodes=4)
    row = judged(tmp_path)["qualitative.attention/study/nano-imagewam"]
    assert row.verdict == "not tested yet" and row.low is None


def test_a_study_without_its_control_or_damaged_is_named_in_one_line(tmp_path: Path) -> None:
    folder = write_study(tmp_path, {OWN: 1.5, OTHER: 1.0})
    with pytest.raises(UserError, match="no 'nano-imagewam, untrained'"):
        judged(tmp_path)
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"no finished attention study \(manifest.json"):
        judged(tmp_path)
    assert "qualitative.attention" in judged(tmp_path / "nothing here")
