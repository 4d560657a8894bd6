"""MessagePack within limits: no types of others, no depth or number without end, no odd keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import msgpack

from wambench.wire.limits import DEPTH, ITEMS, TEXT_BYTES, VALUES, WireError, told

Hook = Callable[[Mapping[Any, Any]], Any]
"""Turns the map of a marked value (an array, say) into it, any other into itself."""


def unpack(message: bytes, hook: Hook, most: int) -> Any:
    """Decode one message.

    Args:
        message: of a peer.
        hook: of the dialect; called for every map, innermost first.
        most: bytes that it may have.

    Raises:
        WireError: in one line, for whatever is wrong with it.
    """
    if len(message) > most:
        raise WireError(f"a message of {len(message)} bytes; {most} are allowed")
    count = _Count()
    try:
        value = msgpack.unpackb(
            message,
            object_hook=_keyed(hook, count),
            list_hook=count,
            ext_hook=_no_types,
            raw=False,
            strict_map_key=False,
            max_str_len=TEXT_BYTES,
            max_array_len=ITEMS,
            max_map_len=ITEMS,
            max_ext_len=0,
        )
    except WireError:
        raise
    except RecursionError:
        raise WireError("maps and lists in one another without end") from None
    except Exception as error:  # the library raises many kinds for bytes that are no message
        what = f"{type(error).__name__} {told(error)[:80]}".strip()
        raise WireError(f"no MessagePack ({what})") from None
    _check_depth(value, 0)
    return value


class _Count:
    """Lets a list pass; WireError when a message has more values than any needs."""

    def __init__(self) -> None:
        self._left = VALUES

    def __call__(self, found: Any) -> Any:
        self._left -= len(found) + 1
        if self._left < 0:
            raise WireError(f"more than {VALUES} values in one message")
        return found


def _keyed(hook: Hook, count: _Count) -> Hook:
    def checked(found: Mapping[Any, Any]) -> Any:
        for key in count(found):
            if not isinstance(key, str | bytes):
                raise WireError(f"a map with a key of kind {type(key).__name__}")
        return hook(found)

    return checked


def _no_types(code: int, data: bytes) -> NoReturn:
    raise WireError(f"a value of extension type {code}")


def _check_depth(value: object, depth: int) -> None:
    if depth > DEPTH:
        raise WireError(f"maps and lists more than {DEPTH} deep")
    if isinstance(value, Mapping):
        for part in value.values():
            _check_depth(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _check_depth(part, depth + 1)
