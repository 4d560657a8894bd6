"""Tables out of a store, by pandas.

``episodes`` holds only what a cell determines, sorted, so two runs of the same cells export the
same bytes; ``timings`` holds what varies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from wambench.errors import UserError
from wambench.store.store import Store

TABLES = (".csv", ".parquet", ".json")
# Of a run without rows; where there are some, timings have a column for each stage besides.
EPISODE_COLUMNS = (
    "policy", "protocol", "suite", "task_index", "task", "init_state", "seed", "outcome", "steps",
    "fault", "final_digest", "key",
)  # fmt: skip
TIMING_COLUMNS = (
    "policy", "suite", "task_index", "init_state", "seed", "steps", "infrastructure_failures",
    "total_s",
)  # fmt: skip


def episodes_frame(store: Store) -> pd.DataFrame:
    """One row per current cell; ``outcome`` is "missing" where no episode is known."""
    rows = [
        {
            "policy": known.cell.policy,
            "protocol": known.cell.protocol,
            "suite": known.cell.suite,
            "task_index": known.cell.task_index,
            "task": known.cell.task,
            "init_state": known.cell.init_state,
            "seed": known.cell.seed,
            "outcome": known.outcome or "missing",
            "steps": known.steps,
            "fault": known.fault,
            "final_digest": known.final_digest,
            "key": known.cell.key,
        }
        for known in store.cells()
    ]
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(EPISODE_COLUMNS))
    return frame.astype({"steps": "Int64"})


def timings_frame(store: Store) -> pd.DataFrame:
    """One row per finished episode: wall seconds by stage."""
    rows = [
        {
            "policy": known.cell.policy,
            "suite": known.cell.suite,
            "task_index": known.cell.task_index,
            "init_state": known.cell.init_state,
            "seed": known.cell.seed,
            "steps": known.steps,
            "infrastructure_failures": known.infrastructure_failures,
            **{f"{stage}_s": seconds for stage, seconds in known.seconds.items()},
        }
        for known in store.cells()
        if known.outcome
    ]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(TIMING_COLUMNS))


def check_target(file: Path, suffixes: Sequence[str]) -> None:
    """Raise UserError if ``file`` has none of the suffixes or lies in no directory."""
    if file.suffix not in suffixes:
        raise UserError(f"cannot export to {str(file)!r}; end it in {', '.join(suffixes)}")
    if not file.parent.is_dir():
        raise UserError(
            f"cannot export to {str(file)!r}: no directory {str(file.parent)!r}; make it"
        )


def export_table(frame: pd.DataFrame, file: Path) -> None:
    """Write a table as CSV, parquet or JSON records, by the file's suffix."""
    check_target(file, TABLES)
    try:
        if file.suffix == ".csv":
            frame.to_csv(file, index=False, lineterminator="\n")
        elif file.suffix == ".parquet":
            frame.to_parquet(file, index=False)
        else:
            frame.to_json(file, orient="records", indent=1)
    except OSError as error:
        raise unwritable(file, error) from None


def unwritable(file: Path, error: OSError) -> UserError:
    """Say why an export failed."""
    return UserError(f"cannot write {str(file)!r}: {error.strerror or error}; choose another file")
