"""``wambench attention``: draw and score what policies read, into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analysis.attention import compare, own
from analysis.attention.asking import Plan, answers
from analysis.attention.parts import Parts
from analysis.attention.regions import REGIONS
from analysis.attention.scenes import Course, Looking, check
from analysis.attention.study import Arm, arms_of
from analysis.attention.writing import write
from wambench import plugins
from wambench.cli.options import parsed
from wambench.cli.output import Json, command_line, print_json, print_table
from wambench.contract import PolicySpec
from wambench.errors import UserError
from wambench.policy import Policy
from wambench.protocols import protocol

SHORT = 4  # control steps between moments of the episode that is drawn
OF_COURSES = {
    "option": "--option", "protocol_name": "--protocol", "stride": "--stride",
    "controls": "--controls", "blanking": "--blanking",
}  # fmt: skip
OF_RUNS = {"failed": "--failed", "succeeded": "--succeeded", "effects": "--effects"}
NEEDED = ("policy", "suite", "task", "init")  # without a run


def attention(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder; made, or gone on with.")],
    run: Annotated[
        Path | None,
        typer.Option(help="A run: ask its policies at the moments of their own stored episodes."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Of the run, failures alone.")] = False,
    succeeded: Annotated[
        bool, typer.Option("--succeeded", help="Of the run, successes alone.")
    ] = False,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", help="NAME or LABEL=NAME; of a run, a label. Repeat for several."),
    ] = None,
    suite: Annotated[list[str] | None, typer.Option("--suite", help="Repeat for several.")] = None,
    task: Annotated[
        list[int] | None, typer.Option("--task", min=0, help="Repeat for several.")
    ] = None,
    init: Annotated[
        list[int] | None, typer.Option("--init", min=0, help="Initial state; repeat.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="key=value, an option of all named policies.")
    ] = None,
    protocol_name: Annotated[
        str, typer.Option("--protocol", help="Under which the policies are asked.")
    ] = "nano-1",
    stride: Annotated[int, typer.Option(min=1, help="Control steps between moments.")] = 16,
    camera: Annotated[str | None, typer.Option(help="Of the figures; the first if none.")] = None,
    controls: Annotated[bool, typer.Option(help="Score each policy's controls, too.")] = True,
    blanking: Annotated[bool, typer.Option(help="Blank what is read, and see what moves.")] = True,
    effects: Annotated[
        int,
        typer.Option(min=0, help="Of a run: moments of each episode at which all is blanked."),
    ] = 4,
    smooth: Annotated[
        bool, typer.Option("--smooth", help="Interpolate maps in figures and film.")
    ] = False,
    json: Json = False,
) -> None:
    """Draw and score what the action tokens of policies read, beside controls that know nothing.

    The same moments are shown to all policies: those of the scripted expert's episode. The first
    initial state of the first task is drawn; all are scored. With --run each policy of a run is
    asked where it was asked in its own stored episodes, and the maps are held against success and
    failure; --policy, --suite, --task and --init then choose among them. A folder that is not
    finished goes on.

    Example: wambench attention --policy nano-imagewam --policy nano-pi0 --suite libero_object
    --task 6 --init 41 --out runs/attention

    Example: wambench attention --run runs/quick --out runs/own
    """
    _check_mode(context, run)
    if run is not None:
        if failed and succeeded:
            raise UserError("--failed and --succeeded leave nothing; leave both out for all")
        outcome: Any = "failure" if failed else "success" if succeeded else ""
        wanted = own.Wanted(policy or (), suite or (), task or (), init or (), outcome)
        own.study(run, wanted, out, per_episode=effects, camera=camera, smooth=smooth, json=json)
        return
    rules = protocol(protocol_name)
    arms = _arms(policy or (), parsed(option or []), with_controls=controls)
    spec = _needs([plugins.make_policy(arm.name, arm.options) for arm in arms])
    drawn_camera = camera or spec.cameras[0]
    if drawn_camera not in spec.cameras:
        raise UserError(
            f"--camera {drawn_camera!r} is not what the policies see; {', '.join(spec.cameras)}"
        )
    plan = Plan(
        arms,
        [
            [Course(name, number, state) for state in init or ()]
            for name in suite or ()
            for number in task or ()
        ],
        wide=Looking(rules, spec, stride=stride, ahead=spec.horizon),
        fine=Looking(rules, spec, stride=SHORT, ahead=spec.horizon),
        blanking=blanking,
    )
    for courses in plan.groups:
        check(courses, plan.wide)
    parts = Parts(out)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, disable=json) as progress:
        found = answers(plan, parts, progress)
    means, manifest = write(out, plan, found, drawn_camera, command_line(), smooth=smooth)
    headline = _headline(means, drawn_camera)
    if json:
        print_json({"out": str(out), "manifest": manifest, "lift": headline})
    else:
        print_table(headline, ["policy", *REGIONS])
        print(f"lift over chance (1), {drawn_camera}, {manifest['episodes']} episodes")
        for label, cost in manifest["watching"].items():
            print(
                f"watching {label}: {cost['kept_bytes'] / 1e6:.2f} MB a decision, "
                f"{cost['time_ratio']:.2f} times its {cost['plain_ms']:.0f} ms"
            )
        print(f"all in {out}")


def _check_mode(context: typer.Context, run: Path | None) -> None:
    """UserError for options that belong to the other way to choose moments."""
    typed = [
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]
    if run is not None:
        other = [OF_COURSES[name] for name in typed if name in OF_COURSES]
        if other:
            raise UserError(
                f"--run and {other[0]} exclude each other: the moments, policies, options and "
                "protocol are those of the run; leave one of them out"
            )
        return
    if other := [OF_RUNS[name] for name in typed if name in OF_RUNS]:
        raise UserError(f"{other[0]} chooses among the episodes of a run; name it with --run")
    if missing := [name for name in NEEDED if not context.params[name]]:
        raise UserError(
            f"--{missing[0]} is missing: name policies, suites, tasks and initial states of the "
            "scripted expert's episodes, or a run with --run"
        )


def _arms(given: Sequence[str], options: dict[str, Any], *, with_controls: bool) -> list[Arm]:
    """What is named, each followed by its controls; UserError for a label that appears twice."""
    out: list[Arm] = []
    for text in given:
        label, equals, name = text.partition("=")
        arms = arms_of(label, name if equals else label, options)
        if label in {arm.policy for arm in out}:
            raise UserError(f"--policy {label!r} appears twice; give one a label: other={label}")
        out += arms if with_controls else arms[:1]
    for arm in out:
        policy = plugins.make_policy(arm.name, arm.options)
        obstacles = policy.obstacles()
        if obstacles:
            raise UserError(f"policy {arm.policy!r} cannot run here: {'; '.join(obstacles)}")
        _check_shows(arm.policy, policy)
    return out


def _check_shows(label: str, policy: Policy) -> None:
    """Before work starts: a policy without action tokens has nothing to draw."""
    if policy.spec.track == "scripted" or type(policy).inference is Policy.inference:
        raise UserError(
            f"policy {label!r} has no action tokens whose attention could be drawn; "
            "choose a learned policy (wambench policies)"
        )


def _needs(policies: Sequence[Policy]) -> PolicySpec:
    """One specification whose observations serve all; UserError where they cannot."""
    specs = [policy.spec for policy in policies]
    sizes = {spec.image_size for spec in specs if spec.image_size}
    turned = {spec.orientation for spec in specs if spec.orientation}
    if len(sizes) > 1 or len(turned) > 1:
        raise UserError(
            f"these policies need different images ({sorted(sizes)}, {sorted(turned)}); "
            "draw them one by one"
        )
    return specs[0].model_copy(
        update={
            "cameras": tuple(dict.fromkeys(c for spec in specs for c in spec.cameras)),
            "proprio": tuple(dict.fromkeys(p for spec in specs for p in spec.proprio)),
            "privileged": (),
            "horizon": max(spec.horizon for spec in specs),
        }
    )


def _headline(means: pd.DataFrame, camera: str) -> list[dict[str, str]]:
    """Lift of every arm on every region, as text."""
    chosen = means[(means["measure"] == "lift") & (means["view"] == "mean")]
    chosen = chosen[(chosen["camera"] == camera) & (chosen["control"] != "oracle")]
    rows: dict[str, dict[str, str]] = {}
    for row in chosen.to_dict("records"):
        name = compare.arm_name(row["policy"], row["control"])
        cells = rows.setdefault(name, {"policy": name, **dict.fromkeys(REGIONS, "-")})
        low, high = row["low"], row["high"]
        interval = f" ({low:.2f} to {high:.2f})" if low == low else ""
        cells[row["region"]] = f"{row['mean']:.2f}{interval}"
    return list(rows.values())
