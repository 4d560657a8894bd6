"""The weights in the repository: one recipe, one data set, small, and no trace of any machine."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors import safe_open

from baselines.nano.config import NANO
from baselines.nano.facts import training_facts
from baselines.nano.policy import WEIGHTS
from tests.releases import observation
from wambench import plugins

SHIPPED = sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))
TO_COME = {"nano-imagewam-noise-idm", "nano-imagewam-cache-idm"}  # trained, and then shipped
LARGEST_BYTES = 8 * 10**6


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_is_small_and_says_how_it_was_made(name: str) -> None:
    path = WEIGHTS / f"{name}.safetensors"
    assert name in NANO and path.stat().st_size <= LARGEST_BYTES
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
    facts = json.loads(metadata["facts"])
    assert facts["command"].startswith(f"wambench train {name} --data DATA --out OUT")
    assert facts["step"] == json.loads(metadata["recipe"])["steps"]
    for text in metadata.values():
        assert "/tmp" not in text and "/home" not in text and "/root" not in text


def test_all_were_trained_alike() -> None:
    assert set(SHIPPED) | TO_COME == set(NANO)
    facts = [training_facts(WEIGHTS / f"{name}.safetensors") for name in SHIPPED]
    for same in ("steps", "step", "batch_size", "samples", "seed", "episodes", "data_hash"):
        assert len({one[same] for one in facts}) == 1, same


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_policy_acts(name: str) -> None:
    policy = plugins.make_policy(name, {})
    assert policy.obstacles() == ()
    policy.load()
    seen = observation(0, "pick up the butter and place it in the basket", 64)
    (chunk,) = policy.act([seen])
    assert chunk.shape == (16, 7) and np.isfinite(chunk).all()
    other = plugins.make_policy(name, {"untrained": 0})
    other.load()
    assert np.abs(other.act([seen])[0] - chunk).max() > 0.05
