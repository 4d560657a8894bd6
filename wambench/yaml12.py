"""YAML as version 1.2 reads it: ``1:30`` and ``on`` are text, ``1e-1`` is a number, ``017`` is 17.

PyYAML knows version 1.1, where they are 90, true, text and 15. Only the reading of plain words
differs; the core schema of https://yaml.org/spec/1.2.2/ (10.3.2) says how.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

WORDS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "merge": (r"<<", "<"),
}


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the words of version 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own way


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    word = str(loader.construct_scalar(node))
    if re.fullmatch(r"[-+]?[0-9]+", word):
        return int(word)
    return int(word, 0)  # 0o17, 0x1f


for _name, (_pattern, _first) in WORDS.items():
    Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )
Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def load(text: str) -> Any:
    """Read a document; raises ``yaml.YAMLError``."""
    return yaml.load(text, Loader)


def compose(text: str) -> yaml.Node | None:
    """Read a document as nodes, which know their lines."""
    return yaml.compose(text, Loader)
