"""Names that people give their policies: no file overwrites another, no output dies of a letter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis.writing import latex
from tests.records import make_cell
from wambench.naming import file_name
from wambench.profile.latency.records import record_file
from wambench.video import film_name, write_film

LABELS = [
    "a b",
    "a_b",
    "A_B",
    "a/b",
    "a:b",
    "π0",
    "ω0",
    "",
    ".",
    "..",
    "-x",
    "x" * 300,
    "é",
    "e",
    "?",
]


def test_files_of_different_labels_are_different_anywhere() -> None:
    names = [film_name(make_cell(policy=label)) for label in LABELS]
    assert len({name.lower() for name in names}) == len(LABELS)
    for name in names:
        assert name.isascii() and not set(name) & set('/\\:*?"<>| ') and len(name) < 100
        assert not name.startswith((".", "-"))
    assert file_name("nano-pi0") == "nano-pi0", "plain ones are their own"


def test_records_of_different_labels_do_not_meet(tmp_path: Path) -> None:
    files = [record_file(tmp_path, label) for label in [*LABELS, "pi0+tag=x/y", "pi0+tag=x_y"]]
    assert len({file.name.lower() for file in files}) == len(LABELS) + 2
    assert all(file.parent == tmp_path and len(file.name) < 100 for file in files)
    assert record_file(tmp_path, "pi0+steps=5+quick").name == "pi0+steps=5+quick.json"


def test_latex_tells_letters_apart() -> None:
    texts = [latex(label) for label in [*LABELS, "字", "Ω", "λ", "ö", "o"]]
    assert len(set(texts)) == len(texts) and all(text.isascii() for text in texts)
    assert latex("π0 Ω é λ") == r"$\pi$0 $\Omega$ \'{e} $\lambda$"
    assert latex("字") == "(U+5B57)"


def test_a_film_may_lie_in_a_folder_with_a_colon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path with one is no address to fetch."""
    monkeypatch.chdir(tmp_path)
    Path("data:v2").mkdir()
    frames = [np.zeros((32, 32, 3), np.uint8)] * 3
    for file in (Path("pi0:base.mp4"), Path("data:v2/film.mp4")):
        assert write_film(file, iter(frames), 10) == 3
        assert file.stat().st_size > 100


@pytest.mark.usefixtures("toy")
def test_a_terminal_that_knows_ascii_alone_gets_the_rest_escaped(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "policies: [{name: random, label: π0}]\nsuites: {toy: 0}\ninit_states: 0\n",
        encoding="utf-8",
    )
    command = "from wambench.cli import main; main()"
    for options in (["--dry-run"], ["--shard", "é"]):
        ended = subprocess.run(
            [sys.executable, "-c", command, "sweep", str(file), "--out", str(tmp_path), *options],
            capture_output=True, check=False,
            env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        )  # fmt: skip
        said = (ended.stdout + ended.stderr).decode("ascii")
        assert "Traceback" not in said and ("\\u03c00" in said or "\\xe9" in said)
