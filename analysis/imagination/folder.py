"""What ``wambench imagine`` leaves in a folder, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.imagination.places import WHAT
from analysis.imagination.writing import MANIFEST, SUMMARY
from wambench.errors import UserError

COLUMNS = {*WHAT, "measure", "mean", "low", "high", "episodes"}


@dataclass(frozen=True)
class ImaginedFolder:
    """A finished study.

    Attributes:
        folder: where it is.
        manifest: what was done, by what.
        means: of :func:`analysis.imagination.summary.summary`.
    """

    folder: Path
    manifest: Mapping[str, Any]
    means: pd.DataFrame


def read_folder(folder: Path) -> ImaginedFolder:
    """Read a study; UserError for what is none, is not finished or is damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        means = pd.read_csv(folder / SUMMARY)
        if COLUMNS - set(means) or {"command", "run", "policies"} - set(manifest):
            raise ValueError
        return ImaginedFolder(folder, manifest, means)
    except OSError as error:
        problem = f"{Path(error.filename).name}: {error.strerror}"
    except (ValueError, TypeError):
        problem = f"{MANIFEST} or {SUMMARY} is damaged"
    raise UserError(
        f"{str(folder)!r} is no finished study of imagination ({problem}); make it with "
        f"wambench imagine … --out {folder}"
    )
