"""Chunks that begin with committed actions: they do, and the rest is sampled to go with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from baselines.core import robots
from wambench import Observation, plugins
from wambench.profile.observations import observations

FLOWS = ("nano-imagewam", "nano-fastwam", "nano-fastwam-joint", "nano-fastwam-idm", "nano-pi0")
KNOWN = 5


@pytest.fixture(scope="module", params=FLOWS)
def policy(request: pytest.FixtureRequest) -> plugins.Policy:
    made = plugins.make_policy(request.param, {})
    made.load()
    return made


def seen_by(policy: plugins.Policy) -> Observation:
    (seen,) = observations(policy.spec, 1)
    proprio = {"eef_pos": [0, 0, 1.1], "eef_axis_angle": [3.1, 0, 0], "gripper_qpos": [0.02, -0.02]}
    told = {name: np.array(numbers, np.float64) for name, numbers in proprio.items()}
    return dataclasses.replace(seen, proprio=told)


def test_a_chunk_begins_with_what_is_committed(policy: plugins.Policy) -> None:
    assert policy.spec.inpaints
    seen = seen_by(policy)
    (free,) = policy.act([seen])
    others = np.clip(free[:KNOWN] + np.linspace(-0.3, 0.3, KNOWN)[:, None], -1, 1)
    (bound,) = policy.act([dataclasses.replace(seen, committed=others)])
    assert np.abs(bound[:KNOWN] - others).max() < 1e-5
    assert not np.allclose(bound[KNOWN:], free[KNOWN:], atol=1e-4), "the rest has noticed"
    (again,) = policy.act([seen])
    assert np.array_equal(again, free), "and nothing is remembered"


def test_what_the_flow_would_do_anyway_changes_it_little(policy: plugins.Policy) -> None:
    """Committed to its own chunk, a policy goes on as it would have."""
    seen = seen_by(policy)
    (free,) = policy.act([seen])
    (own,) = policy.act([dataclasses.replace(seen, committed=free[:KNOWN])])
    far = np.clip(free[:KNOWN] + 1.0, -2, 2)
    (other,) = policy.act([dataclasses.replace(seen, committed=far)])
    rest = slice(KNOWN, KNOWN + 4)
    assert np.abs(own[rest] - free[rest]).mean() < np.abs(other[rest] - free[rest]).mean()


def test_a_regression_does_not_offer_it() -> None:
    assert not plugins.make_policy("nano-oft", {}).spec.inpaints


@pytest.mark.parametrize(
    "robot",
    [robots.LIBERO, robots.LIBERO_OPENPI, robots.LIBERO_OPENPI_05, robots.LIBERO_OFT],
    ids=["LIBERO", "openpi", "openpi 0.5", "OFT"],
)
def test_commands_lead_back_to_what_was_intended(robot: robots.Robot) -> None:
    random = np.random.default_rng(0)
    actions, state = random.uniform(-1, 1, (6, 7)), random.uniform(-1, 1, 8)
    there = robot.command(actions, state)
    assert not np.array_equal(there, actions) or robot.command is robots.unchanged
    assert np.abs(robot.intended(there, state) - actions).max() < 1e-12
