"""Nano ImageWAMs whose action reads a goal image of noise, or a half-denoised one."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.imagewam.loss import Batch, Draws, noisy, weighed
from baselines.nano.config import NANO
from baselines.nano.models import make
from baselines.nano.models.base import Seen
from baselines.nano.models.goal import goal_loss
from baselines.nano.options import NanoOptions
from baselines.nano.policy import NanoPolicy
from tests.golden_data import gap, randomised
from wambench import UserError, plugins

NAMES = ("nano-imagewam-noise-idm", "nano-imagewam-cache-idm")


def seen() -> Seen:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 2, 3, 64, 64, generator=generator) * 2 - 1
    words = torch.randint(0, 96, (2, 24), generator=generator)
    return Seen(images, torch.randn(2, 8, generator=generator), words, (3, 7))


def made(name: str) -> Any:
    model: Any = randomised(make(NANO[name]), seed=3, gain=0.7)
    model.fit(torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1)
    return model


def run(model: Any, goal: Tensor) -> Any:
    noise = torch.randn(2, 16, 7, generator=torch.Generator().manual_seed(4))
    state = dataclasses.replace(model.state(seen(), noise, (0, 1)), target_noise=goal)
    with torch.no_grad():
        return model.program().run(state)


def goal_noise(model: Any, seed: int) -> Tensor:
    config = model.wam.config
    shape = (2, config.image_tokens, config.image_channels)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NAMES)
def test_the_action_reads_the_goal(name: str) -> None:
    model = made(name)
    one, other = (run(model, goal_noise(model, seed)) for seed in (0, 1))
    assert gap(one.action, other.action) > 1e-3
    half = 1 if name.endswith("cache-idm") else 0
    assert model.program().calls() == {
        "text": 1, "vision": 1, "prefill": 2, "act": 5, **({"imagine": 1} if half else {})
    }  # fmt: skip
    assert one.cache[0].k.shape[1] == one.context.shape[1] + 2 * model.wam.config.image_tokens


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_from_the_cache_of_inference(name: str) -> None:
    model = made(name)
    goal = goal_noise(model, 0)
    state = run(model, goal)
    action = torch.rand(2, 16, 7, generator=torch.Generator().manual_seed(5))
    batch = Batch(
        text=model.words(seen().word_ids), lengths=seen().lengths, source=state.tokens,
        target=goal_noise(model, 6), proprio=seen().proprio, action=action,
        action_is_pad=torch.zeros(2, 16, dtype=torch.bool),
    )  # fmt: skip
    half = torch.full((2,), 0.5)
    draws = Draws(goal_noise(model, 7), half, state.noise, half, goal)
    with torch.no_grad():
        found = goal_loss(model.wam, batch, draws)
        given = noisy(batch, draws, model.wam.config.shift)
        state.action = given.action
        velocity = model.wam.act(state, given.action_time)
        again = weighed(batch, draws, given, goal, velocity, model.wam.config.shift)
    assert found.action > 0.1
    assert found.action.item() == pytest.approx(again.action.item(), rel=1e-4)


def test_without_weights_it_says_so(tmp_path: Path) -> None:
    for name in NAMES:
        policy = NanoPolicy(NANO[name], NanoOptions(weights=tmp_path / "none"))
        assert policy.obstacles() == ("no weights none: train them",)
        with pytest.raises(UserError, match=f"wambench train {name}"):
            policy.fingerprint()
        assert plugins.make_policy(name, {}).spec.track == "nano"
