"""Read a sweep file: YAML in, a checked :class:`Plan` out, one clear line for anything wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
)

from wambench import plugins, yaml12
from wambench.cells import Cell, CellMaker, PolicyChoice
from wambench.contract import mismatches
from wambench.errors import UserError, complaint, did_you_mean
from wambench.policy import Policy
from wambench.protocols import Protocol, protocol
from wambench.shipped import shipped
from wambench.suite import Suite, Task

LONGEST_RANGE = 100_000


def _numbers(value: object) -> list[object]:
    """Accept 7, [7, 9], "0-19" and lists of these."""
    items = value if isinstance(value, list) else [value]
    out: list[object] = []
    for item in items:
        span = re.fullmatch(r"(\d+)\s*-\s*(\d+)", item) if isinstance(item, str) else None
        if span is None:
            out.append(item)
            continue
        first, last = int(span[1]), int(span[2])
        if not first <= last < first + LONGEST_RANGE:
            raise ValueError(f"a range is first-last of at most {LONGEST_RANGE} numbers")
        out.extend(range(first, last + 1))
    return out


def _number(value: object) -> object:
    """Text is none, though it may look like one: 1:30."""
    if isinstance(value, str):
        raise ValueError("write numbers, a range such as 0-19, or a list of these")
    return value


def _tasks(value: object) -> list[object]:
    """Accept what :func:`_numbers` does, task names and "all"."""
    items = _numbers(value)
    if any(isinstance(item, bool) or not isinstance(item, int | str) for item in items):
        raise ValueError("name tasks by number, name, a range such as 0-4, a list of these, or all")
    return items


def _entry(value: object) -> object:
    """Accept a policy's bare name."""
    if not isinstance(value, str | dict | PolicyEntry):
        raise ValueError("a policy is a name, or a mapping with name, label and options")
    return {"name": value} if isinstance(value, str) else value


Number = Annotated[int, Field(ge=0, strict=True), BeforeValidator(_number)]
Numbers = Annotated[list[Number], BeforeValidator(_numbers)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PolicyEntry(_Strict):
    """A policy with options and, if the same one appears twice, a label of its own.

    ``replicas`` and ``num_gpus`` say where it runs, which never changes what comes out.
    """

    name: str
    label: str | None = None
    options: dict[str, JsonValue] = {}
    replicas: Annotated[int, Field(ge=1, strict=True)] | Literal["auto"] = 1
    num_gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @field_validator("num_gpus")
    @classmethod
    def _whole_above_one(cls, value: float | None) -> float | None:
        """Ray shares one GPU in parts, and several as a whole."""
        if value is not None and value > 1 and value != int(value):
            raise ValueError("num_gpus is a part of one GPU or a whole number")
        return value


class SweepFile(_Strict):
    """The file as written."""

    policies: list[Annotated[PolicyEntry, BeforeValidator(_entry)]] = Field(min_length=1)
    suites: dict[str, Annotated[list[int | str], BeforeValidator(_tasks)]] = Field(min_length=1)
    protocol: str = "wambench-1"
    protocol_changes: dict[str, Any] = {}
    init_states: Numbers | None = None
    seeds: Numbers | None = None


@dataclass(frozen=True)
class Placing:
    """How a policy is placed: its processes (None: as many as pay) and the GPUs of each.

    ``num_gpus`` None: as the policy itself says.
    """

    replicas: int | None = 1
    num_gpus: float | None = None


@dataclass(frozen=True)
class Plan:
    """A sweep with every name resolved and every contract checked.

    ``cells`` are ordered by task, init state and seed, policies innermost: the first n of them,
    and any contiguous part, hold the same cells for every policy.
    """

    protocol: Protocol
    choices: Mapping[str, PolicyChoice]  # by label
    policies: Mapping[str, Policy]  # by label, not loaded
    suites: Mapping[str, Suite]
    tasks: Mapping[tuple[str, int], Task]
    cells: Sequence[Cell]
    placing: Mapping[str, Placing] = field(default_factory=dict)  # by label


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
        location, problem = complaint(error)
        if problem == "unknown field":
            known = SweepFile.model_fields if len(location) == 1 else PolicyEntry.model_fields
            problem += f"; {did_you_mean(str(location[-1]), known)}"
        name = ".".join(map(str, location))
        raise UserError(f"{path}:{_line(tree, location)}: {name}: {problem}") from None


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


def plan(sweep: SweepFile) -> Plan:
    """Resolve names, check every contract, expand to cells; raises UserError."""
    rules = protocol(sweep.protocol, sweep.protocol_changes)
    installed = plugins.installed(plugins.SUITES)
    for name in sweep.protocol_changes.get("max_steps", ()):
        if name not in installed:
            remedy = did_you_mean(str(name), installed)
            raise UserError(f"protocol_changes: max_steps: unknown suite {name!r}; {remedy}")
    choices: dict[str, PolicyChoice] = {}
    placing: dict[str, Placing] = {}
    for given in sweep.policies:
        label = given.label or given.name
        if label in choices:
            raise UserError(f"policy {label!r} appears twice; give one of them a label of its own")
        choices[label] = PolicyChoice(label, given.name, given.options)
        replicas = None if given.replicas == "auto" else given.replicas
        placing[label] = Placing(replicas, given.num_gpus)
    policies = {label: plugins.make_policy(c.name, c.options) for label, c in choices.items()}
    suites = {name: plugins.make_suite(name) for name in sweep.suites}
    for suite in suites.values():
        if rules.rendering not in suite.spec.renderings:
            remedy = did_you_mean(rules.rendering, suite.spec.renderings)
            raise UserError(f"{suite.spec.name} has no rendering {rules.rendering!r}; {remedy}")
    _check_contracts(policies, suites, rules)

    tasks, chosen = {}, []
    for name, selection in sweep.suites.items():
        for task in _select(suites[name], selection):
            tasks[name, task.index] = task
            chosen.append((suites[name], task))
    init_states = range(rules.trials) if sweep.init_states is None else sweep.init_states
    seeds = rules.seeds if sweep.seeds is None else sweep.seeds
    _no_repeats("init_states", init_states)
    _no_repeats("seeds", seeds)
    makers = {
        (label, name): CellMaker(choice, policies[label], rules, suite)
        for label, choice in choices.items()
        for name, suite in suites.items()
    }
    cells = []
    for suite, task in chosen:
        for init_state in init_states:
            if init_state >= task.init_states:
                raise UserError(
                    f"init state {init_state} is out of range: {suite.spec.name}/{task.index} "
                    f"has {task.init_states} (0-{task.init_states - 1})"
                )
            cells += [
                makers[label, suite.spec.name].make(task, init_state, seed)
                for seed in seeds
                for label in choices
            ]
    return Plan(rules, choices, policies, suites, tasks, cells, placing)


def shard(cells: Sequence[Cell], text: str) -> Sequence[Cell]:
    """The part "i/n" (1 <= i <= n) of the cells: contiguous, so that few tasks are opened twice."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise UserError(f"--shard {text!r} is not i/n with 1 <= i <= n; write 2/8 for the second")
    size = len(cells)
    return cells[size * (part - 1) // parts : size * part // parts]


def _no_repeats(name: str, values: Iterable[int | str]) -> None:
    seen: set[int | str] = set()
    for value in values:
        if value in seen:
            raise UserError(f"{name}: {value} appears twice; name each once")
        seen.add(value)
    if not seen:
        raise UserError(f"{name} is empty; name at least one")


def _check_contracts(
    policies: Mapping[str, Policy], suites: Mapping[str, Suite], rules: Protocol
) -> None:
    for label, policy in policies.items():
        for suite in suites.values():
            found = mismatches(
                policy.spec, suite.spec, image_size=rules.image_size, orientation=rules.orientation
            )
            if found:
                raise UserError(
                    f"policy {label!r} does not fit {suite.spec.name} under {rules.name}: "
                    + "; ".join(found)
                )


def _select(suite: Suite, wanted: Sequence[int | str]) -> Sequence[Task]:
    """Tasks by index or name, or ["all"]."""
    tasks = suite.tasks()
    if wanted == ["all"]:
        return tasks
    by_name: dict[int | str, Task] = {task.name: task for task in tasks}
    by_name |= {task.index: task for task in tasks}
    for name in wanted:
        if name not in by_name:
            remedy = (
                f"it has tasks 0-{len(tasks) - 1}"
                if isinstance(name, int)
                else did_you_mean(str(name), [task.name for task in tasks])
            )
            raise UserError(f"{suite.spec.name} has no task {name!r}; {remedy}")
    chosen = [by_name[name] for name in wanted]
    _no_repeats(f"suites.{suite.spec.name}", (task.index for task in chosen))
    return chosen
