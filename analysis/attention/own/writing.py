"""What a study of a run's own episodes leaves in its folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from analysis.attention import sheets
from analysis.attention.folder import MANIFEST, MEANS
from analysis.attention.own import effects, figure, page, sinks
from analysis.attention.own.asking import Found
from analysis.attention.own.chosen import Chosen
from analysis.attention.own.summary import Tables
from analysis.attention.regions import REGIONS
from wambench import plugins
from wambench.naming import file_name


def write(
    out: Path,
    run: Path,
    chosen: Chosen,
    found: Sequence[Found],
    tables: Tables,
    camera: str,
    command: str,
    *,
    smooth: bool = False,
) -> dict[str, Any]:
    """Write everything; returns the manifest, which is written last.

    Args:
        out: the folder.
        run: whose episodes they are.
        chosen: what was asked.
        found: what came of it, for each group.
        tables: made of it.
        camera: of the figures.
        command: that did all this.
        smooth: figures show maps between the middles of their squares.
    """
    for name, rows in (("scores", tables.scores), ("blocks", tables.blocks)):
        if rows is not None:
            rows.to_parquet(out / f"{name}.parquet", index=False)
    summaries = {
        MEANS: tables.means,
        "outcomes.csv": tables.outcomes,
        "sinks.csv": tables.sinks,
        "effects.csv": tables.effects,
        "agreement.csv": tables.agreement,
    }
    for name, table in summaries.items():
        if table is not None:
            table.to_csv(out / name, index=False, float_format="%.6g", lineterminator="\n")
    drawn = {}
    for label in dict.fromkeys(group.arm.policy for group in chosen.groups):
        own = zip(chosen.groups, found, strict=True)
        shown = [s for group, one in own if group.arm.policy == label for s in one.shown]
        if shown:
            made = figure.failures(shown, label, camera, chosen.rules.orientation, smooth=smooth)
            drawn[label] = sheets.save(made, out / f"failures-{file_name(label)}.png")
    manifest = _manifest(run, chosen, found, tables, command)
    (out / "attention.html").write_text(page.render(manifest, tables, drawn), encoding="utf-8")
    manifest["files"] = sorted(path.name for path in out.iterdir() if path.is_file())
    (out / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def _manifest(
    run: Path, chosen: Chosen, found: Sequence[Found], tables: Tables, command: str
) -> dict[str, Any]:
    """What was done, by what, and what has to be known to read the tables."""
    policies: dict[str, Any] = {}
    for group, one in zip(chosen.groups, found, strict=True):
        arm, label = group.arm, group.arm.policy
        entry = policies.setdefault(
            label,
            {
                "name": arm.name,
                "options": dict(arm.options),
                "fingerprint": dict(plugins.make_policy(arm.name, arm.options).fingerprint()),
                "changed": list(chosen.changed.get(label, ())),
                "looks_every": group.looking.stride,
                "outcomes": Counter(),
                "moments": 0,
                "acted_again": 0,
                "to_the_bit": 0,
                "no_sinks": tables.no_sinks.get(label, ""),
            },
        )
        entry["outcomes"].update(stored.outcome for stored in group.stored)
        entry["moments"] += len(one.looks)
        entry["acted_again"] += one.asked
        entry["to_the_bit"] += one.same
    return {
        "command": command,
        "wambench": metadata.version("wambench"),
        "protocol": chosen.rules.name,
        "run": str(run),
        "moments_of": "the policies' own episodes",
        "policies": policies,
        "left_out": list(chosen.left_out),
        "episodes": sum(len(group.stored) for group in chosen.groups),
        "moments": sum(len(one.looks) for one in found),
        "regions": dict(REGIONS),
        "definitions": {
            "sink_fold": sinks.FOLD,
            "sink_but_for": sinks.BUT_FOR,
            "sink_starts": sinks.STARTS,
            "most_blocks_of_a_camera": effects.MOST_UNITS,
        },
    }
