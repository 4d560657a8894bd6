"""A made-up run that has everything a report can tell, and a study to go with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from analysis.failures import DEFINITIONS
from analysis.imagination import consistency, displacement
from analysis.imagination.summary import summary
from analysis.imagination.writing import ROWS, SUMMARY, write
from tests.test_report import cells_of, good_passport, record_of
from wambench.cells import PolicyChoice
from wambench.contract import PolicySpec
from wambench.store import Store

CHOICES = {
    "learned": ("sssfssssfsss", PolicyChoice("learned", "learned")),
    "learned, young": ("sfffssffffsf", PolicyChoice("learned, young", "learned", {"age": 1})),
    "learned, deaf": ("ffffffsfffff", PolicyChoice("learned, deaf", "learned", {"told": "other"})),
    "second": ("ssffsfsssfs.", PolicyChoice("second", "second")),
    "third <&>": ("sffesfeffff.", PolicyChoice("third <&>", "third")),
    "expert": ("ssssssssssss", PolicyChoice("expert", "expert")),
    "random": ("ffffffffffff", PolicyChoice("random", "random")),
    "mirrored": ("fffsffffffff", PolicyChoice("mirrored", "mirrored")),
}  # fmt: skip
SCRIPTED = ("expert", "random", "mirrored")
KINDS = ("missed grasp", "dropped", "oscillation")
NOTHING: Mapping[str, str] = {}
REGIONS = {"object": "what the task wants moved", "goal": "where it is to go"}


def make(
    folder: Path, *, without: Sequence[str] = (), instead: Mapping[str, str] = NOTHING
) -> Path:
    """The run; ``without`` some policies, or with other outcomes ``instead``."""
    chosen = {
        label: (instead.get(label, letters), choice)
        for label, (letters, choice) in CHOICES.items()
        if label not in without
    }
    configs = {
        label: {
            "conditions": {
                "parameters": 1_000_000 + 1000 * number, "flops": 123_456_789 * (number + 1),
                "tokens": {"words": 11, "image": 32, "imagined": 8 * number, "action": 16},
            },
            "trained": {
                "step": 100 if "young" in label else 12_000, "samples": 64_000, "batch_size": 16,
                "cpu_seconds": 1234.5 + number, "flops_per_step": 7_654_321_000,
            },
        }
        for number, label in enumerate(chosen)
        if label not in SCRIPTED
    }  # fmt: skip
    passport = good_passport()
    info = {**passport.info, "policies": configs, "cpu": "made up, 2 cores"}
    with Store.write(folder, "wambench sweep made-up.yaml") as store:
        store.set_passport(passport.model_copy(update={"info": info}))
        episodes = []
        for label, (letters, choice) in chosen.items():
            track: Any = "scripted" if label in SCRIPTED else "nano"
            spec = PolicySpec(paradigm="vla", track=track, about="made up; 10 % of it")
            made = cells_of(label, letters)
            store.add_plan([cell for cell, _ in made], [choice], {label: spec})
            for number, (cell, outcome) in enumerate(made):
                if outcome is None:
                    store.add_attempt(cell, "stalled", "no sign of life\nfor 120 s", "")
                    continue
                store.add_episode(record_of(cell, outcome))
                if outcome != "success":
                    is_error = outcome == "policy_error"
                    kind = "policy error" if is_error else KINDS[number % 3]
                    found = {"label": kind, "step": 0 if is_error else number % 3}
                    found["evidence"] = f"it fell {number}.5 cm"
                    episodes.append({"key": cell.key, "policy": label, **found})
    kept = {"definitions": dict(DEFINITIONS), "episodes": episodes}
    (folder / "failures.json").write_text(json.dumps(kept))
    return folder


def make_study(folder: Path) -> Path:
    """What ``wambench attention`` leaves in a folder, as far as a report reads it."""
    folder.mkdir()
    random = np.random.default_rng(0)
    lines = ["track,paradigm,policy,control,view,camera,region,measure,mean,low,high,episodes,area"]
    arms = [
        ("learned", ""),
        ("learned", "untrained"),
        ("second", ""),
        ("uniform", "uniform"),
        ("x", "oracle"),
    ]
    for policy, control in arms:
        for view, camera in (("mean", "agentview"), ("early", "agentview"), ("mean", "wrist")):
            for region in REGIONS:
                for measure in ("lift", "auroc", "mass"):
                    mean = random.uniform(0, 2)
                    ends = f"{mean - 0.1:.6g},{mean + 0.1:.6g}" if region == "goal" else ","
                    lines.append(
                        f"nano,vla,{policy},{control},{view},{camera},{region},{measure},"
                        f"{mean:.6g},{ends},7,0.1"
                    )
    (folder / "means.csv").write_text("\n".join(lines) + "\n")
    pairs = ["view,camera,region,measure,mean,low,high,episodes,first,second"]
    for first, second in (("second", "learned"), ("learned", "learned, untrained")):
        for region in REGIONS:
            pairs.append(f'mean,agentview,{region},lift,0.25,0.125,0.5,7,{first},"{second}"')
    (folder / "differences.csv").write_text("\n".join(pairs) + "\n")
    for name in ("over-time", "words", "lift-agentview", "lift-wrist", "layers-learned"):
        pixels = random.integers(0, 255, (300, 1500, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    manifest = {
        "command": "wambench attention --policy learned --out study", "episodes": 7, "moments": 40,
        "policies": {
            name: {"name": name, "options": {}, "fingerprint": {}} for name in ("learned", "second")
        },
        "regions": REGIONS, "files": [path.name for path in folder.iterdir()],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "attention.html").write_text("leaf through")
    return folder


ERRORS = {"imagined": 2.0, "copy": 4.0, "other": 5.0, "untrained": 16.0}
"""Mean error of what is imagined and of its controls, on average over episodes."""


def _followed(policies: Sequence[str]) -> pd.DataFrame:
    """Two draws a moment: the first policy's frames differ as the executed do, others' do not."""
    alike = np.array([[0.5, -0.5], [-0.5, 0.5]])
    rows = [
        {
            "policy": name, "suite": "toy", "task_index": 0, "init_state": episode, "seed": 0,
            "outcome": "success", "step": 0, "camera": "agentview", "offset": offset,
            "pairing": alike * (name == policies[0]), "covered": 1.0, "varied": 2.0,
        }
        for name in policies
        for episode in range(8)
        for offset in (8, 16)
    ]  # fmt: skip
    return consistency.summary(pd.DataFrame(rows))


def _moved(policies: Sequence[str]) -> pd.DataFrame:
    """The tracker errs by one pixel of ten at the first policy's moments, by nine at others'."""
    rows = [
        {
            "policy": name, "suite": "toy", "task_index": 0, "init_state": episode, "seed": 0,
            "outcome": "success", "step": 0, "prediction": prediction, "camera": "agentview",
            "offset": 16, "gap": gap,
        }
        for name in policies
        for episode in range(8)
        for prediction, gap in {
            "copy": 10.0, "tracker": 1.0 if name == policies[0] else 9.0, "imagined": 4.5
        }.items()
    ]  # fmt: skip
    return displacement.summary(pd.DataFrame(rows))


def make_imagined(
    folder: Path, episodes: int = 8, policies: Sequence[str] = ("learned", "second")
) -> Path:
    """What ``wambench imagine`` leaves in a folder, as far as a report reads it."""
    folder.mkdir()
    random = np.random.default_rng(0)
    rows = [
        {
            "policy": policy, "suite": "toy", "task_index": 0, "init_state": episode, "seed": 0,
            "outcome": "success", "step": step, "prediction": prediction, "truth": truth,
            "camera": camera, "offset": offset, "region": region, "area": 0.1, "psnr": 20.0,
            "ssim": 0.5, "error": error * random.uniform(0.9, 1.1),
        }
        for policy in policies
        for episode in range(episodes)
        for step in (0, 8)
        for prediction, error in ERRORS.items()
        for truth in ("executed", "expert")
        for camera in ("agentview", "wrist")
        for offset in (8, 16)
        for region in ("all", "object")
    ]  # fmt: skip
    told = {
        name: {"episodes": episodes, "moments": 2 * episodes, "offsets": [8, 16], "fingerprint": {}}
        for name in policies
    }
    manifest = {"command": "wambench imagine run --out imagined", "run": "run",
                "protocol": "toy-1", "stride": 8, "policies": told}  # fmt: skip
    table = pd.DataFrame(rows)
    means = [summary(table), _followed(policies), _moved(policies)]
    write(folder, {ROWS: table, SUMMARY: pd.concat(means, ignore_index=True)}, manifest)
    for name in policies:
        pixels = random.integers(0, 255, (300, 1500, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder
