"""Tables out of a store, by pandas.

``episodes`` holds only what a cell determines, sorted, so two runs of the same cells export the
same bytes; ``timings`` holds what varies.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wambench.errors import UserError
from wambench.store.store import CANONICAL, FACTORS, Store

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".parquet", ".json")


def episodes_frame(store: Store) -> pd.DataFrame:
    """One row per current cell; ``outcome`` is "missing" where no episode is known.

    A run with perturbed initial states has their factors, which are empty for plain ones.
    """
    varied = bool(store.factors())
    frame = _read(
        store,
        "SELECT policy, protocol, suite, task_index, task, init_state, seed, "
        + (f"variant, {FACTORS}, " if varied else "")
        + "coalesce(outcome, 'missing') AS outcome, steps, coalesce(fault, '') AS fault, "
        "final_digest, key FROM cells LEFT JOIN episodes ON cell_key = key"
        + (" LEFT JOIN factors USING (suite, task, init_state)" if varied else ""),
    )
    return frame.astype({"steps": "Int64"} | ({"base_state": "Int64"} if varied else {}))


def timings_frame(store: Store) -> pd.DataFrame:
    """One row per finished episode: wall seconds by stage."""
    frame = _read(
        store,
        "SELECT policy, suite, task_index, init_state, seed, steps, "
        "coalesce(tries, 0) AS infrastructure_failures, seconds "
        "FROM cells JOIN episodes ON cell_key = key "
        "LEFT JOIN (SELECT cell_key AS tried, count(*) AS tries FROM attempts GROUP BY 1) "
        "ON tried = key",
    )
    stages: dict[str, NDArray[np.float64]] = {"total": np.empty(0)} if frame.empty else {}
    for row, told in enumerate(frame.pop("seconds")):
        for stage, seconds in json.loads(told).items():
            if stage not in stages:
                stages[stage] = np.full(len(frame), np.nan)
            stages[stage][row] = seconds
    return frame.assign(**{f"{stage}_s": seconds for stage, seconds in stages.items()})


def outcomes_frame(store: Store) -> pd.DataFrame:
    """Where every current cell is and how it ended: outcome NaN where no episode is known.

    Names are categories: 180,000 cells take 6 MB.
    """
    import pandas as pd

    text = ("policy", "suite", "task", "outcome")
    numbers = ("task_index", "init_state", "seed")
    rows = store.connection.execute(
        f"SELECT {', '.join((*text, *numbers))} FROM cells LEFT JOIN episodes ON cell_key = key "
        f"WHERE current ORDER BY {CANONICAL}"
    )
    codes: dict[str | None, int] = {None: -1}  # as pandas has it
    coded = (
        (*(codes.setdefault(name, len(codes) - 1) for name in row[:4]), *row[4:]) for row in rows
    )
    kind = [(name, np.int32) for name in text] + [(name, np.int64) for name in numbers]
    found, names = np.fromiter(coded, np.dtype(kind)), list(codes)[1:]
    return pd.DataFrame(
        {name: pd.Categorical.from_codes(found[name], names) for name in text}
        | {name: found[name] for name in numbers}
    )


def _read(store: Store, query: str) -> pd.DataFrame:
    """Current cells in canonical order."""
    import pandas as pd  # a fifth of a second that listings need not wait for

    return pd.read_sql_query(f"{query} WHERE current ORDER BY {CANONICAL}", store.connection)


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
