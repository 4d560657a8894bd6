"""Which failures a report shows and when; what it takes from an attention study."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.report import data, gallery, strips, study
from analysis.report.figures import WIDTH
from analysis.report.strips import Shot
from analysis.report.tables import Tables
from tests import whole_run
from tests.conftest import CommandLine, Refused
from tests.test_report import Page, undrawn  # noqa: F401  (a fixture)
from wambench.passport import Passport
from wambench.store import Store
from wambench.suite import Suite


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return whole_run.make(tmp_path / "run")


@pytest.fixture
def read(run: Path) -> Iterator[tuple[Tables, Store]]:
    with Store.read(run) as store:
        yield data.collect(store), store


# -- which -----------------------------------------------------------------------------------------


def test_every_kind_of_every_policy_has_an_example(read: tuple[Tables, Store]) -> None:
    tables, store = read
    chosen = gallery.choose(tables, store, [])
    assert tables.taxonomy is not None
    kinds = {(one.policy, one.kind) for one in tables.taxonomy.episodes}
    assert {(found.policy, found.kind) for _, found in chosen} == kinds
    assert max(Counter((found.policy, found.kind) for _, found in chosen).values()) == 2
    assert len({found.key for _, found in chosen}) == len(chosen) <= gallery.MOST
    assert all(stored.cell.key == found.key for stored, found in chosen)
    order = list(dict.fromkeys(found.policy for _, found in chosen))
    scripted = [policy in whole_run.SCRIPTED for policy in order]
    assert scripted == sorted(scripted), "learned policies come first"


def test_where_room_is_scarce_learned_policies_and_frequent_kinds_have_it(
    read: tuple[Tables, Store],
) -> None:
    tables, store = read
    chosen = gallery.choose(tables, store, [], most=3)
    first = next(row.policy for row in tables.policies if row.track != "scripted")
    assert chosen[0][1].policy == first and len(chosen) == 3
    assert tables.taxonomy is not None
    often = [tables.taxonomy.counts[f.kind][f.policy] for _, f in chosen if f.policy == first]
    assert often == sorted(often, reverse=True)
    assert gallery.choose(tables, store, [], most=0) == []


def test_tasks_that_are_drawn_anyway_are_preferred(read: tuple[Tables, Store]) -> None:
    tables, store = read
    assert tables.taxonomy is not None
    alike = [one for one in tables.taxonomy.episodes
             if (one.policy, one.kind) == ("random", "dropped")]  # fmt: skip
    tables = replace(tables, taxonomy=replace(tables.taxonomy, episodes=alike))
    same = {one.key for one in alike}
    offers = {(c.cell.suite, c.cell.task_index): c for c in store.cells(same)}
    assert len(offers) > 1, "there is a choice"
    for opened in offers.values():
        ((chosen, _),) = gallery.choose(tables, store, [opened], most=1)
        assert chosen.cell.task == opened.cell.task


# -- when ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("around", "last", "expected"),
    [
        (20, 60, [10, 15, 20, 25, 30, 60]),
        (60, 60, [40, 45, 50, 55, 60]),  # at the end: what led to it
        (58, 60, [40, 45, 50, 55, 58, 60]),
        (2, 60, [2, 5, 10, 15, 20, 60]),
        (0, 0, [0]),
        (3, 4, [0, 3, 4]),
    ],
)
def test_a_strip_shows_its_moment(
    read: tuple[Tables, Store], toy: Suite, around: int, last: int, expected: list[int]
) -> None:
    # 10 steps a second
    stored = next(stored for stored in read[1].cells() if stored.cell.suite == "toy")
    assert strips._moments(Shot(stored, around), last) == expected
    whole = strips._moments(Shot(stored), 60)
    assert whole == [0, 12, 24, 36, 48, 60]


# -- what policies read ----------------------------------------------------------------------------


def test_a_study_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = whole_run.make_study(tmp_path / "study")
    found = study.read(folder, {"learned": "learned"}, None)
    assert (found.camera, found.episodes, found.moments) == ("agentview", 7, 40)
    arms = list(dict.fromkeys(row.arm for row in found.scores))
    known = ["learned", "learned, untrained", "second", "uniform"]
    assert arms == known, "the oracle stretches nothing"
    assert [row.low is None for row in found.scores if row.region == "object"] == [True] * 8
    gap = found.differences[0]  # the study took second less learned
    assert (gap.arm, gap.mean, gap.low, gap.high) == ("learned − second", -0.25, -0.5, -0.125)
    assert {row.arm for row in found.differences} == {"learned − second"}, "controls are above"
    figures, left = study.figures(found)
    names = [figure.name for figure in figures]
    assert names == ["over-time", "words", "lift-agentview", "layers-learned"] and left == []
    assert all(figure.width <= WIDTH and figure.words for figure in figures)


def test_figures_that_do_not_fit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = study.read(whole_run.make_study(tmp_path / "study"), {}, None)
    whole, _ = study.figures(found)
    monkeypatch.setattr(study, "BUDGET_BYTES", sum(len(one.uri) for one in whole[:2]))
    (tmp_path / "study" / "words.png").write_text("no picture")
    shown, left = study.figures(found)
    assert sum(len(one.uri) for one in shown) <= study.BUDGET_BYTES
    assert "words.png" in left and len(shown) + len(left) == len(whole)


@pytest.mark.usefixtures("undrawn")
def test_a_study_of_other_weights_says_so(run: Path, tmp_path: Path, wambench: CommandLine) -> None:
    folder = whole_run.make_study(tmp_path / "study")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["policies"]["learned"]["fingerprint"] = {"weights": "a"}
    manifest["policies"]["stranger"] = {"fingerprint": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    passport = Passport(protocol={}, fingerprint={"policy:learned": {"weights": "b"}}, info={})
    said = study.read(folder, {"learned": "learned"}, passport).notices
    assert said == [
        "Not policies of this run: second, stranger.",
        "Other weights or other code than in this run: learned.",
    ]
    same = passport.model_copy(update={"fingerprint": {"policy:learned": {"weights": "a"}}})
    known = {name: name for name in ("learned", "second", "stranger")}
    assert study.read(folder, known, same).notices == []
    assert wambench("report", run, "--attention", folder).code == 0
    assert "Not policies of this run: stranger." in Page(run / "report.html").text


@pytest.mark.parametrize("broken", ["nothing", "manifest.json", "means.csv", "garbage"])
def test_what_is_no_study_is_refused_in_one_line(refused: Refused, work: Path, broken: str) -> None:
    whole_run.make(work / "run")
    if broken != "nothing":
        whole_run.make_study(work / "study")
        if broken == "garbage":
            (work / "study" / "means.csv").write_text("a,b\n1,2\n")
        else:
            (work / "study" / broken).unlink()
    refused(
        "report", "run", "--attention", "study",
        expected=("--attention 'study' is no finished attention study", "wambench attention"),
    )  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_without_a_study_there_is_no_section(run: Path, wambench: CommandLine) -> None:
    assert wambench("report", run).code == 0
    assert "What policies read" not in Page(run / "report.html").text


@pytest.mark.usefixtures("undrawn")
def test_failures_not_explained_yet_are_counted(run: Path, wambench: CommandLine) -> None:
    kept = json.loads((run / "failures.json").read_text())
    kept["episodes"] = [*kept["episodes"][:-3], {**kept["episodes"][0], "key": "gone"}]
    (run / "failures.json").write_text(json.dumps(kept))
    assert wambench("report", run).code == 0
    text = " ".join(Page(run / "report.html").text.split())
    assert f"3 of {len(kept['episodes']) + 2} failed episodes are not explained yet" in text
    (run / "failures.json").write_text("{")
    assert wambench("report", run).code == 0
    assert "reads the stored episodes and says here" in Page(run / "report.html").text
