"""Values as other harnesses write them."""

from __future__ import annotations


class Unreadable(ValueError):
    """A value that means nothing; its reader says in which file."""


def truth(value: object) -> bool:
    """A success written as true or false, or as 1 or 0; Unreadable if it is neither."""
    if isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1)):
        return bool(value)
    raise Unreadable(f"success is {value!r}")
