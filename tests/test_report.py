"""The report: its numbers are the store's, odd runs make sense of themselves, strips are drawn."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from scipy.stats import binomtest

from analysis.report import imagined, strips, study
from analysis.report.caveats import tracks
from analysis.report.page import NOTHING
from analysis.report.tables import PolicyRow, Score
from tests.conftest import CommandLine
from tests.records import make_passport
from wambench.cells import Cell, PolicyChoice, digest_of
from wambench.contract import PolicySpec
from wambench.episode import EpisodeRecord, Outcome
from wambench.passport import Passport
from wambench.protocols import protocol
from wambench.store import Store, StoredCell, episodes_frame, timings_frame
from wambench.suite import Suite
from wambench.trace import Trace

TASKS = [("toy", 0, "go left"), ("toy", 1, "go right"), ("elsewhere", 0, "open_the_door")]
LETTERS: dict[str, Outcome | None] = {
    "s": "success", "f": "failure", "e": "policy_error", ".": None,
}  # fmt: skip
MIXED = {"good": "sssfssssss..", "odd": "sefeffsss.ff"}
FAULT = "ValueError: <script>alert(1)</script> is no action"


def cells_of(policy: str, outcomes: str) -> list[tuple[Cell, Outcome | None]]:
    """Four init states of each task, in that order; a letter an outcome."""
    out = []
    for place, letter in enumerate(outcomes):
        suite, index, task = TASKS[place // 4]
        key = digest_of([policy, suite, task, place % 4])
        cell = Cell(key, policy, "wambench-1", suite, index, task, place % 4, 0)
        out.append((cell, LETTERS[letter]))
    return out


def record_of(cell: Cell, outcome: Outcome) -> EpisodeRecord:
    """A made-up episode; a policy error ends before the first step."""
    random = np.random.default_rng(int(cell.key[:8], 16))
    steps = 0 if outcome == "policy_error" else int(random.integers(2, 30))
    trace = Trace(
        random.normal(size=(steps, 2)),
        random.uniform(-1, 1, size=(steps + 1, 2)),
        random.integers(0, 2**64, steps + 1, dtype=np.uint64),
    )
    seconds = {"physics": steps / 50, "policy": steps / 80, "total": 0.5 + steps / 25}
    fault = FAULT if outcome == "policy_error" else ""
    return EpisodeRecord(cell, outcome, steps, 1, fault, trace, seconds)


def good_passport() -> Passport:
    passport = make_passport()
    rules = protocol("wambench-1").model_dump(mode="json")
    probes = {"toy": {"gl_renderer": "none", "golden": "equal"}}
    return passport.model_copy(update={"protocol": rules, "info": {"probes": probes}})


def write_run(
    folder: Path,
    outcomes: Mapping[str, str],
    passport: Passport | None = None,
    nano: Sequence[str] = (),
) -> Path:
    """A run with a letter for each cell of each policy; all but ``nano`` are scripted."""
    with Store.write(folder, "wambench sweep made-up.yaml") as store:
        store.set_passport(passport or good_passport())
        for policy, letters in outcomes.items():
            track: Literal["nano", "scripted"] = "nano" if policy in nano else "scripted"
            spec = PolicySpec(paradigm=track, track=track, about="made up")
            made = cells_of(policy, letters)
            store.add_plan(
                [cell for cell, _ in made], [PolicyChoice(policy, policy)], {policy: spec}
            )
            for cell, outcome in made:
                if outcome is not None:
                    store.add_episode(record_of(cell, outcome))
    return folder


class Page(HTMLParser):
    """Tables by caption (rows of cell texts), and every start tag with its attributes."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.items: list[str] = []  # of the list of verdicts
        self._list = ""
        self._rows: list[list[str]] = []
        self._into = ""
        self._caption = ""
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td"):
            self._rows[-1].append("")
        if tag == "ul":
            self._list = dict(attrs).get("class") or ""
        elif tag == "li":
            self.items += [""] if self._list == "verdicts" else []
        if tag in ("caption", "th", "td", "style"):
            self._into = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == "ul":
            self._list = ""
        if tag == self._into:
            self._into = ""
        if tag == "table":
            self.tables[self._caption] = [[cell.strip() for cell in row] for row in self._rows]

    def handle_data(self, data: str) -> None:
        if self._into == "style":
            return
        self.text += data
        if self._list == "verdicts" and data.strip():
            self.items[-1] += data
        if self._into == "caption":
            self._caption += data
        elif self._into:
            self._rows[-1][-1] += data

    def table(self, caption: str) -> list[list[str]]:
        """Rows of the table whose caption begins so, headings first."""
        return next(rows for found, rows in self.tables.items() if found.startswith(caption))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures out: opening processes takes seconds."""

    def draw(store: Store, shots: Sequence[object], rules: object) -> tuple[list[None], list[str]]:
        return [None] * len(shots), ["not drawn"]

    monkeypatch.setattr(strips, "draw", draw)


def rate_cell(successes: int, episodes: int) -> str:
    """Rate and interval as the page writes them, by another road than the page's."""
    if not episodes:
        return NOTHING
    ends = binomtest(successes, episodes).proportion_ci(0.95, "exact")
    share = 100 * successes / episodes
    return f"{share:.1f} %{100 * ends.low:.1f}–{100 * ends.high:.1f}"


@pytest.mark.usefixtures("undrawn")
def test_numbers_on_the_page_are_those_of_the_store(tmp_path: Path, wambench: CommandLine) -> None:
    run = write_run(tmp_path / "run", MIXED)
    assert wambench("report", run).code == 0
    page = Page(run / "report.html")
    with Store.read(run) as store:
        frame, timings = episodes_frame(store), timings_frame(store)
    frame["success"] = frame["outcome"] == "success"
    done = frame[frame["outcome"] != "missing"]

    overall = {row[0]: row[1:] for row in page.table("Success of each policy over all")[1:]}
    by_suite = page.table("Success, rate and 95 %")
    by_task = page.table("Successful episodes of each policy on each task")
    lengths = {row[0]: row[1:] for row in page.table("Control steps of successful")[1:]}
    stages = page.table("Wall time by stage")
    assert set(overall) == set(lengths) == set(MIXED)
    for policy, mine in done.groupby("policy"):
        wins, count = int(mine["success"].sum()), len(mine)
        mean = mine.groupby("suite")["success"].mean().mean()
        assert overall[policy] == [
            f"{wins}/{count}",
            rate_cell(wins, count),
            f"{100 * mean:.1f} %",
            str((mine["outcome"] == "policy_error").sum()),
            str(((frame["policy"] == policy) & (frame["outcome"] == "missing")).sum()),
        ]
        row = next(row for row in by_suite if row[0] == policy)
        for suite, there in mine.groupby("suite"):
            wins, count = int(there["success"].sum()), len(there)
            assert row[by_suite[0].index(str(suite))] == f"{wins}/{count}" + rate_cell(wins, count)
        column = by_task[0].index(policy)
        for (index, task), there in mine.groupby(["task_index", "task"]):
            row = next(row for row in by_task if row[0] == f"{index}\u2002{task.replace('_', ' ')}")
            assert row[column] == f"{int(there['success'].sum())}/{len(there)}"
        steps = mine.loc[mine["success"], "steps"]
        assert [float(text) for text in lengths[policy][:3]] == [
            steps.median(), steps.min(), steps.max(),
        ]  # fmt: skip
        spent = timings[timings["policy"] == policy]
        hourly = f"{3600 * len(spent) / spent['total_s'].sum():.0f}"
        assert lengths[policy][3].replace("\u202f", "") == hourly
        row = next(row for row in stages if row[0] == policy)
        for stage in ("physics", "policy", "total"):
            total = spent[f"{stage}_s"].sum()
            expected = f"{total / len(spent):.2f}{1000 * total / spent['steps'].sum():.2f}"
            assert row[stages[0].index(stage, 1)] == expected


@pytest.mark.usefixtures("undrawn")
def test_every_two_policies_are_compared_in_words(tmp_path: Path, wambench: CommandLine) -> None:
    outcomes = {"learned": "sssssssssss.", "copy": "sfsfsfsfsfsf", "broken": "fffffffsfeff"}
    run = write_run(tmp_path / "run", outcomes | {"same": "sfsfsfsfsfsf"}, nano=["learned", "copy"])
    assert wambench("report", run).code == 0
    page = Page(run / "report.html")
    rows = {(first, second): row for first, second, *row in page.table("Every two policies")[1:]}
    assert len(rows) == 6
    # Against broken: 11 cells, 10 of them solved by one alone; p is that of the t test over three
    # tasks, which is larger than 2 / 2^10, times 6 rows.
    found = rows["learned", "broken"]
    assert found[1] == "11" + "1 left out" and found[2:4] == ["10", "0"]
    assert found[4].startswith("90.9 %") and found[5].startswith("0.009")
    assert rows["copy", "same"][1:4] == ["12", "0", "0"]
    assert rows["copy", "same"][0].startswith("undecided: needs"), "a copy is never better"
    said = {sentence.split(" is ")[0]: sentence for sentence in page.items}
    assert set(said) == set(outcomes) | {"same"}
    assert "not told apart from" in said["copy"] and "same" in said["copy"]
    drawn = [tag["aria-label"] for kind, tag in page.tags if kind == "svg" and "aria-label" in tag]
    assert drawn[0].startswith("Mean ranks over tasks, 1 is best: learned")


@pytest.mark.usefixtures("undrawn")
def test_a_clear_difference_is_called_one(tmp_path: Path, wambench: CommandLine) -> None:
    run = write_run(tmp_path / "run", {"good": "s" * 12, "bad": "f" * 12})
    assert wambench("report", run).code == 0
    page = Page(run / "report.html")
    assert page.items == ["good is better than bad.", "bad is worse than good."]
    assert page.table("Every two policies")[1][2] == "better"


@pytest.mark.usefixtures("undrawn")
def test_json_holds_the_same_tables(tmp_path: Path, wambench: CommandLine) -> None:
    run = write_run(tmp_path / "run", MIXED)
    tables = json.loads(wambench("report", run, "--json").out)
    page = Page(run / "report.html")
    assert tables["page"] == str(run / "report.html")
    assert (tables["cells"], tables["missing"]) == (24, 3)
    shown = page.table("Success of each policy over all")[1:]
    assert [row["policy"] for row in tables["policies"]] == [row[0] for row in shown]
    for row, cells in zip(tables["policies"], shown, strict=True):
        score = row["score"]
        assert cells[1] == f"{score['successes']}/{score['episodes']}"
        assert cells[2].startswith(f"{100 * score['rate']:.1f} %{100 * score['low']:.1f}")
    for row in tables["by_task"]:
        score = row["score"]
        cells = next(c for c in page.table("Successful episodes") if row["instruction"] in c[0])
        assert f"{score['successes']}/{score['episodes']}" in cells


@pytest.mark.usefixtures("undrawn")
def test_tables_for_papers_hold_the_same_numbers(tmp_path: Path, wambench: CommandLine) -> None:
    run, folder = write_run(tmp_path / "run", MIXED), tmp_path / "tables"
    tables = json.loads(wambench("report", run, "--tables", folder, "--json").out)
    rows = list(csv.DictReader((folder / "success.csv").open()))
    assert [row["policy"] for row in rows] == [row["policy"] for row in tables["policies"]]
    for row, known in zip(rows, tables["policies"], strict=True):
        for name in ("successes", "episodes", "rate", "low", "high"):
            assert float(row[name]) == known["score"][name]
    (pair,) = csv.DictReader((folder / "pairs.csv").open())
    (known,) = tables["comparisons"]
    assert float(pair["difference"]) == known["found"]["difference"]
    assert pair["verdict"] == known["verdict"]["text"]
    names = {path.name for path in folder.iterdir()}
    assert {"report.tex", "report.md", "suites.tex", "tasks.csv"} <= names
    assert "conditions.csv" not in names, "a table without rows is no file"
    whole = (folder / "report.tex").read_text()
    assert whole.count("\\input{") == len([name for name in names if name.endswith(".csv")])
    assert "| good | scripted | 9 | 10 | 90.0 |" in (folder / "report.md").read_text()
    (tmp_path / "file").touch()
    refused = wambench("report", run, "--tables", tmp_path / "file" / "x")
    assert refused.code == 2 and "choose another --tables" in refused.err


@pytest.mark.usefixtures("undrawn")
def test_missing_cells_are_announced_and_in_no_rate(tmp_path: Path, wambench: CommandLine) -> None:
    run = write_run(tmp_path / "run", {"p": "ss..", "q": "s..."})
    ended = wambench("report", run)
    assert "Incomplete: 5 of 8 cells missing" in ended.out
    assert "Incomplete: 5 of 8 cells missing" in Page(run / "report.html").text
    assert re.search(r"p +2/2", ended.out) and re.search(r"q +1/1", ended.out)


@pytest.mark.usefixtures("undrawn")
def test_a_complete_run_has_no_notice(tmp_path: Path, wambench: CommandLine) -> None:
    run = write_run(tmp_path / "run", {"p": "ssff", "q": "ffff"})
    assert json.loads(wambench("report", run, "--json").out)["notices"] == []
    assert ("ul", "notice") not in [(t, a.get("class")) for t, a in Page(run / "report.html").tags]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ({"alone": "sf"}, "this policy"),
        ({"p": "ffff", "q": "eeee"}, "0/4"),
        ({"p": "....", "q": "...."}, "Nothing to compare yet: all 8 cells are missing"),
        ({"p": "ssssssss", "q": "ssss"}, "not given the same cells"),
    ],
)
def test_odd_runs_still_make_a_page(
    tmp_path: Path, wambench: CommandLine, outcomes: Mapping[str, str], said: str
) -> None:
    run = write_run(tmp_path / "run", outcomes)
    assert wambench("report", run).code == 0
    assert said in Page(run / "report.html").text


@pytest.mark.usefixtures("undrawn")
def test_no_mean_of_suites_while_one_has_no_episode(tmp_path: Path, wambench: CommandLine) -> None:
    run = write_run(tmp_path / "run", {"p": "ssssssss...."})
    (row,) = json.loads(wambench("report", run, "--json").out)["policies"]
    assert row["suite_mean"] is None and row["score"]["rate"] == 1


@pytest.mark.usefixtures("undrawn")
def test_without_passport_the_page_says_so(tmp_path: Path, wambench: CommandLine) -> None:
    run, (cell, _) = tmp_path / "run", cells_of("p", ".")[0]
    with Store.write(run, "wambench sweep") as store:
        spec = PolicySpec(paradigm="scripted", about="made up")
        store.add_plan([cell], [PolicyChoice("p", "p")], {"p": spec})
    assert wambench("report", run).code == 0
    assert "This run has no passport" in Page(run / "report.html").text


@pytest.mark.usefixtures("undrawn")
def test_failures_are_counted_and_explained(tmp_path: Path, wambench: CommandLine) -> None:
    run = write_run(tmp_path / "run", {"p": "s.ee"})
    cells = [cell for cell, _ in cells_of("p", "....")]
    with Store.write(run, "again") as store:
        store.add_attempt(cells[0], "stalled", "no sign of life for 120 s", "")
        for number in range(7):
            store.add_attempt(cells[1], "worker_died", f"exit code {number}", "")
    wambench("report", run)
    page = Page(run / "report.html")
    assert page.table("Infrastructure failures")[1:] == [
        ["stalled", "1", "1", "1"],
        ["worker_died", "7", "1", "0"],
    ]
    messages = [row[2] for row in page.table("The latest infrastructure failures")[1:]]
    assert messages == [f"worker_died: exit code {number}" for number in (6, 5, 4, 3, 2)]
    (fault,) = page.table("Distinct faults")[1:]
    assert fault == ["p", FAULT, "2", cells[2].describe()]
    assert "<script" not in (run / "report.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_frames_that_differ_from_the_reference_are_announced(
    tmp_path: Path, wambench: CommandLine
) -> None:
    probes = {"toy": {"golden": "agentview: mean |d| 9.00/255"}, "elsewhere": {"golden": "equal"}}
    passport = good_passport().model_copy(update={"info": {"probes": probes}})
    run = write_run(tmp_path / "run", {"p": "ss"}, passport)
    assert "Frames of toy differ from the reference (agentview: mean" in wambench("report", run).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "'nowhere' is not a run directory"),
        (["empty"], "holds no cells yet"),
        (["run", "--out", "missing/page.html"], "cannot write 'missing/page.html': No such file"),
        (["run", "--out", "folder.html"], "is a directory"),
        (["run", "--out", "run/run.sqlite"], "end it in .html"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wambench: CommandLine,
    arguments: Sequence[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.html").mkdir()
    write_run(Path("run"), {"p": "s"})
    with Store.write(Path("empty")):
        pass
    ended = wambench("report", *arguments)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert said in ended.err
    assert [file.name for file in tmp_path.rglob("*.html*")] == ["folder.html"]


def test_the_page_is_self_contained_readable_and_repeats_itself(
    tmp_path: Path, toy: Suite, wambench: CommandLine
) -> None:
    run = write_run(tmp_path / "run", MIXED)
    assert wambench("report", run).code == 0
    first = (run / "report.html").read_text()
    wambench("report", run)
    assert (run / "report.html").read_text() == first

    page = Page(run / "report.html")
    addresses = [a[key] or "" for _, a in page.tags for key in ("src", "href") if key in a]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "url(" not in first and "@import" not in first and "<script" not in first
    assert all("scope" in a for tag, a in page.tags if tag == "th")
    assert all(a.get("alt") for tag, a in page.tags if tag == "img")
    anchors = {a["id"] for _, a in page.tags if "id" in a}
    assert {address[1:] for address in addresses if address[0] == "#"} <= anchors


def test_strips_show_a_success_and_a_failure_of_each_policy(
    tmp_path: Path, toy: Suite, wambench: CommandLine
) -> None:
    run = write_run(tmp_path / "run", {"good": "ssss", "bad": "sfff", "broken": "eeee"})
    wambench("report", run)
    page = Page(run / "report.html")
    alts = [str(a["alt"]).split(" after ")[0] for tag, a in page.tags if tag == "img"]
    with Store.read(run) as store:
        steps = [k.steps or 0 for k in store.cells() if k.cell.policy == "good"]
    # fewer moments than frames where an episode is short; a fault before the first step leaves one
    assert alts == (["good"] * min(6, steps[0] + 1) + ["bad"] * alts.count("bad") + ["broken"])
    captions = re.findall(r"(\w+): (success|failure|policy error) after", page.text)
    assert captions == [
        ("good", "success"), ("bad", "success"), ("bad", "failure"), ("broken", "policy error"),
    ]  # fmt: skip


def test_what_cannot_be_drawn_is_explained(tmp_path: Path, wambench: CommandLine) -> None:
    run = write_run(tmp_path / "run", {"p": "sf"})
    assert wambench("report", run).code == 0
    page = Page(run / "report.html")
    assert "There are no pictures: toy/0: UserError: unknown suite 'toy'" in page.text


def sleep(group: object, rules: object) -> dict[int, list[bytes]]:
    """Stands for a simulator that hangs."""
    time.sleep(600)
    return {}


def test_a_simulator_that_hangs_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wambench: CommandLine
) -> None:
    monkeypatch.setattr(strips, "_draw_task", sleep)
    monkeypatch.setattr(strips, "TASK_SECONDS", 3)
    run = write_run(tmp_path / "run", {"p": "sf"})
    began = time.monotonic()
    assert wambench("report", run).code == 0
    assert time.monotonic() - began < 60
    assert "the simulator hung" in Page(run / "report.html").text


def chosen_of(folder: Path, outcomes: Mapping[str, str], best: str) -> list[StoredCell]:
    with Store.read(write_run(folder, outcomes)) as store:
        return strips.choose(store, [best, *outcomes])


def places(chosen: Iterable[StoredCell]) -> set[tuple[str, str, int]]:
    return {(k.cell.policy, k.cell.task, k.cell.init_state) for k in chosen}


def test_choice_opens_as_few_tasks_as_it_can(tmp_path: Path) -> None:
    # go left: all but the failure of a; go right: only a's failure
    chosen = chosen_of(tmp_path / "run", {"a": "sssssfss", "b": "sfffffff"}, best="a")
    assert places(chosen) == {
        ("a", "go left", 0), ("b", "go left", 0), ("b", "go left", 1), ("a", "go right", 1),
    }  # fmt: skip


def test_choice_prefers_failures_that_the_best_solved_and_real_ones(tmp_path: Path) -> None:
    chosen = chosen_of(tmp_path / "run", {"best": "ffss", "other": "ffef"}, best="best")
    assert ("other", "go left", 3) in places(chosen)
    only_faults = chosen_of(tmp_path / "faults", {"p": ".e.."}, best="p")
    assert places(only_faults) == {("p", "go left", 1)}
    assert chosen_of(tmp_path / "nothing", {"p": "...."}, best="p") == []


def test_tracks_are_told_honestly() -> None:
    def row(policy: str, track: str) -> PolicyRow:
        return PolicyRow(policy, "vla", track, "", Score.counted(0, 0), None, None)

    assert "say nothing of any published checkpoint" in tracks([row("a", "scripted")])
    mixed = tracks([row("a", "scripted"), row("n", "nano"), row("p", "published")])
    assert "n (of the nano track" in mixed and "p (published" in mixed
    assert "nano and scripted policies say nothing of published checkpoints" in mixed
    assert "say nothing" not in tracks([row("p", "published")])


@pytest.mark.slow
def test_strips_of_a_real_task(small_run: Path) -> None:
    with Store.read(small_run) as store:
        known = {k.cell.policy: k for k in store.cells() if k.cell.task_index == 2}
        rules = protocol("wambench-1")
        shots = [strips.Shot(known["expert"]), strips.Shot(known["random"])]
        drawn, problems = strips.draw(store, shots, rules)
    film = [strip for strip in drawn if strip]
    assert problems == []
    assert [strip.episode.outcome for strip in film] == ["success", "failure"]
    expert, random = film
    # the same first look, as far as a JPEG tells; then the arms go different ways
    assert expert.steps[0] == random.steps[0] == 0 and expert.steps[-1] == known["expert"].steps
    assert expert.frames[0] == random.frames[0]
    assert len({*expert.frames, *random.frames}) == 11
    size = sum(len(frame) for strip in film for frame in strip.frames) / len(film)
    # in base64; figures of attention and tables take the rest of 5 MB
    assert size * 4 / 3 * strips.MOST + study.BUDGET_BYTES + imagined.BUDGET_BYTES < 4_800_000
