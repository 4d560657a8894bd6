"""The audit page needs nothing from outside, and its tables say the same in every format."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from analysis import writing
from analysis.audit import command, costs, latency, sensitivity
from analysis.audit.page import Audit, render
from analysis.claims import counts
from analysis.claims.costs import Costs
from analysis.claims.ledger import Evidence, ledger
from analysis.claims.published import load
from analysis.table import NOTHING, Column, Table
from tests.conftest import CommandLine, check_refusal
from tests.made_up_costs import closed_form
from tests.test_latency_faults import CLEAN, device, times
from wambench.profile.records import PolicyCount, StageCount

PUBLISHED = ("imagewam-4b", "fastwam", "fastwam-joint", "fastwam-idm")
NANO = ("nano-imagewam", "nano-fastwam")
AGAIN = "wambench audit page --out <somewhere> & more"


def counted(policy: str, track: str) -> PolicyCount:
    """A count by hand; nano policies cost a millionth."""
    small = 10**6 if track == "nano" else 1
    stages = tuple(
        StageCount(
            stage=stage, calls=1, flops=flops // small, flops_per_call=flops // small,
            flops_of_calls=(flops // small,), counted_flops=flops // small, kernels=100,
            moved_bytes=2 * 10**9, weight_bytes=10**9, operations=((flops // small, 10**9, 100),),
        )
        for stage, flops in closed_form(policy.removeprefix("nano-"), {}).items()
    )  # fmt: skip
    return PolicyCount(
        policy=policy, options={}, geometry="libero", preset="released", paradigm="any",
        track=track, horizon=16, executed_actions=12, control_hz=20.0, instruction="go",
        parameters={"all": 10**9}, stages=stages, cache_bytes=10**6, agreement=0.0, verdict="exact",
    )  # fmt: skip


@pytest.fixture(scope="module")
def audit() -> Audit:
    published, readings = load()
    made_up = Costs(closed_form)
    card = device("gpu").model_copy(update={"name": "NVIDIA <H100>"})
    each = {"policy": {"warm": times(60), "cold": times(70)}}
    records = [
        CLEAN.model_copy(update={"policy": "nano-imagewam", "label": "small", "track": "nano"}),
        CLEAN.model_copy(
            update={
                "policy": "imagewam-4b", "label": "imagewam-4b", "track": "published",
                "device": card, "scopes": each,
            }
        ),
    ]  # fmt: skip
    return Audit(
        source=published.source,
        rows=ledger(published, readings, Evidence(made_up, {(224, 448): "here"}, records)),
        counts={
            "published": {"libero": [counted(name, "published") for name in PUBLISHED]},
            "nano": {"own": [counted(name, "nano") for name in NANO]},
        },
        records=records,
        curves=sensitivity.curves(readings, made_up),
        unusable=["broken: it cannot be made"],
    )


@pytest.fixture(scope="module")
def folder(audit: Audit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    assert len(command.write(audit, folder, AGAIN)) == len(list(folder.iterdir()))
    return folder


class Parsed(HTMLParser):
    """Every start tag with its attributes, and cells of tables by caption."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.open: list[str] = []
        self._caption = ""
        self._rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass
        if tag == "table":
            rows = [[cell.strip() for cell in row] for row in self._rows]
            self.tables.setdefault(self._caption.strip(), []).extend(rows)

    def handle_data(self, data: str) -> None:
        if "caption" in self.open:
            self._caption += data
        elif self.open and ({"td", "th"} & set(self.open)) and self._rows:
            self._rows[-1][-1] += data


@pytest.fixture(scope="module")
def parsed(folder: Path) -> Parsed:
    return Parsed((folder / command.PAGE).read_text())


# -- the page --------------------------------------------------------------------------------------


def test_the_page_needs_nothing_else(folder: Path, parsed: Parsed) -> None:
    text = (folder / command.PAGE).read_text()
    assert len(text) < 5e6
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#)", text)
    for tag, attributes in parsed.tags:
        assert tag not in ("script", "iframe", "object", "img")
        for name in ("href", "src", "xlink:href"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:")), (tag, target)


def test_every_link_and_id_has_one_place(parsed: Parsed) -> None:
    ids = [attributes["id"] for _, attributes in parsed.tags if attributes.get("id")]
    targets = [a["href"] for tag, a in parsed.tags if tag == "a" and a.get("href")]
    assert targets and {f"#{name}" for name in ids} >= set(targets)
    sections = [a["id"] for tag, a in parsed.tags if tag == "h2"]
    assert len(set(sections)) == len(sections)


def test_tables_and_drawings_are_readable_aloud(audit: Audit, parsed: Parsed) -> None:
    tags = [tag for tag, _ in parsed.tags]
    assert tags.count("caption") == tags.count("table") == tags.count("thead") > 10
    drawings = [a for tag, a in parsed.tags if tag == "svg"]
    assert len(drawings) == len(audit.curves) == 4
    for curve, drawing in zip(audit.curves, drawings, strict=True):
        label = drawing["aria-label"] or ""
        assert drawing["role"] == "img" and curve.axis in label and "FastWAM (plain)" in label
        assert not (set(drawing) & {"width", "height"}), "it must fit a phone"


def test_the_page_answers_first(folder: Path) -> None:
    text = (folder / command.PAGE).read_text()
    head = text[: text.index("</header>")]
    assert "reproduced only under" in head and "not reproduced" in head
    assert "it needs fewer FLOPs than ImageWAM" in head
    assert "1 multiply-add = 2 FLOPs" in text and "broken: it cannot be made" in text
    assert "&lt;somewhere&gt; &amp; more" in text and "NVIDIA &lt;H100&gt;" in text


def test_tracks_are_never_mixed(audit: Audit, parsed: Parsed) -> None:
    for table in audit.tables():
        said = " ".join(str(value) for row in table.rows for value in row.values())
        if table.track == "nano":
            assert not set(PUBLISHED) & set(said.replace("nano-", "nano_").split()), table.name
        elif table.track == "published":
            assert "nano-" not in said, table.name
        else:
            assert table.name.startswith("ledger")
    for caption, rows in parsed.tables.items():
        names = {cell for row in rows for cell in row}
        assert not (names & set(PUBLISHED) and names & set(NANO)), caption


def test_predictions_are_labelled(audit: Audit, parsed: Parsed) -> None:
    [caption] = [caption for caption in parsed.tables if "geometry libero" in caption
                 and caption.startswith("Predicted")]  # fmt: skip
    heads = parsed.tables[caption][0]
    assert sum("predicted" in head for head in heads) == 3
    for table in audit.predictions():
        assert "no measurement" in table.note
        assert all("predicted" in str(row["gpu"]) for row in table.rows)


def test_numbers_on_the_page_are_the_counts(audit: Audit, parsed: Parsed) -> None:
    [totals] = [rows for caption, rows in parsed.tables.items()
                if caption.startswith("Cost of one inference, published")]  # fmt: skip
    for found in audit.counts["published"]["libero"]:
        row = next(row for row in totals if row[0] == found.policy)
        assert row[2] == f"{found.flops / 1e12:.3f}"
        assert row[5] == f"{found.flops / 12 / 1e12:.3f}"
        assert row[6] == f"{found.flops / 12 * 20 / 1e12:,.3f}".replace(",", "\u202f")
    [ratios] = [rows for caption, rows in parsed.tables.items() if "divided by those of imagewam-4b"
                in caption]  # fmt: skip
    by_name = {row[0]: row for row in ratios}
    assert by_name["imagewam-4b"][1:] == ["1.00"] * 4 and float(by_name["fastwam-idm"][3]) > 4.9
    assert float(by_name["fastwam"][3]) < 0.4


def test_every_row_of_the_ledger_is_on_the_page(audit: Audit, parsed: Parsed) -> None:
    shown = [row for caption, rows in parsed.tables.items() for row in rows if len(row) == 6]
    claims = [row[1] for row in shown]
    for row in audit.rows:
        assert " ".join(row.claim.split()) in {" ".join(claim.split()) for claim in claims}


def test_an_audit_of_nothing_still_makes_a_page(audit: Audit) -> None:
    empty = Audit(source="a paper", rows=audit.rows, counts={}, records=[], curves=[])
    text = render(empty, AGAIN)
    for said in ("Nothing was counted", "There are no records", "No curves were computed"):
        assert said in text


# -- the files -------------------------------------------------------------------------------------


def test_csv_reads_back_as_it_was(audit: Audit, folder: Path) -> None:
    for table in audit.tables():
        with (folder / f"{table.name}.csv").open(newline="") as file:
            read = list(csv.DictReader(file))
        assert len(read) == len(table.rows)
        for row, back in zip(table.rows, read, strict=True):
            assert set(back) == {column.key for column in table.columns}
            for column in table.columns:
                assert same(row.get(column.key), back[column.key]), (table.name, column.key)


def same(value: Any, text: str) -> bool:
    """Whether a cell of CSV is a value, to the last bit."""
    if value is None:
        return text == ""
    return (float(text) == value) if isinstance(value, int | float) else text == str(value)


def test_json_has_integers_and_commands(audit: Audit, folder: Path) -> None:
    content = json.loads((folder / command.DATA).read_text())
    assert content["convention"] == "1 MAC = 2 FLOPs"
    by_name = {table["name"]: table for table in content["tables"]}
    assert all(table["command"].startswith(("wambench ", "make ")) for table in by_name.values())
    stages = by_name["flops-published-libero"]["rows"]
    idm = [row["flops"] for row in stages if row["policy"] == "fastwam-idm"]
    assert all(isinstance(flops, int) for flops in idm)
    assert sum(idm) == audit.counts["published"]["libero"][3].flops


def test_latex_is_whole(audit: Audit, folder: Path) -> None:
    main = (folder / command.MAIN_LATEX).read_text()
    assert main.startswith(r"\documentclass") and main.rstrip().endswith(r"\end{document}")
    assert r"\usepackage{array,booktabs,longtable}" in main
    for name in re.findall(r"\\input\{(.*?)\}", main):
        text = (folder / name).read_text()
        check_latex(text)
        for rule in ("toprule", "midrule", "bottomrule"):
            assert rf"\{rule}" in text
    check_latex(main)
    assert len(re.findall(r"\\input", main)) == len(list(folder.glob("*.tex"))) - 1


def check_latex(text: str) -> None:
    """Balanced environments and braces, ASCII alone, as many cells in every row as columns."""
    assert text.isascii()
    opened = re.findall(r"\\begin\{(\w+)\}", text)
    assert opened == list(reversed(re.findall(r"\\end\{(\w+)\}", text))) and opened
    bare = re.sub(r"\\[\\{}&%$#_]", "", text)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0 and not re.search(r"(?<!\\)[%#]", bare) and bare.count("$") % 2 == 0
    rows = [line for line in bare.splitlines() if "&" in line]
    assert len({line.count("&") for line in rows}) <= 1


def test_what_latex_would_trip_over_is_escaped() -> None:
    nasty = Table(
        name="n", title="50 % of a_b & c", columns=[Column("a", "A"), Column("b", "B", 1)],
        rows=[{"a": r"[x] {y} \z ~ ^ # $ < 1 … × ü", "b": 1234.56}, {"a": None, "b": None}],
        command="c",
    )  # fmt: skip
    text = writing.as_latex(nasty)
    check_latex(text)
    assert r"50 \% of a\_b \& c" in text and "{[}x]" in text and r"1\,234.6" in text


def test_cells_are_shown_for_people() -> None:
    column = Column("flops", "TFLOPs", 2, 1e12)
    assert column.show(5.828e12) == "5.83" and column.show(None) == NOTHING
    assert column.show(0) == "0.00" and column.show(3e8) == "3.0e-04"
    assert Column("name", "Name").show("") == NOTHING


# -- the command -----------------------------------------------------------------------------------


def test_policies_are_counted_once_each() -> None:
    assert "imagewam-4b" in command._having("published", "libero")
    robotwin = command._having("published", "robotwin")
    assert "imagewam-4b" in robotwin and "imagewam-4b-robotwin" not in robotwin
    assert set(command._having("nano", "own")) >= {"nano-imagewam", "nano-pi0"}


def test_a_policy_that_cannot_be_counted_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from wambench import UserError

    def count(policy: str, options: Mapping[str, Any], geometry: str | None) -> PolicyCount:
        if policy == "nano-fastwam":
            raise UserError("no such thing; mend it")
        return counted(policy, "nano")

    def count_all(policies: object, geometry: str | None) -> Sequence[PolicyCount]:
        raise UserError("no such thing; mend it")

    counts.forget()
    monkeypatch.setattr("wambench.profile.flops.count", count)
    monkeypatch.setattr("wambench.profile.flops.count_all", count_all)
    monkeypatch.setattr(command, "GEOMETRIES", {"nano": ("own",)})
    found, unusable = command.count_all()
    assert unusable == ["nano-fastwam (own): no such thing; mend it"]
    assert "nano-fastwam" not in {one.policy for one in found["nano"]["own"]}
    counts.forget()


def test_the_command_writes_or_refuses(
    audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wambench: CommandLine
) -> None:
    def gather(results: Path | None, runs: Sequence[Path]) -> Audit:
        return audit

    monkeypatch.setattr(command, "gather", gather)
    ended = wambench("audit", "page", "--out", tmp_path / "page", "--json")
    assert ended.code == 0, ended.err
    written = json.loads(ended.out)
    assert Path(written["page"]).is_file() and all(Path(f).is_file() for f in written["written"])
    (tmp_path / "file").write_text("")
    ended = wambench("audit", "page", "--out", tmp_path / "file" / "inside")
    check_refusal(ended.code, ended.out, ended.err, ("inside", "--out"))


def test_ratios_below_one_are_of_cheaper_policies(audit: Audit) -> None:
    table = costs.ratios(audit.counts["published"], "published")
    assert {str(row["policy"]): row["without_text_and_decode"] for row in table.rows}[
        "fastwam"
    ] == pytest.approx(0.395, rel=0.01)


def test_a_record_is_held_against_the_count_of_its_policy() -> None:
    """A count that takes a multiply-add for one FLOP is half of what the measured call computes."""
    one = counted("nano-imagewam", "nano")
    measured = CLEAN.work.act_flops
    assert measured is not None
    act = next(stage for stage in one.stages if stage.stage == "act")
    half = measured["cold"] // 2
    wrong = one.model_copy(
        update={"stages": (act.model_copy(update={"flops": half, "counted_flops": half}),)}
    )
    record = CLEAN.model_copy(
        update={"policy": "nano-imagewam", "track": "nano", "options": {"untrained": 0}}
    )

    def said(policy: PolicyCount) -> str:
        return " ".join(latency.faults([record], {"nano": {"own": [policy]}}))

    assert "a multiply-add is two" in said(wrong)
    assert "a multiply-add is two" not in said(wrong.model_copy(update={"policy": "nano-pi0"}))
