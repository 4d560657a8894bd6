"""Options of policies on the command line: key=value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
import yaml

from wambench import yaml12
from wambench.errors import UserError

PolicyOption = Annotated[
    list[str] | None, typer.Option("--option", help="key=value, an option of all named policies.")
]


def parsed(given: Sequence[str]) -> dict[str, Any]:
    """Read options; values as in YAML. UserError for one that is not key=value."""
    found: dict[str, Any] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UserError(f"--option {pair!r} is not key=value; write weights=file.safetensors")
        try:
            found[key] = yaml12.load(value)
        except yaml.YAMLError:
            found[key] = value
    return found
