"""What a weights file says of its training, read without torch; for listings and passports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from baselines.nano.config import PATCHES, VERSION

FROM_RECIPE = ("steps", "batch_size", "seed")
FROM_FACTS = (
    "step", "samples", "episodes", "data_hash", "cpu_seconds", "flops_per_step", "weights_hash",
    "command",
)  # fmt: skip


def version_of(path: Path) -> int:
    """Version of the preset whose weights a file holds; the newest if the file does not tell."""
    try:
        with safe_open(path, framework="np") as file:
            config = json.loads((file.metadata() or {})["config"])
        version = int(config.get("version", 1))  # files of version 1 do not tell it
    except (OSError, SafetensorError, KeyError, ValueError):
        return VERSION
    return version if version in PATCHES else VERSION


def training_facts(path: Path) -> Mapping[str, Any]:
    """Steps, samples, CPU seconds, FLOPs, data and seed; empty for a file that does not tell them.

    ``steps`` are those of the last training's schedule, ``step`` those after which the weights were
    taken, ``samples`` the demonstrations' steps seen until then, repeated ones included; both of
    these, and ``cpu_seconds``, count the trainings that it began with too.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
        recipe, facts = json.loads(metadata["recipe"]), json.loads(metadata["facts"])
        found = {name: recipe[name] for name in FROM_RECIPE}
        found |= {name: facts[name] for name in FROM_FACTS if name in facts}
    except (OSError, SafetensorError, KeyError, ValueError):
        return {}
    if "step" in found:  # files before --init do not tell their samples
        found.setdefault("samples", found["step"] * found["batch_size"])
    return found
