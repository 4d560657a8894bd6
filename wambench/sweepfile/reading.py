"""Read a sweep file: YAML in, one clear line with its number for anything wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from wambench import yaml12
from wambench.errors import UserError, complaint, did_you_mean
from wambench.shipped import shipped
from wambench.sweepfile.schema import LatencyEntry, PolicyEntry, Sample, SuiteChoice, SweepFile


def read(path: Path) -> SweepFile:
    """Parse a sweep file; raises UserError with the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UserError(
            f"cannot read sweep file {str(path)!r}: {reason}; name a YAML file, "
            f"such as {_example()}"
        ) from None
    try:
        tree = yaml12.compose(text)
        data = yaml12.load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise UserError(f"{where}: not YAML: {problem}; mend it") from None
    _no_repeated_key(path, tree)
    if not isinstance(data, dict):
        raise UserError(f"{path}: a sweep file is a mapping with at least 'policies' and 'suites'")
    try:
        return SweepFile.model_validate(data)
    except ValidationError as error:
        location, said = _complaint(error)
        raise UserError(f"{path}:{_line(tree, location)}: {said}") from None


def parse(content: Mapping[str, Any], where: str) -> SweepFile:
    """What a sweep file would hold; raises UserError, which begins with ``where``."""
    try:
        return SweepFile.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{where}: {_complaint(error)[1]}") from None


def _complaint(error: ValidationError) -> tuple[Sequence[str | int], str]:
    """Where the mistake is, and what to say of it."""
    location, problem = complaint(error)
    location = tuple(part for part in location if not str(part).startswith("("))
    if problem == "unknown field":
        problem += f"; {did_you_mean(str(location[-1]), _fields(location))}"
    return location, f"{'.'.join(map(str, location))}: {problem}"


def _fields(location: Sequence[str | int]) -> Iterable[str]:
    """What may stand where an unknown field does."""
    if len(location) == 1:
        return SweepFile.model_fields
    if "init_states" in location[:-1]:
        return Sample.model_fields
    if location[0] == "latency":
        return LatencyEntry.model_fields
    kind = SuiteChoice if location[0] == "suites" else PolicyEntry
    return kind.model_fields


def _example() -> str:
    file = shipped("sweeps/quick.yaml")
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _no_repeated_key(path: Path, tree: yaml.Node | None) -> None:
    """YAML forbids a key twice, PyYAML takes the last without a word."""
    todo: list[yaml.Node | None] = [tree]
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
            continue
        keys: set[str | int] = set()
        for key, value in node.value:
            todo.append(value)
            if isinstance(key.value, str) and key.value in keys:
                line = key.start_mark.line + 1
                raise UserError(f"{path}:{line}: {key.value!r} appears twice; name it once")
            keys.add(key.value if isinstance(key.value, str) else id(key))


def _line(node: yaml.Node | None, location: Iterable[Any]) -> int:
    """Line (from 1) of the innermost node of ``location`` that exists."""
    line = node.start_mark.line + 1 if node else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pair = next((p for p in node.value if p[0].value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value)
        ):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
