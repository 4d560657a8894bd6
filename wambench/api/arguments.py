"""What Python hands over, as the rest of wambench has it: values of YAML, names of options."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from wambench.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")
OPTION = re.compile(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)\b")


def plain(value: Any) -> Any:
    """Ranges and tuples as lists, however deep they lie: what a sweep file can say."""
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, range | tuple | list) else value


def named_as_arguments(function: Callable[P, T]) -> Callable[P, T]:
    """Let what is refused name the function's arguments: memory_gb, and not --memory-gb."""
    names = inspect.signature(function).parameters

    def argument(found: re.Match[str]) -> str:
        name = found[1].replace("-", "_")
        return name if name in names else found[0]

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            raise UserError(OPTION.sub(argument, str(error))) from error.__cause__

    return call
