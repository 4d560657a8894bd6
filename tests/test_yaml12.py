"""Numbers in YAML mean what they look like."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from wambench import sweepfile, yaml12
from wambench.errors import UserError


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("017", 17), ("0o17", 15), ("0x1F", 31), ("-4", -4), ("+4", 4), ("1:30", "1:30"),
        ("1_000", "1_000"), ("1e-1", 0.1), ("1E3", 1000.0), (".5", 0.5), ("1.", 1.0),
        ("-.inf", -math.inf), ("on", "on"), ("yes", "yes"), ("No", "No"), ("true", True),
        ("~", None), ("", None), ("2026-11-26", "2026-11-26"), ("0-19", "0-19"), ("'7'", "7"),
    ],
)  # fmt: skip
def test_words(word: str, value: Any) -> None:
    read = yaml12.load(f"key: {word}")["key"]
    assert read == value and type(read) is type(value)


def test_everything_else_is_as_before() -> None:
    text = "a: &a {b: [1, 2.5, x, null]}\nc: {<<: *a, d: |\n  two\n  lines\n}\n"
    text = text.replace(" |\n  two\n  lines\n", " [~, TRUE, 'no']")
    assert yaml12.load(text) == yaml.safe_load(text)


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("wrong", ["seeds: [1:30]", "init_states: 1_0", "seeds: [on]"])
def test_a_number_that_is_none_is_refused_with_its_line(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(f"policies: [random]\nsuites: {{toy: all}}\n{wrong}\n")
    with pytest.raises(UserError, match=r"s.yaml:3: .*write numbers, a range such as 0-19"):
        sweepfile.read(file)


@pytest.mark.usefixtures("toy")
def test_options_and_states_are_numbers(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    text = "policies: [{name: noisy-expert, options: {noise: 1e-1}}]\nsuites: {toy: 0}\n"
    file.write_text(f"\ufeff{text}init_states: 003\n", encoding="utf-8")
    plan = sweepfile.plan(sweepfile.read(file))
    assert plan.choices["noisy-expert"].options == {"noise": 0.1}
    assert [cell.init_state for cell in plan.cells] == [3]
