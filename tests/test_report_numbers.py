"""Every number of a report is printed by the command that stands beside it."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests import whole_run
from tests.conftest import CommandLine
from tests.test_report import Page, undrawn  # noqa: F401  (a fixture)

Row = Mapping[str, str]
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?")
FORMS: Mapping[str, Callable[[float], str]] = {
    "n": lambda value: f"{value:.0f}",
    "%": lambda value: f"{100 * value:.1f}",
    "p": lambda value: f"{value:.2g}",
    "2": lambda value: f"{value:.2f}",
    "M": lambda value: f"{value / 1e6:.0f}",
    "P": lambda value: f"{value / 1e15:.2f}",
    "h": lambda value: f"{value:.0f}" if value == int(value) else f"{value:.1f}",
    "+": lambda value: f"{value:.0f}" if value else "",
}
"""How the page writes what the command prints raw."""

SCORE = "successes:n episodes:n rate:% low:% high:%"
PAIR = "cells:n left_out:+ only_first:n only_second:n difference:% low:% high:%"
ROWS = {
    "success": f"policy {SCORE} suite_mean:% suite_low:% suite_high:% policy_errors:n missing:n",
    "changes": f"policy {PAIR.replace(' left_out:+', '')} verdict",
    "moved": "cell before after",
    "pairs": f"policy against verdict {PAIR} p:p p_holm:p",
    "standing": "policy best_rank:n worst_rank:n may_be_best",
    "variants": "policy changed cells:n variant_rate:% policy_rate:% kept:n solved:n "
    "difference:% low:% high:% p:p p_holm:p verdict",
    "chance": "policy cells:n variant_rate:% chance_rate:% difference:% low:% high:% p:p p_holm:p "
    "verdict",
    "conditions": "policy parameters:n words_tokens:n image_tokens:n imagined_tokens:n "
    "action_tokens:n decision_flops:M decision_ms:n steps:n samples:n training_flops:P "
    "cpu_minutes:n",
    "learning": f"label step:n training_flops:P cpu_minutes:n {SCORE}",
    "steps": "policy median_steps:h fewest_steps:n most_steps:n episodes_per_hour:n",
    "trouble": "kind failures:n cells:n recovered:n",
    "faults": "policy fault episodes:n example",
}
"""Sheet -> its columns in the order of the page's table, one row a line."""
GRIDS = {
    "suites": ("policy", "suite", SCORE),
    "tasks": ("instruction", "policy", "successes:n episodes:n"),
    "stages": ("policy", "stage", "seconds_per_episode:2 milliseconds_per_step:2"),
    "failures": ("kind", "policy", "episodes:n"),
    "attention": ("arm", "region", "mean:2 low:2 high:2"),
    "attention_pairs": ("arm", "region", "mean:2 low:2 high:2"),
    "imagined": ("arm", "region", "mean:2 low:2 high:2"),
    "consistency": ("policy", "head", "mean:2 low:2 high:2"),
    "displacement": ("policy", "head", "mean:2 low:2 high:2"),
}
"""Sheet -> what its rows and columns are on the page, and what stands in a cell."""


def numbers(*texts: str) -> list[str]:
    """All numbers in order, without thin spaces and per cent signs."""
    return [found for text in texts for found in NUMBER.findall(text.replace("\u202f", ""))]


def printed(row: Row, columns: str) -> list[str]:
    """The numbers of a row of CSV as the page would write them."""
    out = []
    for column in columns.split():
        name, _, form = column.partition(":")
        if form and row[name]:
            out += numbers(FORMS[form](float(row[name])))
        elif not form:
            out += numbers(row[name])
    return out


class Spaced(Page):
    """Parts of a cell that stand below each other are told apart."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        if tag == "span":
            self.handle_data(" ")


@pytest.fixture
def made(work: Path, undrawn: None, wambench: CommandLine) -> Page:  # noqa: F811
    """A report of everything, in the user's directory."""
    whole_run.make(Path("run"))
    whole_run.make(Path("before"), without=["second"], instead={"learned": "ssssffffssss"})
    whole_run.make_study(Path("study"))
    whole_run.make_imagined(Path("imagined"))
    ended = wambench(
        "report", "run", "--compare", "before", "--attention", "study", "--imagined", "imagined"
    )
    assert ended.code == 0, ended.err
    return Spaced(Path("run/report.html"))


def test_every_table_says_what_prints_it(made: Page, wambench: CommandLine) -> None:
    commands = {}
    for caption, rows in made.tables.items():
        if numbers(*(cell for row in rows[1:] for cell in row)):
            found = re.search(r"(?:(\w+)\.csv of )?(wambench .*)", " ".join(caption.split()))
            assert found, f"nothing prints {caption!r}"
            commands[caption] = found.groups()
    (tables,) = {command for sheet, command in commands.values() if sheet}
    assert wambench(*shlex.split(tables)[1:]).code == 0
    sheets = {sheet for sheet, _ in commands.values() if sheet}
    assert sheets == {*ROWS, *GRIDS} == {f.stem for f in Path("tables").glob("*.csv")} - {"ranks"}
    for caption, (sheet, command) in commands.items():
        rows = made.tables[caption]
        if sheet:
            check = in_rows if sheet in ROWS else in_a_grid
            check(sheet, caption, rows, sheet_of(sheet))
        else:
            in_json(caption, rows, wambench(*shlex.split(command)[1:]).out)


def sheet_of(name: str) -> list[dict[str, str]]:
    """A table as the command wrote it."""
    return list(csv.DictReader(Path("tables", f"{name}.csv").read_text().splitlines()))


def in_rows(sheet: str, caption: str, rows: Sequence[Sequence[str]], kept: Sequence[Row]) -> None:
    """One row of the page for each row of the file."""
    assert len(rows) - 1 == len(kept) > 0, caption
    for row, raw in zip(rows[1:], kept, strict=True):
        assert numbers(*row) == printed(raw, ROWS[sheet]), (caption, row, raw)
        first = ROWS[sheet].split()[0]
        assert row[0] == raw[first], (caption, row)


def in_a_grid(sheet: str, caption: str, rows: Sequence[Sequence[str]], kept: Sequence[Row]) -> None:
    """Each row of the file in one cell of the page, and each number of the page in one of them."""
    down, across, columns = GRIDS[sheet]
    if sheet == "attention":
        kept = [raw for raw in kept if caption.lower().split(":")[0].strip() == raw["measure"]]
    if sheet == "imagined":
        kept = [raw for raw in kept if f"({raw['truth']})" in caption]
    found = {(raw[down], raw[across]): printed(raw, columns) for raw in kept}
    told = 0
    for row in rows[1:]:
        label = row[0].partition("\u2002")[2] or row[0]  # the number of a task stands before it
        for head, cell in zip(rows[0][1:], row[1:], strict=False):
            if numbers(cell):
                assert numbers(cell) == found[label, head], (caption, label, head)
                told += 1
    assert told == sum(bool(values) for values in found.values()) > 0, caption


def in_json(caption: str, rows: Sequence[Sequence[str]], printed: str) -> None:
    """Every number is part of some value."""
    known = set(numbers(*map(str, flat(json.loads(printed)))))
    for row in rows[1:]:
        assert set(numbers(*row)) <= known, (caption, row)


def flat(value: object) -> list[object]:
    """All keys and values."""
    if isinstance(value, dict):
        return [part for key, each in value.items() for part in (key, *flat(each))]
    if isinstance(value, list):
        return [part for each in value for part in flat(each)]
    return [value]


def test_figures_in_words_are_in_the_tables(made: Page, wambench: CommandLine) -> None:
    assert wambench("report", "run", "--tables", "tables").code == 0
    success = sheet_of("success")
    episodes = sum(int(row["episodes"]) for row in success)
    assert f"{episodes} episodes answer" in made.text
    ranks = sheet_of("ranks")
    distance, p = float(ranks[0]["critical_distance"]), float(ranks[0]["p"])
    said = " ".join(made.text.split())
    assert f"Mean rank over {ranks[0]['tasks']} tasks" in said
    assert f"differ by less than {distance:.2f} (Nemenyi" in said and f"p = {p:.2g}." in said
    drawn = next(
        a["aria-label"] or "" for _, a in made.tags if "Mean ranks" in (a.get("aria-label") or "")
    )
    assert numbers(drawn.partition(":")[2]) == [f"{float(r['mean_rank']):.2f}" for r in ranks]
    # the chart on top writes the rates of the table below it
    chart = re.findall(r'<span class="figure">([\d.]+) %', Path("run/report.html").read_text())
    assert chart == [f"{100 * float(row['rate']):.1f}" for row in success]
