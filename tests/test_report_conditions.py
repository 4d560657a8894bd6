"""What a report says of equal conditions, of training compute and of variants of a policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from analysis.pairing import by_policy
from analysis.report import kept, strips
from analysis.report.conditions import condition_rows, equality
from analysis.report.variants import variant_rows
from tests.conftest import CommandLine
from tests.test_report import Page, cells_of, good_passport, record_of, write_run
from wambench.cells import PolicyChoice
from wambench.contract import PolicySpec
from wambench.store import Store

TRAINED = {
    "steps": 4000, "step": 4000, "batch_size": 16, "samples": 64_000, "episodes": 564, "seed": 0,
    "data_hash": "abc", "cpu_seconds": 600.0, "flops_per_step": 25 * 10**10,
}  # fmt: skip
TOKENS = {"words": 11, "image": 32, "proprioception": 1, "imagined": 64, "action": 16}


def config(parameters: int = 1_000_000, **trained: Any) -> Mapping[str, Any]:
    conditions = {"parameters": parameters, "tokens": TOKENS, "flops": 95_810_560}
    return {"conditions": conditions, "trained": TRAINED | trained}


POLICIES: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any], str]] = {
    # label -> name, options, config, outcomes
    "a": ("nano-a", {}, config(), "ssssssssssss"),
    "a young": (
        "nano-a",
        {"weights": "w"},
        config(step=1000, samples=16_000, cpu_seconds=150),
        "ssssffff....",
    ),
    "a swapped": ("nano-a", {"swap_instruction": 3}, config(), "ffffffffffff"),
    "b": ("nano-b", {}, config(1_050_000), "ssssssffffff"),
    "scripted": ("expert", {}, {}, "ssssssssssss"),
    "at random": ("random", {}, {}, "ffffffffffs."),
}
SCRIPTED = {"scripted", "at random"}


@pytest.fixture
def page(tmp_path: Path, wambench: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setattr(strips, "draw", lambda store, chosen, rules: ([], ["not drawn"]))
    info = {
        "probes": {},
        "policies": {label: config for label, (_, _, config, _) in POLICIES.items()},
    }
    passport = good_passport().model_copy(update={"info": info})
    with Store.write(tmp_path / "run", "made up") as store:
        store.set_passport(passport)
        for label, (name, options, _, letters) in POLICIES.items():
            spec = PolicySpec(
                paradigm="vla", track="scripted" if label in SCRIPTED else "nano", about="made up"
            )
            made = cells_of(label, letters)
            choice = PolicyChoice(label, name, options)
            store.add_plan([cell for cell, _ in made], [choice], {label: spec})
            for cell, outcome in made:
                if outcome:
                    store.add_episode(record_of(cell, outcome))
    assert wambench("report", tmp_path / "run").code == 0
    return Page(tmp_path / "run" / "report.html")


def test_conditions_are_shown_and_their_equality_is_computed(page: Page) -> None:
    rows = {row[0]: row[1:] for row in page.table("What each policy is and how it was made")[1:]}
    assert set(rows) == set(POLICIES) - SCRIPTED
    assert rows["a"][:3] == ["1\u202f000\u202f000", "11 + 32 + 64; 16", "96"]
    assert rows["a"][4:] == ["4\u202f000", "64\u202f000", "1.00", "10"]
    assert rows["a young"][4:] == ["1\u202f000", "16\u202f000", "0.25", "2"]
    assert "Not equal: samples in all." in page.text
    assert "Parameters differ by 5.0 % at most" in page.text


def test_success_is_drawn_against_cost_for_one_track_alone(page: Page) -> None:
    labels = [a.get("aria-label") or "" for tag, a in page.tags if tag == "svg"]
    (drawn,) = [words for words in labels if words.startswith("Success against cost")]
    assert drawn == "Success against cost, nano: a 100 % at 96 MFLOPs; b 50 % at 96 MFLOPs"


def test_equality_names_what_differs() -> None:
    rows = condition_rows({}, {"a": config(), "b": config(), "plain": {}})
    assert equality(rows).startswith("Equal among these 2: optimiser steps,")
    assert "Not equal" not in equality(rows)
    other = condition_rows({}, {"a": config(), "b": config(data_hash="def", seed=1)})
    assert "Not equal: data, seed." in equality(other)
    assert equality(rows[:1]) == ""


def test_a_policy_at_two_ages_makes_a_curve(page: Page) -> None:
    rows = page.table("Success of each policy after so many")[1:]
    # The swapped one is as old as the plain one: a variant, not an age. Only common cells count.
    assert [(row[0], row[1], row[4]) for row in rows] == [
        ("a young", "1\u202f000", "4/8"),
        ("a", "4\u202f000", "8/8"),
    ]
    drawings = [a["aria-label"] for tag, a in page.tags if tag == "svg" and a.get("role") == "img"]
    assert "Success against training compute: nano-a 50 % to 100 %" in drawings


def test_variants_are_held_against_the_policy_as_it_is(page: Page) -> None:
    rows = {row[0]: row[1:] for row in page.table("The same policy under other options")[1:]}
    assert set(rows) == {"a young", "a swapped"}
    # Twelve cells of which the plain one alone solved twelve: 2 / 2^12, times two rows.
    found = rows["a swapped"]
    assert found[:5] == ["swap_instruction 3", "12", "0.0 %", "100.0 %", "0/12"]
    assert found[5].startswith("-100.0 %") and found[6:] == ["0.000490.00098", "worse"]
    assert rows["a young"][4] == "4/8" and rows["a young"][7].startswith("undecided")


def test_success_that_variants_keep_is_drawn(tmp_path: Path) -> None:
    outcomes = {"p": "ssssff", "same": "ssssff", "other": "ffffss", "some": "ssffs."}
    with Store.read(write_run(tmp_path / "run", outcomes)) as store:
        asked = by_policy(store.cells())
    choices = {
        label: PolicyChoice(label, "p", {} if label == "p" else {"how": label})
        for label in outcomes
    }
    rows = variant_rows(asked, choices)
    found = {row.found.first: (row.kept.successes, row.kept.episodes) for row in rows}
    # What a variant solves and the policy does not is nothing that was kept.
    assert found == {"same": (4, 4), "other": (0, 4), "some": (2, 4)}
    drawn = kept.draw(rows)
    assert "Success kept: other 0 %; same 100 %; some 50 %" in drawn
    assert kept.draw(rows[:2]) == ""


def test_variants_are_held_against_random_actions(page: Page) -> None:
    rows = {row[0]: row[1:] for row in page.table("Variants against random actions")[1:]}
    # They solved the last of the eleven cells that they finished; the young one ended after eight.
    assert rows["a swapped"][:3] == ["11", "0.0 %", "9.1 %"]
    assert rows["a young"][:3] == ["8", "50.0 %", "0.0 %"]
    assert all(row[-1].startswith("undecided") for row in rows.values())


def test_kinds_of_failure_are_those_that_were_kept(
    tmp_path: Path, wambench: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strips, "draw", lambda store, shots, rules: ([None] * len(shots), ["no"]))
    run = write_run(tmp_path / "run", {"p": "sfff", "q": "ssss"})
    assert wambench("report", run).code == 0
    assert "says here how they failed" in Page(run / "report.html").text
    keys = [cell.key for cell, _ in cells_of("p", "sfff")]
    rows = [
        {"policy": "p", "label": label, "step": 1, "evidence": f"seen {label}", "key": key}
        for label, key in (("dropped", keys[1]), ("dropped", keys[2]), ("collision", "elsewhere"))
    ]
    definitions = {"dropped": "it fell", "collision": "it hit"}
    kept = {"definitions": definitions, "policies": {}, "episodes": rows, "problems": []}
    (run / "failures.json").write_text(json.dumps(kept))
    assert wambench("report", run).code == 0
    page = Page(run / "report.html")
    (row,) = page.table("Failed episodes of each policy by")[1:]
    assert row == ["dropped", "0", "2"], "q has none; a stranger's episode is no one's"
    assert page.table("What the kinds mean")[1:] == [["dropped", "it fell"]]
    assert page.text.count("seen dropped") == 2, (
        "without pictures the evidence is there all the same"
    )
    assert "1 of 3 failed" in " ".join(page.text.split())
    (run / "failures.json").write_text("{")
    assert wambench("report", run).code == 0
