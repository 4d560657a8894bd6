"""``wambench suites``, ``policies`` and ``protocols``: what there is to choose from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wambench import plugins
from wambench.cli.output import Json, print_json, print_table
from wambench.errors import UserError
from wambench.protocols import protocol, protocols

Name = Annotated[str | None, typer.Argument(help="Show one in full.")]


def suites(name: Name = None, json: Json = False) -> None:
    """List the installed task suites, or one suite's tasks.

    Example: wambench suites libero_goal
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
        {"task": t.index, "instruction": t.instruction, "init_states": t.init_states}
        for t in suite.tasks()
    ]
    if json:
        print_json({"spec": suite.spec.model_dump(mode="json"), "tasks": tasks})
    else:
        print_table(tasks, ["task", "instruction", "init_states"])


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
        "init_states": sum(task.init_states for task in tasks),
        "simulator": suite.spec.simulator,
        "about": suite.spec.about,
    }


def policies(name: Name = None, json: Json = False) -> None:
    """List the installed policies, or one policy's specification.

    Example: wambench policies expert
    """
    if name is not None:
        spec = plugins.make_policy(name, {}).spec.model_dump(mode="json")
        if json:
            print_json(spec)
        else:
            print_table([{"field": k, "value": v} for k, v in spec.items()], ["field", "value"])
        return
    rows = [_policy_row(point) for point in plugins.installed(plugins.POLICIES)]
    if json:
        print_json(rows)
    else:
        print_table(rows, ["policy", "paradigm", "track", "chunk", "looks_at", "about"])


def _policy_row(name: str) -> dict[str, Any]:
    row = {"policy": name, "paradigm": "-", "track": "-", "chunk": "-", "looks_at": "-"}
    try:
        spec = plugins.make_policy(name, {}).spec
    except UserError as error:
        needs_options = "missing" in str(error) and "argument" in str(error)
        about = "needs options; see its documentation" if needs_options else f"broken: {error}"
        return row | {"about": about}
    return {
        "policy": name,
        "paradigm": spec.paradigm,
        "track": spec.track,
        "chunk": spec.horizon,
        "looks_at": ", ".join([*spec.cameras, *spec.proprio, *spec.privileged]) or "nothing",
        "about": spec.about,
    }


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
