"""What perturbations cost: cells are paired as they should be, and found to cost what they do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import perturbed as pairing
from analysis.populations import families
from analysis.report.caveats import lacking
from analysis.report.robustness import ALL, Robustness, bands, robustness
from analysis.statistics import Drop
from tests import made_up_drops as made_up
from tests import test_report_numbers as printed
from tests.conftest import CommandLine, Install
from tests.made_up_drops import AXES, BASE, STATES, TASKS, Ends, by_rate, make
from tests.test_perturbed import MODULE, suites  # noqa: F401  (a fixture)
from tests.test_report import NOTHING, Page, undrawn  # noqa: F401  (a fixture)
from wambench import plugins
from wambench.store import Store, outcomes_frame

LOSES = by_rate(0.9, {"camera": 0.6, "words": 0.0, "noise": 0.3})
STEADY = by_rate(0.9, {})


def found(folder: Path) -> Robustness:
    """Of a run's one family."""
    with Store.read(folder) as store:
        known = store.policies()
        (family,) = robustness(
            outcomes_frame(store),
            store.factors(),
            {label: choice for label, (choice, _) in known.items()},
            {label: spec for label, (_, spec) in known.items()},
            list(known),
        )
    return family


def drops(family: Robustness) -> Mapping[tuple[str, str], Drop]:
    return {(row.policy, row.axis): row.found for row in family.rows if row.found}


def test_a_policy_that_loses_is_found_to_lose_and_one_that_does_not_is_not(tmp_path: Path) -> None:
    family = found(make(tmp_path / "run", {"loses": LOSES, "steady": STEADY}, seeds=range(4)))
    of = drops(family)
    for axis, lost in (("camera", 0.6), ("words", 0.0), ("noise", 0.3)):
        one = of["loses", axis]
        assert one.cells == TASKS * STATES * 4 and one.tasks == TASKS
        assert one.interval is not None and one.interval[0] < lost < one.interval[1]
        assert (one.interval[0] > 0) == (lost > 0)
        ends = of["steady", axis].interval
        assert ends is not None and ends[0] < 0 < ends[1]
    (all_axes,) = [pair for pair in family.pairs if pair.axis == ALL]
    assert (all_axes.first, all_axes.verdict.text) == ("loses", "loses more")
    by_axis = {pair.axis: pair.verdict.kind for pair in family.pairs}
    assert by_axis["camera"] == "worse" and by_axis["words"] != "worse"
    (level,) = family.levels
    assert level.verdict.kind == "worse" and level.found.tasks == TASKS


def test_other_levels_with_the_same_drop_are_not_told_apart(tmp_path: Path) -> None:
    policies = {
        "high": by_rate(0.95, dict.fromkeys(AXES, 0.3)),
        "low": by_rate(0.6, dict.fromkeys(AXES, 0.3)),
    }
    family = found(make(tmp_path / "run", policies, seeds=range(4)))
    assert {pair.verdict.kind for pair in family.pairs} == {"undecided"}
    (level,) = family.levels
    assert level.verdict.kind == "better", "they are told apart where the drop is not asked about"


def exact(axis: str, task: int, state: int, draw: float) -> bool:
    """Solves plain cells of state 0 in even tasks; perturbed ones of states below its task."""
    return task % 2 == 0 and state == 0 if not axis else state < task


@pytest.mark.parametrize("axis", AXES)
def test_pairs_are_of_the_same_state_task_and_seed(tmp_path: Path, axis: str) -> None:
    """By hand: other plain states and other seeds must not count, nor another task's cell."""

    def ends(perturbation: str, task: int, state: int, draw: float) -> bool:
        return exact(perturbation, task, state, draw)

    run = make(tmp_path / "run", {"p": ends}, axes=[axis], plain_states=range(3))
    one = drops(found(run))["p", axis]
    assert one.plain == 0.5, "with states 1 and 2 it would be less"
    assert one.perturbed == pytest.approx(
        np.mean([[state < task for state in range(STATES)] for task in range(TASKS)])
    )
    with Store.read(run) as store:
        cells, _ = pairing.varied_of(outcomes_frame(store), store.factors())
    assert (cells["plain"] == (cells["task_index"] % 2 == 0)).all()


def test_another_seed_is_no_partner(tmp_path: Path) -> None:
    def seed_1(cell: Any) -> bool:
        return bool(cell.suite == BASE and cell.seed == 1)

    run = make(tmp_path / "run", {"p": STEADY}, axes=["camera"], seeds=[0, 1], without=seed_1)
    family = found(run)
    (row,) = family.rows
    assert row.found is not None and row.found.cells == row.without_plain == TASKS * STATES
    assert {one.seed for one in family.lacking} == {1} and len(family.lacking) == TASKS
    assert sum(one.cells for one in family.lacking) == row.without_plain


def test_cells_without_a_plain_one_are_counted_and_named(tmp_path: Path) -> None:
    def left_out(cell: Any) -> bool:
        return bool(cell.suite == BASE and cell.task_index == 3)

    def unfinished(axis: str, task: int, state: int, draw: float) -> bool | None:
        return None if not axis and task == 5 else draw < 0.8

    run = make(tmp_path / "run", {"p": unfinished}, without=left_out)
    family = found(run)
    for row in family.rows:
        assert row.without_plain == 2 * STATES and row.variants == (TASKS - 2) * STATES
    told = {(one.task, one.init_state, one.why, one.cells) for one in family.lacking}
    cells = len(AXES) * STATES
    assert told == {
        ("task 3", 0, "not asked for", cells),
        ("task 5", 0, "without an outcome", cells),
    }
    (said,) = lacking([family])
    assert f"{2 * cells} perturbed cells are in no drop" in said
    assert "base: {tasks: all, init_states: [0]}" in said


def test_objects_placed_anew_are_held_against_the_base_task(tmp_path: Path) -> None:
    def by_state(axis: str, task: int, state: int, draw: float) -> bool:
        return state < 3 if not axis else state < 2

    run = make(
        tmp_path / "run", {"p": by_state, "q": STEADY}, axes=["camera"], plain_states=range(4),
        anew=["camera"],
    )  # fmt: skip
    family = found(run)
    (row, other) = family.rows
    assert not row.is_paired and row.without_plain == 0 and not family.lacking
    assert row.found is not None and other.found is not None
    assert (row.found.plain, row.found.perturbed) == (0.75, 0.2)
    (pair,) = [pair for pair in family.pairs if pair.axis == ALL]
    ahead = (other.found.plain - other.found.perturbed) - (0.75 - 0.2)
    assert pair.found.difference == pytest.approx(ahead)


def falls(axis: str, task: int, state: int, draw: float) -> bool:
    return draw < 1 - (0.02 * (AXES[axis][state][1] or 0) if axis == "camera" else 0)


def test_curves_fall_with_the_magnitude(tmp_path: Path) -> None:
    family = found(make(tmp_path / "run", {"p": falls}, seeds=range(3)))
    turns = [row for row in family.curves if row.axis == "camera"]
    assert [(row.kind, row.low, row.unit) for row in turns] == [
        ("turn", 10.0 * n, "deg") for n in range(1, 6)
    ]
    rates = [row.found.perturbed for row in turns]
    assert rates == sorted(rates, reverse=True) and rates[0] > 0.7 and rates[-1] < 0.1
    assert {row.axis for row in family.curves} == {"camera", "noise"}, "words have one kind"
    assert {row.kind for row in family.curves if row.axis == "noise"} == {"blur", "fog"}
    assert turns[0].where == "camera, turn, 10 deg"


def test_many_magnitudes_are_put_into_bands() -> None:
    import pandas as pd

    assert bands(pd.Series([3.0, 1.0, 1.0, np.nan])) == [(None, None), (1.0, 1.0), (3.0, 3.0)]
    assert bands(pd.Series(np.arange(20.0))) == [(0, 3), (4, 7), (8, 11), (12, 15), (16, 19)]
    assert bands(pd.Series([np.nan])) == [(None, None)]


def test_the_expert_is_the_ceiling_of_the_same_cells(tmp_path: Path) -> None:
    def expert(axis: str, task: int, state: int, draw: float) -> bool:
        return axis != "noise" or state % 2 == 0

    family = found(make(tmp_path / "run", {"p": STEADY, "q": LOSES, "expert": expert}))
    assert family.ceiling == "expert"
    assert {(row.axis, row.expert) for row in family.rows} == {
        ("camera", 1.0), ("words", 1.0), ("noise", 0.5),
    }  # fmt: skip
    assert {(pair.first, pair.second) for pair in family.pairs} == {("p", "q")}


@pytest.mark.usefixtures("suites")
def test_populations_are_those_of_installed_suites() -> None:
    family, unknown = families(["toy_perturbed", "elsewhere"])[::-1]
    assert (family.name, family.total) == ("toy_perturbed", 24)
    assert family.population == {"noise": 6, "start": 12, "words": 6}, "locked ones count"
    assert (unknown.name, unknown.suites, unknown.total) == ("", ["elsewhere"], None)


@pytest.mark.usefixtures("suites")
def test_suites_of_a_family_are_counted_together(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = MODULE.replace('"toy_perturbed"', '"toy_twin"').replace("PerturbedToy", "Twin")
    install("toytwin", {"toytwin.py": twin}, {plugins.SUITES: {"toy_twin": "toytwin:Twin"}})
    for name in ("toy_perturbed", "toy_twin"):
        suite = plugins.make_suite(name)
        kin = suite.spec.model_copy(update={"family": "Toys"})
        monkeypatch.setattr(suite, "spec", kin)
    (family,) = families(["toy_perturbed"])
    assert (family.name, family.suites, family.total) == ("Toys", ["toy_perturbed"], 48)


@pytest.mark.usefixtures("suites")
def test_a_swept_run_says_of_how_many(
    wambench: CommandLine, swept: CommandLine, tmp_path: Path
) -> None:
    content = {
        "policies": ["expert", "random"],
        "suites": {"toy": {"tasks": [0, 1], "init_states": 1}, "toy_perturbed": [0, 1]},
        "protocol_changes": {"max_steps": {"toy": 40}},
    }
    run = tmp_path / "run"
    ended = swept(tmp_path / "s.yaml", content, run, "--workers", 1)
    assert ended.code == 0, ended.err
    ended = wambench("report", run)
    assert ended.code == 0, ended.err
    assert "14 of 24" in ended.out and "what perturbations cost" in ended.out
    family = found(run)
    expert = next(row for row in family.means if row.policy == "expert")
    assert expert.plain_mean is not None and expert.plain_mean.drop == 0.0
    assert expert.weighted is not None and expert.of_axes == expert.axes == 3
    page = Page(run / "report.html")
    assert "toy_perturbed has 24 perturbed initial states in all" in " ".join(page.text.split())


def test_both_means_weigh_axes_as_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from analysis.populations import Family

    counts = {"camera": 100, "noise": 300, "words": 600, "light": 50}
    monkeypatch.setattr(
        "analysis.report.robustness.collecting.families",
        lambda names: [Family("f", list(names), counts)],
    )
    family = found(make(tmp_path / "run", {"p": LOSES}))
    of, (row,) = drops(family), family.means
    own = {axis: of["p", axis].drop for axis in AXES}
    assert row.plain_mean is not None and row.weighted is not None
    assert row.plain_mean.drop == pytest.approx(np.mean(list(own.values())))
    weighted = sum(counts[axis] * lost for axis, lost in own.items()) / 1000
    assert row.weighted.drop == pytest.approx(weighted)
    assert (row.axes, row.of_axes, row.of) == (3, 4, 1050)


PAGE: Mapping[str, Ends] = {
    "loses": by_rate(1.0, dict.fromkeys(AXES, 0.8)), "steady <b>": by_rate(1.0, {"noise": 0.1}),
    "expert": by_rate(1.0, {}), "random": by_rate(0.0, {}),
}  # fmt: skip
DROP = "plain:% perturbed:% drop:% low:% high:%"
ROWS = {
    "robustness": f"policy variants:n axes:n of_axes:n {DROP}",
    "drops": f"axis policy variants:n cells:n {DROP} expert:% without_plain:n unfinished:n",
    "drop_pairs": "policy against axis verdict cells:n left_out:+ first_drop:% second_drop:% "
    "difference:% low:% high:% p:p p_holm:p",
    "perturbed_pairs": f"policy against verdict {printed.PAIR} p:p p_holm:p",
    "lacking": "policy suite task init_state:n seed:n why cells:n",
}


def test_the_page_tells_what_the_tables_do(
    work: Path,
    undrawn: None,  # noqa: F811
    wambench: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def left_out(cell: Any) -> bool:
        return bool(cell.suite == BASE and cell.task_index == 3 and cell.policy == "loses")

    make(Path("run"), PAGE, without=left_out)
    ended = wambench("report", "run", "--tables", "tables")
    assert ended.code == 0, ended.err
    page = printed.Spaced(Path("run/report.html"))
    monkeypatch.setattr(printed, "ROWS", printed.ROWS | ROWS)
    grid = ("where", "policy", "perturbed:% drop:% low:% high:% cells:n")
    monkeypatch.setattr(printed, "GRIDS", printed.GRIDS | {"magnitudes": grid})
    shown = set()
    for caption, rows in page.tables.items():
        sheet = caption.partition(".csv")[0].split()[-1] if ".csv" in caption else ""
        if sheet in ROWS:
            printed.in_rows(sheet, caption, rows, printed.sheet_of(sheet))
        elif sheet == "magnitudes":
            printed.in_a_grid(sheet, caption, rows, printed.sheet_of(sheet))
        shown.add(sheet)
    assert {*ROWS, "magnitudes"} <= shown
    said = " ".join(page.text.split())
    assert "4 policies on base and 3 perturbed suites" in said
    assert "in no drop" in said and "loses more than steady <b>" in said
    drawn = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert any("Success against magnitude" in (a.get("aria-label") or "") for a in drawn)
    # Elsewhere perturbed cells are not mixed with plain ones.
    success = {row["policy"]: row for row in printed.sheet_of("success")}
    assert success["loses"]["episodes"] == str(TASKS - 1)
    assert success["expert"]["suite_mean"] == "1.0"
    assert {row["suite"] for row in printed.sheet_of("suites")} == {BASE, *map(made_up.suite, AXES)}
    assert {row["cells"] for row in printed.sheet_of("pairs")} <= {str(TASKS), str(TASKS - 1)}


def test_a_run_of_perturbed_suites_alone(
    work: Path,
    undrawn: None,  # noqa: F811
    wambench: CommandLine,
) -> None:
    """Success is told as ever, and every drop is lacking."""
    make(Path("run"), {"p": STEADY, "q": STEADY}, plain_states=())
    ended = wambench("report", "run", "--tables", "tables")
    assert ended.code == 0, ended.err
    success = {row["policy"]: row for row in printed.sheet_of("success")}
    assert success["p"]["episodes"] == str(len(AXES) * TASKS * STATES)
    page = Page(Path("run/report.html"))
    (caption,) = [caption for caption in page.tables if "each policy on each axis" in caption]
    assert page.tables[caption][1][4:7] == [NOTHING] * 3
    assert all(row["cells"] == "0" for row in printed.sheet_of("drops"))
