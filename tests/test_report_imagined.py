"""The report's section on imagination: its numbers are the study's, and what is none is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from analysis.report import imagined
from analysis.report.imagined import Skill, read
from tests import whole_run
from tests.conftest import CommandLine, Refused
from tests.test_report import Page, undrawn  # noqa: F401  (a fixture)
from wambench.errors import UserError


def test_skills_are_those_of_the_farthest_frame_of_one_camera(tmp_path: Path) -> None:
    folder = whole_run.make_imagined(tmp_path / "imagined")
    found = read(folder, {"second": "second", "learned": "learned"}, None)
    assert (found.camera, found.moments, found.episodes) == ("agentview", 32, 16)
    assert found.ahead == {"learned": 16, "second": 16} and found.notices == []
    assert list(dict.fromkeys(one.policy for one in found.skills)) == ["second", "learned"]
    assert len(found.skills) == 2 * 2 * 3 * 2  # truths, policies, predictions, regions
    copied = whole_run.ERRORS["copy"]
    for one in found.skills:
        assert one.mean == pytest.approx(1 - whole_run.ERRORS[one.prediction] / copied, abs=0.4)
        assert one.low is not None and one.low < one.mean < (one.high or 0)
    few = whole_run.make_imagined(tmp_path / "few", episodes=3)
    strange = read(few, {"learned": "learned"}, None)
    assert {one.low for one in strange.skills} == {None}
    assert strange.notices == ["Not policies of this run: second."]


def test_the_drawing_has_a_panel_a_region_and_a_dot_a_prediction() -> None:
    some = [
        Skill("p", prediction, truth, region, mean, None, None, 2)
        for truth in ("executed", "expert")
        for region in ("all", "object")
        for prediction, mean in (("imagined", 0.25), ("other", -1.0), ("noise", -9.0))
    ]
    drawn = imagined.draw(some)
    assert 'aria-label="Skill of what is imagined: p in all 0.25; p in object 0.25"' in drawn
    assert all(f">{name}<" in drawn for name in ("all", "object", "imagined", "other"))
    assert imagined.draw([one for one in some if one.truth == "expert"]) == ""


@pytest.mark.usefixtures("undrawn")
def test_the_page_has_the_section_only_with_a_study(work: Path, wambench: CommandLine) -> None:
    whole_run.make(work / "run")
    whole_run.make_imagined(work / "imagined")
    assert wambench("report", "run").code == 0
    assert "Is the imagined future true?" not in Page(work / "run" / "report.html").text
    assert wambench("report", "run", "--imagined", "imagined").code == 0
    page = Page(work / "run" / "report.html")
    assert "Is the imagined future true?" in page.text
    assert "wambench report run --imagined imagined" in " ".join(page.text.split())
    pictures = [a["alt"] for tag, a in page.tags if tag == "img" and "imagined" in str(a["alt"])]
    assert len(pictures) == 2
    assert any(a.get("href") == "#variants" for _, a in page.tags)  # what is kept without it
    rows = page.table("Skill against what the policy's own chunk shows")
    assert rows[0][1:] == list(imagined.REGIONS)
    follows = page.table("Do imagined frames differ as executed ones do")
    assert follows[0][1:] == ["consistency", "shuffled", "response"]
    told = {row[0]: row[1] for row in follows[1:]}
    assert told["learned"].startswith("1.00") and told["second"].startswith("0.00")
    gaps = page.table("Pixels from where the object truly goes")
    assert gaps[0][1:] == ["copy", "tracker", "imagined", "other", "untrained"]
    assert [row[3] for row in gaps[1:]] == ["4.504.50 to 4.50"] * 2
    assert "errs too much for these pixels to rank anything of second." in page.text
    own = next(row for row in rows if row[0] == "learned, imagined")
    assert re.match(r"0\.[45]\d", own[1]) and own[2] == "–", "nothing was said of 'change'"


@pytest.mark.parametrize("broken", ["nothing", "manifest.json", "summary.csv", "garbage", "list"])
def test_what_is_no_study_is_refused_in_one_line(refused: Refused, work: Path, broken: str) -> None:
    whole_run.make(work / "run")
    if broken != "nothing":
        folder = whole_run.make_imagined(work / "study")
        if broken == "garbage":
            (folder / "summary.csv").write_text("a,b\n1,2\n")
        elif broken == "list":
            (folder / "manifest.json").write_text(json.dumps([1]))
        else:
            (folder / broken).unlink()
    refused(
        "report", "run", "--imagined", "study",
        expected=("--imagined 'study' is no finished study of imagination", "wambench imagine"),
    )  # fmt: skip


def test_an_attention_study_is_no_study_of_imagination(tmp_path: Path) -> None:
    folder = whole_run.make_study(tmp_path / "study")
    with pytest.raises(UserError, match="no finished study of imagination"):
        read(folder, {}, None)
