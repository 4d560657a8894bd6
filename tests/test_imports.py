"""The check of imports sees what it is there for; ``make check`` applies it to the project."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.imports import PACKAGES, ROOT, faults


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    return tmp_path


def test_the_project_has_no_circle_and_no_arrow_up() -> None:
    assert faults(ROOT) == []


def test_a_circle_is_named_even_if_it_hides_in_a_function(tree: Path) -> None:
    (tree / "tasks" / "one.py").write_text("from tasks import two\n")
    (tree / "tasks" / "two.py").write_text("def late():\n    from tasks.one import thing\n")
    (told,) = faults(tree)
    assert told.startswith("a circle: ") and "tasks.one" in told and "tasks.two" in told


@pytest.mark.parametrize(
    ("package", "other"), [("wambench", "analysis"), ("baselines", "tasks"), ("analysis", "tasks")]
)
def test_an_arrow_up_is_named(tree: Path, package: str, other: str) -> None:
    (tree / other / "thing.py").touch()
    (tree / package / "user.py").write_text(f"import {other}.thing\n")
    assert faults(tree) == [f"{package}.user imports {other}.thing: {package} may not"]


def test_the_engine_knows_no_simulator_by_name() -> None:
    """But for the data of protocols, on disk and on wires."""
    named = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "wambench").rglob("*.py")
        if file.name != "presets.py"
        and re.search(r"libero|metaworld|robosuite", file.read_text(), re.IGNORECASE)
    ]
    assert named == []
