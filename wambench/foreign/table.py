"""Tables with a row per episode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wambench.errors import UserError, did_you_mean
from wambench.foreign.places import UNNAMED, Named
from wambench.foreign.runs import is_own, of_episodes
from wambench.foreign.source import Source

if TYPE_CHECKING:
    import pandas as pd

ROLES = ("policy", "suite", "task", "episode", "success")
SUFFIXES = (".csv", ".parquet", ".jsonl")
TRUE, FALSE = ("true", "1", "1.0", "yes", "success"), ("false", "0", "0.0", "no", "failure")


def column_map(pairs: str) -> Mapping[str, str]:
    """``policy=model,success=ok`` as role -> column."""
    found: dict[str, str] = {}
    for pair in filter(None, pairs.split(",")):
        role, sign, column = pair.partition("=")
        if not sign or not column:
            raise UserError(f"--columns {pair!r}: write ROLE=COLUMN, such as success=ok")
        if role in found:
            raise UserError(f"--columns names {role} twice; leave one out")
        found[role] = column
    check_roles(found)
    return found


def check_roles(columns: Mapping[str, str]) -> None:
    """Raise UserError for a role that there is not."""
    for role in columns:
        if role not in ROLES:
            raise UserError(f"--columns: unknown role {role!r}; {did_you_mean(role, ROLES)}")


def read_table(path: Path, columns: Mapping[str, str]) -> Sequence[Source]:
    """Sources of a file; see :func:`of_table`."""
    return of_table(_frame(path), repr(str(path)), path.stem, columns)


def of_table(
    frame: pd.DataFrame, what: str, label: str, columns: Mapping[str, str]
) -> Sequence[Source]:
    """A source per policy, in order. Without a column of episodes only the counts are known.

    A table of wambench's own is known by its columns, unless ``columns`` say otherwise.

    Args:
        frame: a row per episode.
        what: names it in messages.
        label: of the policy, where no column names it.
        columns: role -> column, where that is not called so.

    """
    if not columns and is_own(frame):
        return of_episodes(frame, what)
    names = {role: columns.get(role, role) for role in ROLES}
    for role in (*columns, "success"):
        if names[role] not in frame:
            raise UserError(
                f"{what} has no column {names[role]!r} for {role}; name it: --columns "
                f"{role}=COLUMN; {did_you_mean(names[role], map(str, frame.columns))}"
            )
    if frame.empty:
        raise UserError(f"{what} holds no episode")
    own = {role: frame[name].astype(str) for role, name in names.items() if name in frame}
    blank = [UNNAMED] * len(frame)
    labels = list(own.get("policy", [label] * len(frame)))
    won = [_success(what, number, text) for number, text in enumerate(own["success"], 1)]
    if "episode" not in own:
        sums = Counter(label for label, success in zip(labels, won, strict=True) if success)
        return [Source(label, sums[label], count) for label, count in Counter(labels).items()]
    places = zip(*(own.get(role, blank) for role in ("suite", "task", "episode")), strict=True)
    found: dict[str, dict[Named, bool]] = {label: {} for label in labels}
    for number, (label, place, success) in enumerate(zip(labels, places, won, strict=True), 1):
        if place in found[label]:
            raise UserError(
                f"{what}, episode {number}: {label} has episode {place[2]!r} of task "
                f"{place[1]!r} twice; name the columns that tell them apart with --columns"
            )
        found[label][place] = success
    return [Source.of_names(label, cells) for label, cells in found.items()]


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        if path.suffix == ".jsonl":
            return pd.read_json(path, lines=True, dtype=False)
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError, UnicodeError) as error:
        text = " ".join(str(error).split())
        raise UserError(f"{str(path)!r} cannot be read ({text}); write it again") from None


def _success(what: str, line: int, text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise UserError(f"{what}, episode {line}: success is {text!r}; write true or false, or 1 or 0")
