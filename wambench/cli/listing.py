"""``wambench suites``, ``policies`` and ``protocols``: what there is to choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from wambench import plugins
from wambench.cli.output import Json, print_json, print_table
from wambench.errors import UserError
from wambench.protocols import protocol, protocols
from wambench.suite import Task

Name = Annotated[str | None, typer.Argument(help="Show one in full.")]


def suites(name: Name = None, json: Json = False) -> None:
    """List the installed task suites, or one suite's tasks.

    Example: wambench suites SUITE
    """
    if name is None:
        rows = [_suite_row(point) for point in plugins.installed(plugins.SUITES)]
        if json:
            print_json(rows)
        else:
            print_table(rows, ["suite", "tasks", "init_states", "simulator", "about"])
        return
    suite = plugins.make_suite(name)
    tasks = [
        {
            "task": task.index,
            "instruction": task.instruction,
            "init_states": _states([task]),
            "locked": _lock([task]),
        }
        for task in suite.tasks()
    ]
    if json:
        print_json({"spec": suite.spec.model_dump(mode="json"), "tasks": tasks})
    else:
        locked = ["locked"] * any(row["locked"] for row in tasks)
        print_table(tasks, ["task", "instruction", "init_states", *locked])


def _states(tasks: Sequence[Task]) -> int | str:
    """How many initial states can be run, and of how many."""
    runnable, every = (sum(numbers) for numbers in zip(*map(_counts, tasks), strict=True))
    return every if runnable == every else f"{runnable} of {every}"


def _counts(task: Task) -> tuple[int, int]:
    return len(task.open_states), task.init_states


def _lock(tasks: Sequence[Task]) -> str:
    """What would unlock what cannot be run, in one line; empty if all can be."""
    return next((lock for task in tasks for lock in task.locks), "")


def _suite_row(name: str) -> dict[str, Any]:
    try:
        suite = plugins.make_suite(name)
    except UserError as error:
        return {"suite": name, "tasks": "-", "init_states": "-", "simulator": "-",
                "about": f"broken: {error}"}  # fmt: skip
    tasks = suite.tasks()
    return {
        "suite": name,
        "tasks": len(tasks),
        "init_states": _states(tasks),
        "simulator": suite.spec.simulator,
        "about": suite.spec.about + (f" (locked: {lock})" if (lock := _lock(tasks)) else ""),
    }


def policies(
    what: Annotated[str | None, typer.Argument(help="'show', or the name of a policy.")] = None,
    name: Annotated[str | None, typer.Argument(help="The policy to show in full.")] = None,
    json: Json = False,
) -> None:
    """List the installed policies and whether they can run here, or show one in full.

    Example: wambench policies show expert
    """
    if what is not None:
        _show_policy(_shown_name(what, name), json)
        return
    rows = [_policy_row(point) for point in plugins.installed(plugins.POLICIES)]
    if json:
        print_json(rows)
        return
    for row in rows:
        row["parameters"] = _parameters(row["parameters"])
        row["memory"] = f"{row['memory_gb']:.0f} GB" if row["memory_gb"] >= 1 else "-"
    columns = ["policy", "paradigm", "track", "parameters", "memory", "chunk", "runs_here", "about"]
    print_table(rows, columns)


def _shown_name(what: str, name: str | None) -> str:
    if what == "show" and name is None:
        raise UserError("policies show: name the policy; see wambench policies")
    if what != "show" and name is not None:
        raise UserError(f"policies {what!r} {name!r}: say policies show {name}")
    return name or what


def _show_policy(name: str, json: bool) -> None:
    policy = plugins.make_policy(name, {})
    shown: dict[str, Any] = {
        "spec": policy.spec.model_dump(mode="json"),
        "needs": policy.needs().model_dump(mode="json"),
        "obstacles": list(policy.obstacles()),
        "config": dict(policy.config()),
    }
    if json:
        print_json(shown)
        return
    rows = [
        {"part": part, "field": field, "value": value}
        for part in ("spec", "needs", "config")
        for field, value in shown[part].items()
    ]
    rows += [{"part": "obstacles", "field": "", "value": line} for line in shown["obstacles"]]
    print_table(rows, ["part", "field", "value"])


def _policy_row(name: str) -> dict[str, Any]:
    row = {"policy": name, "paradigm": "-", "track": "-", "chunk": "-", "looks_at": "-",
           "parameters": {}, "memory_gb": 0.0, "needs": {}, "runs_here": "no"}  # fmt: skip
    try:
        policy = plugins.make_policy(name, {})
        spec, needs, obstacles = policy.spec, policy.needs(), policy.obstacles()
    except UserError as error:
        needs_options = "missing" in str(error) and "argument" in str(error)
        about = "needs options; see its documentation" if needs_options else f"broken: {error}"
        return row | {"about": about}
    return {
        "policy": name,
        "paradigm": spec.paradigm,
        "track": spec.track,
        "chunk": spec.horizon,
        "looks_at": ", ".join([*spec.cameras, *spec.proprio, *spec.moved_by]) or "nothing",
        "parameters": dict(needs.parameters),
        "memory_gb": needs.memory_gb,
        "needs": dict(needs.files),
        "runs_here": "no: " + "; ".join(obstacles) if obstacles else "yes",
        "about": spec.about,
    }


def _parameters(components: Mapping[str, int]) -> str:
    """The total, and the share of each component from the largest down."""
    if not components:
        return "-"
    parts = sorted(components.items(), key=lambda part: -part[1])
    listed = ", ".join(f"{name} {_short(count)}" for name, count in parts)
    return f"{_short(sum(components.values()))}: {listed}"


def _short(count: int) -> str:
    """A number of parameters as people say it."""
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.2f} {letter}"
    return str(count)


def list_protocols(name: Name = None, json: Json = False) -> None:
    """List the evaluation protocols, or one in full.

    Example: wambench protocols imagewam
    """
    if name is not None:
        fields = protocol(name).model_dump(mode="json")
        if json:
            print_json(fields)
        else:
            print_table([{"field": k, "value": v} for k, v in fields.items()], ["field", "value"])
        return
    rows = [preset.model_dump(mode="json") for preset in protocols().values()]
    if json:
        print_json(rows)
        return
    for row in rows:
        row["max_steps"] = "/".join(str(steps) for steps in row["max_steps"].values())
        row["replan_steps"] = row["replan_steps"] or "policy"
    columns = ["name", "version", "max_steps", "settle_steps", "replan_steps", "trials", "about"]
    print_table(rows, columns)
