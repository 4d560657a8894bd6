"""The weights in the repository: one recipe, one data set, small, and no trace of any machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from baselines.nano.config import NANO, PATCHES, SHIPPED, SIDE, VERSION
from baselines.nano.facts import training_facts
from baselines.nano.policy import WEIGHTS
from baselines.training.data.dataset import open_demos
from tests.releases import observation
from wambench import UserError, plugins

FOUND = {v: sorted(p.stem for p in (WEIGHTS / str(v)).glob("*.safetensors")) for v in PATCHES}
FILES = [(version, name) for version, names in FOUND.items() for name in names]
TO_COME = {"nano-imagewam-noise-idm", "nano-imagewam-cache-idm"}  # trained, and then shipped
LARGEST_BYTES = 8 * 10**6


@pytest.mark.parametrize(("version", "name"), FILES)
def test_a_shipped_file_is_small_and_says_how_it_was_made(version: int, name: str) -> None:
    path = WEIGHTS / str(version) / f"{name}.safetensors"
    assert name in NANO and path.stat().st_size <= LARGEST_BYTES
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    facts = json.loads(metadata["facts"])
    assert facts["command"].startswith(f"wambench train {name} --data DATA --out OUT")
    until = re.search(r" --until (\d+)$", facts["command"])
    own = int(until[1]) if until else json.loads(metadata["recipe"])["steps"]
    assert facts["step"] == own + sum(one["step"] for one in facts.get("earlier", ())[-1:])
    for text in metadata.values():
        assert "/tmp" not in text and "/home" not in text and "/root" not in text


@pytest.mark.parametrize("version", PATCHES)
def test_all_were_trained_alike(version: int) -> None:
    assert set(FOUND[version]) | TO_COME == set(NANO)
    folder = WEIGHTS / str(version)
    facts = [training_facts(folder / f"{name}.safetensors") for name in FOUND[version]]
    for same in ("steps", "step", "batch_size", "samples", "seed", "episodes", "data_hash"):
        assert len({one[same] for one in facts}) == 1, same


@pytest.mark.slow
@pytest.mark.usefixtures("full_size_only")
def test_the_data_that_ship_are_those_of_the_last_training() -> None:
    demos = open_demos(WEIGHTS.parent / "demonstrations", size=(SIDE, SIDE))
    assert {e.init_state for e in demos.episodes} <= {*range(26)}
    for name in FOUND[VERSION]:
        facts = training_facts(WEIGHTS / str(VERSION) / f"{name}.safetensors")
        assert facts["data_hash"] == demos.data_hash and facts["episodes"] == len(demos.train)


def test_a_policy_is_of_the_version_of_its_weights(tmp_path: Path) -> None:
    def version(**options: object) -> int:
        return plugins.make_policy("nano-pi0", options).spec.version

    files = [str(WEIGHTS / str(version) / "nano-pi0.safetensors") for version in PATCHES]
    assert version() == SHIPPED and [version(weights=file) for file in files] == list(PATCHES)
    assert [version(version=number) for number in PATCHES] == list(PATCHES)
    assert version(weights=str(tmp_path / "none")) == VERSION
    wrong = plugins.make_policy("nano-pi0", {"version": 2, "weights": files[0]})
    with pytest.raises(UserError, match="holds nano-pi0 1, not nano-pi0 2; name the right file"):
        wrong.load()


def test_weights_begin_with_those_that_ship_too() -> None:
    """So that whoever trains again has all that it takes."""
    for name in FOUND[VERSION]:
        with safe_open(WEIGHTS / str(VERSION) / f"{name}.safetensors", framework="np") as file:
            first = json.loads(file.metadata()["facts"])["earlier"][0]["weights_hash"]
        assert training_facts(WEIGHTS / "1" / f"{name}.safetensors")["weights_hash"] == first


@pytest.mark.parametrize(("version", "name"), FILES)
def test_a_shipped_policy_acts(version: int, name: str) -> None:
    policy = plugins.make_policy(name, {"version": version})
    assert policy.obstacles() == ()
    policy.load()
    seen = observation(0, "pick up the butter and place it in the basket", 64)
    (chunk,) = policy.act([seen])
    assert chunk.shape == (16, 7) and np.isfinite(chunk).all()
    other = plugins.make_policy(name, {"version": version, "untrained": 0})
    other.load()
    assert np.abs(other.act([seen])[0] - chunk).max() > 0.05
