"""The run directory's SQLite store: one writer, crash-safe, mergeable."""

from wambench.cells import StoredCell
from wambench.store.export import (
    TABLES,
    check_target,
    episodes_frame,
    export_table,
    timings_frame,
    unwritable,
)
from wambench.store.light import lighten
from wambench.store.merge import merge_runs
from wambench.store.store import STORE_NAME, Store

__all__ = [
    "STORE_NAME",
    "TABLES",
    "Store",
    "StoredCell",
    "check_target",
    "episodes_frame",
    "export_table",
    "lighten",
    "merge_runs",
    "timings_frame",
    "unwritable",
]
