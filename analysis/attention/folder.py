"""What ``wambench attention`` leaves in a folder, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from wambench.errors import UserError

MANIFEST, MEANS, DIFFERENCES, BLANKING = (
    "manifest.json", "means.csv", "differences.csv", "blanking.csv",
)  # fmt: skip
PAGE = "attention.html"


@dataclass(frozen=True)
class StudyFolder:
    """A finished study.

    Attributes:
        folder: where it is.
        manifest: what was done, by what.
        means: of :func:`analysis.attention.compare.means`.
        differences: of :func:`analysis.attention.compare.differences`.
    """

    folder: Path
    manifest: Mapping[str, Any]
    means: pd.DataFrame
    differences: pd.DataFrame


def read_folder(folder: Path) -> StudyFolder:
    """Read a study; UserError for what is none, is not finished or is damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        means = _table(folder / MEANS, {"policy", "control"})
        differences = _table(folder / DIFFERENCES, {"first", "second"})
        if not {"command", "episodes", "moments", "policies", "regions", "files"} <= set(manifest):
            raise ValueError
        return StudyFolder(folder, manifest, means, differences)
    except OSError as error:
        problem = f"{Path(error.filename).name}: {error.strerror}"
    except (ValueError, TypeError):
        problem = f"{MANIFEST}, {MEANS} or {DIFFERENCES} is damaged"
    raise UserError(
        f"{str(folder)!r} is no finished attention study ({problem}); make it with "
        f"wambench attention … --out {folder}"
    )


def _table(path: Path, named: set[str]) -> pd.DataFrame:
    """A table of scores, in which an arm that is no control has an empty ``control``."""
    numbers = {column: [""] for column in ("mean", "low", "high", "area")}
    table = pd.read_csv(path, keep_default_na=False, na_values=numbers)
    wanted = {"view", "camera", "region", "measure", "mean", "low", "high", "episodes"} | named
    if not wanted <= set(table):
        raise ValueError(path)
    return table
