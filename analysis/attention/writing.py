"""What a study leaves in its folder: tables, figures, film, page and manifest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.attention import compare, figures, film, page, sheets
from analysis.attention.asking import Answers, Plan
from analysis.attention.folder import BLANKING, DIFFERENCES, MANIFEST, MEANS, PAGE
from analysis.attention.overhead import overhead
from analysis.attention.regions import REGIONS
from analysis.attention.study import BOTH, Arm
from wambench import plugins
from wambench.naming import file_name

SHOWN_MOMENTS = 5  # columns of a figure
FPS_OF_ROBOT = 20


def write(
    out: Path, plan: Plan, found: Answers, camera: str, command: str, *, smooth: bool = False
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Write everything; returns the table of means and the manifest, which is written last.

    Args:
        out: the folder.
        plan: what was asked.
        found: what came of it.
        camera: of the figures.
        command: that did all this.
        smooth: figures and film show maps between the middles of their squares.
    """
    turned = plan.wide.rules.orientation
    means = compare.means(found.scores)
    gaps = compare.differences(found.scores, _pairs(plan.arms))
    blanking = None if found.moved is None else compare.blanking(found.moved)
    parquet = {"scores": found.scores, "shares": found.shares, "moved": found.moved}
    for name, rows in parquet.items():
        if rows is not None:
            rows.to_parquet(out / f"{name}.parquet", index=False)
    for name, table in ((MEANS, means), (DIFFERENCES, gaps), (BLANKING, blanking)):
        if table is not None:
            table.to_csv(out / name, index=False, float_format="%.6g", lineterminator="\n")
    _figures(out, plan, found, means, blanking, camera, smooth=smooth)
    title = (
        f"{plan.drawn.suite}, task {plan.drawn.task_index}, initial state {plan.drawn.init_state}"
    )
    (out / PAGE).write_text(page.render(found.seen, turned, title, command), encoding="utf-8")
    film.write(
        out,
        "rollout",
        film.frames(found.seen, turned, smooth=smooth),
        FPS_OF_ROBOT / plan.fine.stride,
    )
    manifest = _manifest(out, plan, found, command)
    (out / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return means, manifest


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
    plan: Plan,
    found: Answers,
    means: pd.DataFrame,
    blanking: pd.DataFrame | None,
    camera: str,
    *,
    smooth: bool,
) -> None:
    seen, turned = found.seen, plan.wide.rules.orientation
    steps = sorted({one.moment.step for one in seen})
    spaced = {
        steps[round(i * (len(steps) - 1) / (SHOWN_MOMENTS - 1))] for i in range(SHOWN_MOMENTS)
    }
    chosen = [one for one in seen if one.moment.step in spaced]
    middle = sorted(spaced)[len(spaced) // 2]
    sheets.save(figures.over_time(chosen, camera, turned, smooth=smooth), out / "over-time.png")
    sheets.save(figures.words(seen), out / "words.png")
    for one in seen:
        if one.moment.step != middle:
            continue
        name = file_name(one.arm.policy)
        sheets.save(
            figures.over_layers(one, camera, turned, smooth=smooth), out / f"layers-{name}.png"
        )
        if one.attention.frames:
            path = out / f"imagined-{name}.png"
            sheets.save(figures.imagined(one, camera, turned, smooth=smooth), path)
    for measure, level in (("lift", 1.0), ("auroc", 0.5), ("nss", 0.0)):
        for where in (camera, BOTH):
            name = f"{measure}-{where.replace(' ', '-')}.png"
            if where in set(means["camera"]):
                sheets.save(figures.score_bars(means, measure, level, where), out / name)
    if blanking is not None:
        sheets.save(figures.causal_curves(blanking), out / "blanking.png")


def _manifest(out: Path, plan: Plan, found: Answers, command: str) -> dict[str, Any]:
    """What was done, by what, what is in the folder, and what watching cost."""
    own = [arm for arm in plan.arms if not arm.control]
    return {
        "command": command,
        "wambench": metadata.version("wambench"),
        "protocol": plan.wide.rules.name,
        "policies": {
            arm.policy: {
                "name": arm.name,
                "options": dict(arm.options),
                "fingerprint": dict(plugins.make_policy(arm.name, arm.options).fingerprint()),
            }
            for arm in own
        },
        "controls": sorted({arm.control for arm in plan.arms if arm.control}),
        "episodes": len({moment.episode for moment in found.moments}),
        "moments": len(found.moments),
        "regions": dict(REGIONS),
        "files": sorted(path.name for path in out.iterdir() if path.is_file()),
        "watching": {arm.policy: asdict(overhead(arm, found.episode[0])) for arm in own},
    }
