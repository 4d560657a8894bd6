"""The run directory's SQLite store: one writer, crash-safe, mergeable."""

from wambench.cells import StoredCell
from wambench.store.export import (
    TABLES,
    check_target,
    episodes_frame,
    export_table,
    outcomes_frame,
    timings_frame,
    unwritable,
)
from wambench.store.light import lighten
from wambench.store.merge import merge_runs
from wambench.store.store import CANONICAL, STORE_NAME, Store
from wambench.store.summaries import (
    Count,
    Fault,
    Spent,
    Trouble,
    counts,
    examples,
    failed,
    faults,
    paces,
    spent,
    troubles,
)

__all__ = [
    "CANONICAL",
    "STORE_NAME",
    "TABLES",
    "Count",
    "Fault",
    "Spent",
    "Store",
    "StoredCell",
    "Trouble",
    "check_target",
    "counts",
    "episodes_frame",
    "examples",
    "export_table",
    "failed",
    "faults",
    "lighten",
    "merge_runs",
    "outcomes_frame",
    "paces",
    "spent",
    "timings_frame",
    "troubles",
    "unwritable",
]
