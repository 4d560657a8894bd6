"""What RoboTwin 2.0's script/eval_policy.py writes: a rate per task, in a tree of folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from wambench.errors import UserError
from wambench.foreign.source import Source
from wambench.passport import Passport

RESULT = "_result.txt"
SHAPE = "TASK/POLICY/CONFIG/CHECKPOINT/TIME/_result.txt"  # below eval_result
LEVELS = SHAPE.count("/")
INSTRUCTIONS = re.compile(r"Instruction Type: (\S+)")
RATE = re.compile(r"\d*\.?\d+(e-?\d+)?")


def results_below(folder: Path) -> Sequence[Path]:
    """All results in a folder, sorted."""
    return sorted(folder.rglob(RESULT))


def read_robotwin(paths: Sequence[Path], episodes: int | None) -> Sequence[Source]:
    """A source per policy, checkpoint and configuration, of all tasks together.

    Only rates are written, of a number of episodes that is not told (the released script plays
    100), and scenes are those that the expert solved: nobody can pair them.

    Raises:
        UserError: a file breaks the format; ``episodes`` is not given or does not fit; a task is
            told twice.
    """
    if episodes is None:
        raise UserError(
            f"{str(paths[0])!r} tells a rate and not of how many episodes; say it: --episodes 100"
        )
    counted: dict[tuple[str, str], dict[str, int]] = {}
    kinds: dict[tuple[str, str], set[str]] = {}
    for path in paths:
        task, policy, config, checkpoint = _place(path)
        rate, kind = _read(path)
        key = f"{policy}/{checkpoint}", config
        tasks = counted.setdefault(key, {})
        if task in tasks:
            raise UserError(
                f"{str(path)!r} is a second result of task {task!r} of {policy}/{checkpoint} "
                f"({config}); name the one that counts, or remove the other"
            )
        tasks[task] = _successes(path, rate, episodes)
        kinds.setdefault(key, set()).add(kind)
    several = len({config for _, config in counted}) > 1
    return [
        Source(
            label=f"{label} {config}" if several else label,
            successes=sum(tasks.values()),
            episodes=len(tasks) * episodes,
            passport=_passport(config, kinds[label, config], tasks),
        )
        for (label, config), tasks in counted.items()
    ]


def _place(path: Path) -> Sequence[str]:
    parts = path.absolute().parts
    if len(parts) < LEVELS + 2:
        raise UserError(
            f"{str(path)!r} does not lie in folders {SHAPE}; leave them as RoboTwin did"
        )
    return parts[-LEVELS - 1 : -2]


def _read(path: Path) -> tuple[float, str]:
    """The rate and the kind of instructions."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise UserError(f"{str(path)!r} cannot be read ({error}); evaluate again") from None
    told, last = INSTRUCTIONS.search(text), text.strip().rpartition("\n")[2].strip()
    if told is None or not RATE.fullmatch(last) or not 0 <= float(last) <= 1:
        raise UserError(
            f"{str(path)!r} names no instruction type, or does not end in a rate from 0 to 1 "
            f"({last!r}); evaluate again"
        )
    return float(last), told[1]


def _successes(path: Path, rate: float, episodes: int) -> int:
    count = round(rate * episodes)
    if abs(count - rate * episodes) > 1e-6 * episodes:
        raise UserError(
            f"{str(path)!r}: a rate of {rate:g} is no number of successes of {episodes} episodes; "
            "give the number that was played with --episodes"
        )
    return count


def _passport(config: str, kinds: set[str], tasks: dict[str, int]) -> Passport:
    known = {"config": config, "instructions": sorted(kinds), "tasks": sorted(tasks)}
    return Passport(protocol={}, fingerprint={"RoboTwin": known}, info={})
