"""The log of a training as CSV: one line per reported step, cut back when a training resumes."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

COLUMNS = (
    "step", "loss", "action_loss", "video_loss", "learning_rate", "gradient_norm", "cpu_seconds",
    "validation_loss", "validation_action_error", "validation_gripper_error",
)  # fmt: skip


class Log:
    """Appends rows; ``keep`` drops what a killed run wrote beyond its last saved state."""

    def __init__(self, path: Path, keep: int) -> None:
        self._path = path
        rows = self.rows() if path.exists() else []
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(row for row in rows if int(row["step"]) <= keep)

    def rows(self) -> list[dict[str, str]]:
        """All rows as text."""
        with self._path.open(newline="") as file:
            return list(csv.DictReader(file))

    def add(self, row: Mapping[str, float | int]) -> None:
        """Append a row; columns it lacks stay empty."""
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, restval="").writerow(row)
