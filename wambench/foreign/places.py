"""Where an episode was played, in numbers: what two policies' results may share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from wambench.errors import UserError

UNNAMED = "unnamed"  # a suite or task of which a file does not tell the name
NAMED = 2**30  # numbers from here on stand for names that are no numbers

Named: TypeAlias = tuple[str, str, str]
"""Suite, task and episode as a file names them; an episode is ``5``, or ``5/1003`` with a seed."""


class Place(NamedTuple):
    """As a cell of ours has it."""

    suite: str
    task_index: int
    init_state: int
    seed: int


def numbered(named: Iterable[Named]) -> Mapping[Named, Place]:
    """The place of each name; the same name has the same number in whatever file.

    Raises UserError if two would share a place.
    """
    found: dict[Named, Place] = {}
    first: dict[Place, Named] = {}
    for name in named:
        suite, task, episode = name
        state, _, seed = episode.partition("/")
        is_plain = _is_number(state) and (not seed or _is_number(seed))
        if not is_plain:
            state, seed = episode, ""
        place = Place(suite, _number(task), _number(state), _number(seed or "0"))
        if first.setdefault(place, name) != name:
            raise UserError(
                f"episodes {'/'.join(first[place])!r} and {'/'.join(name)!r} cannot be told apart "
                "by number; rename one"
            )
        found[name] = place
    return found


def _is_number(text: str) -> bool:
    return text.isdecimal() and (text == "0" or text[0] != "0") and int(text) < NAMED


def _number(text: str) -> int:
    if _is_number(text):
        return int(text)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return NAMED + int.from_bytes(digest) % NAMED
