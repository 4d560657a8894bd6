"""``wambench attention``: draw and score what policies read, into a folder."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analysis.attention import causal, compare, figures, film, page
from analysis.attention.folder import BLANKING, DIFFERENCES, MANIFEST, MEANS
from analysis.attention.overhead import overhead
from analysis.attention.regions import REGIONS
from analysis.attention.scenes import Course, Looking, Moment, check, gather
from analysis.attention.study import BOTH, Arm, Seen, arms_of, ask, ask_nothing
from wambench import plugins
from wambench.cli.options import parsed
from wambench.cli.output import Json, command_line, print_json, print_table
from wambench.contract import PolicySpec
from wambench.errors import UserError
from wambench.policy import Policy
from wambench.protocols import Protocol, protocol

SHOWN_MOMENTS = 5  # columns of a figure
FPS_OF_ROBOT = 20
SHORT = 4  # control steps between moments of the episode that is drawn


def attention(
    policy: Annotated[
        list[str], typer.Option("--policy", help="NAME or LABEL=NAME; repeat for several.")
    ],
    suite: Annotated[list[str], typer.Option("--suite", help="Repeat for several.")],
    out: Annotated[Path, typer.Option(help="Folder; made, or gone on with.")],
    task: Annotated[list[int], typer.Option("--task", min=0, help="Repeat for several.")],
    init: Annotated[list[int], typer.Option("--init", min=0, help="Initial state; repeat.")],
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
    json: Json = False,
) -> None:
    """Draw and score what the action tokens of policies read, beside controls that know nothing.

    The same moments are shown to all policies: those of the scripted expert's episode. The first
    initial state of the first task is drawn; all are scored. A folder that is not finished goes on.

    Example: wambench attention --policy nano-imagewam --policy nano-pi0 --suite libero_object
    --task 6 --init 41 --out runs/attention
    """
    rules = protocol(protocol_name)
    arms = _arms(policy, parsed(option or []), with_controls=controls)
    spec = _needs([plugins.make_policy(arm.name, arm.options) for arm in arms])
    drawn_camera = camera or spec.cameras[0]
    if drawn_camera not in spec.cameras:
        raise UserError(
            f"--camera {drawn_camera!r} is not what the policies see; {', '.join(spec.cameras)}"
        )
    ahead = spec.horizon
    wide = Looking(rules, spec, stride=stride, ahead=ahead)
    fine = Looking(rules, spec, stride=SHORT, ahead=ahead)
    groups = [[Course(name, number, state) for state in init] for name in suite for number in task]
    for courses in groups:
        check(courses, wide)
    folder = _Folder(out)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, disable=json) as progress:
        bar = progress.add_task("episodes", total=len(groups) + 1)
        moments: list[Moment] = []
        for courses in groups:
            moments += folder.once("moments", [courses, wide], partial(gather, courses, wide))
            progress.advance(bar)
        first = groups[0][0]
        episode = folder.once("moments", [[first], fine], partial(gather, [first], fine))
        progress.advance(bar)
        bar = progress.add_task("policies", total=len(arms) * (1 + blanking))
        scores, shares, moved = [], [], []
        seen: list[Seen] = []
        for arm in arms:
            identity = plugins.make_policy(arm.name, arm.options).fingerprint()
            key = [arm, identity, groups, wide]
            progress.update(bar, description=compare.arm_name(arm.policy, arm.control))
            asked = folder.once("asked", key, partial(ask, arm, moments, rules.orientation))
            scores.append(asked.scores)
            shares.append(asked.shares)
            progress.advance(bar)
            if not arm.control:
                seen += ask(arm, episode, rules.orientation, keep=lambda moment: True).kept
            if blanking and not arm.control:
                moved.append(folder.once("moved", key, partial(causal.moved, arm, moments)))
            progress.advance(bar, int(blanking))
        scores.append(ask_nothing(moments, spec.cameras))
    found = pd.concat(scores, ignore_index=True)
    means = compare.means(found)
    gaps = compare.differences(found, _pairs(arms))
    blanked = compare.blanking(pd.concat(moved, ignore_index=True)) if moved else None
    for name, rows in (("scores", [found]), ("shares", shares), ("moved", moved)):
        if rows:
            pd.concat(rows, ignore_index=True).to_parquet(out / f"{name}.parquet", index=False)
    for name, table in ((MEANS, means), (DIFFERENCES, gaps), (BLANKING, blanked)):
        if table is not None:
            table.to_csv(out / name, index=False, float_format="%.6g", lineterminator="\n")
    _figures(out, seen, means, blanked, drawn_camera, rules)
    title = f"{first.suite}, task {first.task_index}, initial state {first.init_state}"
    (out / "attention.html").write_text(
        page.render(seen, rules.orientation, title, command_line()), encoding="utf-8"
    )
    film.write(out, "rollout", film.frames(seen, rules.orientation), FPS_OF_ROBOT / SHORT)
    watching = {arm.policy: asdict(overhead(arm, episode[0])) for arm in arms if not arm.control}
    manifest = _manifest(arms, moments, rules, out) | {"watching": watching}
    (out / MANIFEST).write_text(json_text(manifest))
    headline = _headline(means, drawn_camera)
    if json:
        print_json({"out": str(out), "manifest": manifest, "lift": headline})
    else:
        print_table(headline, ["policy", *REGIONS])
        print(f"lift over chance (1), {drawn_camera}, {manifest['episodes']} episodes")
        for label, cost in watching.items():
            print(
                f"watching {label}: {cost['kept_bytes'] / 1e6:.2f} MB a decision, "
                f"{cost['time_ratio']:.2f} times its {cost['plain_ms']:.0f} ms"
            )
        print(f"all in {out}")


def json_text(value: Any) -> str:
    """Indented JSON with a line's end."""
    return json.dumps(value, indent=1) + "\n"


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


class _Folder:
    """What was computed before is read again: results by a hash of all they depend on."""

    def __init__(self, out: Path) -> None:
        self._parts = out / "parts"
        try:
            self._parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write to {str(out)!r}: {error.strerror}; choose another --out"
            ) from None

    def once(self, what: str, key: Any, compute: Callable[[], Any]) -> Any:
        """The result of ``compute``, kept under a name that the text of ``key`` determines."""
        digest = hashlib.blake2b(repr([what, key]).encode(), digest_size=12).hexdigest()
        file = self._parts / f"{what}-{digest}.pickle"
        if file.exists():
            return pickle.loads(file.read_bytes())
        result = compute()
        part = file.with_suffix(".part")
        part.write_bytes(pickle.dumps(result))
        part.replace(file)
        return result


def _pairs(arms: Sequence[Arm]) -> list[tuple[str, str]]:
    """Every policy against every other, its own controls, and the maps that know nothing."""
    own = [arm.policy for arm in arms if not arm.control]
    out = [(a, b) for i, a in enumerate(own) for b in own[i + 1 :]]
    out += dict.fromkeys(
        (arm.policy, compare.arm_name(arm.policy, arm.control)) for arm in arms if arm.control
    )
    return out + [(policy, nothing) for policy in own for nothing in ("uniform", "centre prior")]


def _figures(
    out: Path,
    seen: Sequence[Seen],
    means: pd.DataFrame,
    blanked: pd.DataFrame | None,
    camera: str,
    rules: Protocol,
) -> None:
    turned = rules.orientation
    steps = sorted({one.moment.step for one in seen})
    spaced = {
        steps[round(i * (len(steps) - 1) / (SHOWN_MOMENTS - 1))] for i in range(SHOWN_MOMENTS)
    }
    chosen = [one for one in seen if one.moment.step in spaced]
    middle = sorted(spaced)[len(spaced) // 2]
    figures.save(figures.over_time(chosen, camera, turned), out / "over-time.png")
    figures.save(figures.words(seen), out / "words.png")
    for one in seen:
        if one.moment.step != middle:
            continue
        figures.save(figures.over_layers(one, camera, turned), out / f"layers-{one.arm.policy}.png")
        if one.attention.frames:
            path = out / f"imagined-{one.arm.policy}.png"
            figures.save(figures.imagined(one, camera, turned), path)
    for measure, level in (("lift", 1.0), ("auroc", 0.5), ("nss", 0.0)):
        for where in (camera, BOTH):
            name = f"{measure}-{where.replace(' ', '-')}.png"
            if where in set(means["camera"]):
                figures.save(figures.score_bars(means, measure, level, where), out / name)
    if blanked is not None:
        figures.save(figures.causal_curves(blanked), out / "blanking.png")


def _manifest(
    arms: Sequence[Arm], moments: Sequence[Moment], rules: Protocol, out: Path
) -> dict[str, Any]:
    """What was done, by what, and what is in the folder."""
    return {
        "command": command_line(),
        "wambench": metadata.version("wambench"),
        "protocol": rules.name,
        "policies": {
            arm.policy: {
                "name": arm.name,
                "options": dict(arm.options),
                "fingerprint": dict(plugins.make_policy(arm.name, arm.options).fingerprint()),
            }
            for arm in arms
            if not arm.control
        },
        "controls": sorted({arm.control for arm in arms if arm.control}),
        "episodes": len({moment.episode for moment in moments}),
        "moments": len(moments),
        "regions": dict(REGIONS),
        "files": sorted(path.name for path in out.iterdir() if path.is_file()),
    }


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
