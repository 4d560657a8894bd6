"""The abstract's claims on imagination: open without evidence, judged on runs of interventions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from analysis.claims.costs import Costs
from analysis.claims.imagination import rows, studies_under, tried_under
from analysis.claims.published import load
from analysis.claims.rows import Row
from tests import whole_run
from tests.records import make_cell, make_passport, make_record
from wambench.cells import PolicyChoice
from wambench.contract import PolicySpec
from wambench.errors import UserError
from wambench.store import Store

TASKS, STATES = 10, 30
OWN = "nano-fastwam-idm"
FUTURES: Mapping[str, Any] = {
    "own": {}, "present": {"future": "present"}, "masked": {"future": "masked"},
    "oracle": {"future": "oracle"}, "other": {"future": "other", "futures": "futures.npz"},
}  # fmt: skip


def write_run(folder: Path, wins: Mapping[str, int], states: int = STATES) -> Path:
    """A run in which each future solves so many of the ``states`` of every task."""
    with Store.write(folder, "a test") as store:
        store.set_passport(make_passport())
        for future, won in wins.items():
            label = OWN if future == "own" else f"{OWN}, {future}"
            choice = PolicyChoice(label, OWN, FUTURES[future])
            cells = [
                make_cell(label, task=task, init_state=state)
                for task in range(TASKS)
                for state in range(states)
            ]
            spec = PolicySpec(paradigm="videowam", track="nano", about="made up")
            store.add_plan(cells, [choice], {label: spec})
            for cell in cells:
                ended = "success" if cell.init_state < won else "failure"
                store.add_episode(make_record(cell, outcome=ended))  # type: ignore[arg-type]
    return folder


def flops(imagining: int) -> Costs:
    """Video policies that need so many FLOPs, where the plain one needs 10."""

    def closed_form(policy: str, options: Mapping[str, Any]) -> Mapping[Any, int]:
        return {"act": 10 if policy == "fastwam" else imagining}

    return Costs(closed_form)


def judged(results: Path | None, costs: Costs | None = None) -> dict[str, Row]:
    found = rows(load(None)[1], costs or flops(80), tried_under(results), studies_under(results))
    return {row.id: row for row in found}


def test_without_evidence_the_claims_stand_open(tmp_path: Path) -> None:
    for results in (None, tmp_path):
        found = judged(results)
        assert {name for name, row in found.items() if row.verdict == "no evidence yet"} == {
            "abstract.imagination_is_not_needed", "abstract.imagination_misleads",
        }  # fmt: skip
        assert "nano-imagination.yaml" in found["abstract.imagination_misleads"].command


@pytest.mark.parametrize(("imagining", "verdict"), [(80, "reproduced"), (12, "not reproduced")])
def test_what_imagining_costs_is_counted(imagining: int, verdict: str) -> None:
    found = judged(None, flops(imagining))
    for name in ("FastWAM-joint", "FastWAM-IDM"):
        row = found[f"abstract.imagination_costs/{name}"]
        assert row.verdict == verdict and row.found == pytest.approx(100 * (1 - 10 / imagining))


@pytest.mark.parametrize(
    ("wins", "needless", "misleads"),
    [
        # The present does as well and the truth better: what it imagines is an error at a price.
        ({"own": 15, "present": 15, "oracle": 24, "other": 5}, "reproduced", "reproduced"),
        # It needs its future, which is as good as the truth.
        ({"own": 24, "present": 8, "oracle": 24}, "not reproduced", "not reproduced"),
        # Better without; the truth is foreign to it.
        ({"own": 15, "present": 24, "oracle": 6}, "reproduced", "not reproduced"),
    ],
)
def test_a_planted_run_gets_the_right_verdicts(
    tmp_path: Path, wins: Mapping[str, int], needless: str, misleads: str
) -> None:
    write_run(tmp_path / "nano-imagination", wins)
    found = judged(tmp_path)
    for name, verdict, future in (
        ("imagination_is_not_needed", needless, "present"),
        ("imagination_misleads", misleads, "oracle"),
    ):
        row = found[f"abstract.{name}/nano-imagination/{OWN}"]
        assert row.verdict == verdict, row.why
        assert row.found == pytest.approx(100 * (wins[future] - wins["own"]) / STATES)
        assert row.low is not None and row.low <= row.found <= (row.high or 0)
        assert "nano track" in row.condition and f"{TASKS * STATES} cells" in row.condition
        # What nano policies do says nothing of the published ones.
        assert found[f"abstract.{name}"].verdict == "needs weights"
    told = found[f"abstract.imagination_misleads/nano-imagination/{OWN}"].why
    assert ("future other: worse" in told) == ("other" in wins)


def test_few_cells_and_lacking_interventions_judge_nothing(tmp_path: Path) -> None:
    write_run(tmp_path / "few-imagination", {"own": 1, "present": 1}, states=2)
    found = judged(tmp_path)
    row = found[f"abstract.imagination_is_not_needed/few-imagination/{OWN}"]
    assert row.verdict == "not tested yet" and "undecided" in row.why
    assert found["abstract.imagination_misleads"].verdict == "no evidence yet"


def test_a_study_beside_the_run_tells_how_true_it_was(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "nano-imagination", {"own": 20, "oracle": 20})
    study = whole_run.make_imagined(folder / "imagined", policies=(OWN,))
    found = judged(tmp_path)[f"abstract.imagination_misleads/nano-imagination/{OWN}"]
    assert "skill over a copy by control steps ahead 0." in found.why and " at 16" in found.why
    (study / "manifest.json").unlink()
    with pytest.raises(UserError, match="no finished study of imagination"):
        judged(tmp_path)
