"""Interventions on nano policies: nothing changes without one, and each changes what it says."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from baselines.nano.config import NANO
from baselines.nano.models.futures import futures_of
from tests.planted import alone, ignoring, play
from tests.releases import observation
from wambench import EpisodeStart, Observation, Policy, UserError, plugins
from wambench.inference import Program

SHIPPED = [name for name in NANO if not name.endswith(("noise-idm", "cache-idm"))]
CLIPS = ("nano-fastwam-joint", "nano-fastwam-idm")
READERS = (*CLIPS, "nano-imagewam-cache-idm")  # whose action reads a future that shows something
BUTTER = "pick up the butter and place it in the basket"
SOUP = "pick up the alphabet soup and place it in the basket"


def made(name: str, **options: Any) -> Any:
    """Loaded, with the weights that ship; where none do, with random ones that read the goal."""
    bare = {} if name in SHIPPED else {"untrained": 1}
    policy = plugins.make_policy(name, bare | options)
    policy.load()
    if bare:
        model = policy._loaded().model  # an untrained codec is empty, and an untrained gate shut
        generator = torch.Generator().manual_seed(1)
        for parameter in model.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
        model.fit(torch.rand(8, 3, 64, 64, generator=generator) * 2 - 1)
    return policy


def seen(seed: int = 0, **changes: Any) -> Observation:
    return dataclasses.replace(observation(seed, BUTTER, 64), **changes)


def foreseeing(seed: int) -> Observation:
    """What is seen, with a future that is shown by an oracle: noise."""
    random = np.random.default_rng(seed)
    shape = (2, 64, 64, 3)
    foreseen = {camera: random.integers(0, 256, shape, np.uint8) for camera in seen().images}
    return seen(foreseen=foreseen)


def acted(policy: Any, *looks: Observation) -> NDArray[np.float64]:
    return np.stack(policy.act(looks or [seen()]))


def bank(path: Path, count: int = 3) -> Path:
    """Futures of other episodes, as 'wambench imagine' writes them: noise."""
    random = np.random.default_rng(0)
    np.savez(
        path,
        frames=random.integers(0, 256, (2 * count, 2, 2, 64, 64, 3), np.uint8),
        offsets=np.array([8, 16]),
        cameras=np.array(["agentview", "wrist"]),
        step=np.tile([0, 16], count),
        episode=np.repeat(np.arange(count), 2),
        instruction=np.repeat([BUTTER, *[SOUP] * (count - 1)], 2),
    )
    return path


@pytest.mark.parametrize("name", NANO)
def test_without_an_intervention_a_policy_is_what_it_was(name: str) -> None:
    plain, named = made(name), made(name, future="own", blank=[])
    ready = plain._loaded()
    with torch.inference_mode():  # the model's own program, as it is trained and validated
        state = ready.model.program().run(plain._start(ready, [seen()]))
        expected = ready.prepare.commands(state.action, [seen()])
    assert (acted(plain) == np.stack(expected)).all() and (acted(named) == acted(plain)).all()
    assert plain.fingerprint() == named.fingerprint() and plain.spec == named.spec


@pytest.mark.parametrize("name", NANO)
def test_what_is_blanked_does_not_matter_and_the_rest_does(name: str) -> None:
    other = observation(1, SOUP, 64)
    changes: dict[str, dict[str, Any]] = {
        "text": {"instruction": SOUP},
        "wrist": {"images": {**seen().images, "wrist": other.images["wrist"]}},
        "proprioception": {"proprio": other.proprio},
    }
    whole = made(name)
    for blank in changes:
        policy = made(name, blank=[blank])
        assert np.abs(acted(policy) - acted(whole)).max() > 1e-4
        for changed, change in changes.items():
            same = (acted(policy, seen(**change)) == acted(policy)).all()
            assert same == (changed == blank), (blank, changed)
    blind = made(name, blank=["text", "wrist", "proprioception"])
    everything = {k: v for change in changes.values() for k, v in change.items()}
    assert (acted(blind, seen(**everything)) == acted(blind)).all()


@pytest.mark.parametrize("name", READERS)
def test_a_replaced_future_moves_the_action(name: str, tmp_path: Path) -> None:
    futures: dict[str, Any] = {"futures": str(bank(tmp_path / "futures.npz"))}
    look = foreseeing(5)
    found = {
        future: acted(made(name, future=future, **(futures if future == "other" else {})), look)
        for future in ("own", "masked", "present", "noise", "other", "frozen", "oracle")
    }
    assert (found.pop("frozen") == found["own"]).all()  # a first decision
    for one in found:
        for other in found:
            assert one == other or np.abs(found[one] - found[other]).max() > 1e-4, (one, other)


@pytest.mark.parametrize("name", READERS)
def test_a_future_replaced_by_what_it_would_read_anyway_changes_nothing(name: str) -> None:
    policy = made(name, future="present")
    ready = policy._loaded()
    futures = futures_of(ready.model)
    with torch.inference_mode():
        own = ready.model.program().run(policy._start(ready, [seen()]))
        state = policy._start(ready, [seen()])
        state.given = futures.read(own)
        again = ready.program.run(state)
    # Joint's clip in progress is not its finished clip noised, and rounding is not exact.
    if name == "nano-fastwam-idm":
        assert (again.action == own.action).all()
    elif name == "nano-imagewam-cache-idm":
        assert (again.action - own.action).abs().max() < 1e-4
    assert (futures.read(again) - futures.read(own)).abs().max() < 1e-5


def test_a_masked_future_leaves_the_action_what_it_is_without_any() -> None:
    for name in CLIPS:
        policy = made(name, future="masked")
        ready = policy._loaded()
        with torch.inference_mode():
            plain: Program[Any] = ready.model._program("plain")  # the same weights, no clip at all
            state = plain.run(policy._start(ready, [seen()]))
        expected = ready.prepare.commands(state.action, [seen()])[0]
        assert np.abs(acted(policy)[0] - expected).max() < 1e-5
    for name in ("nano-imagewam-noise-idm", "nano-imagewam-cache-idm"):
        one = made(name, future="masked", noise_seed=1)
        ready = one._loaded()
        with torch.inference_mode():
            states = [one._start(ready, [seen()]) for _ in range(2)]
            states[1].target_noise = states[1].target_noise + 1
            actions = [ready.program.run(state).action for state in states]
        assert (actions[0] == actions[1]).all()


@pytest.mark.parametrize("name", READERS)
def test_a_frozen_future_is_of_the_episode_alone(name: str) -> None:
    policy, own = made(name, future="frozen"), made(name)
    first, later = seen(0, episode="a"), seen(1, episode="a", step=8)
    strange = seen(2, episode="b")
    start = EpisodeStart("a", "s", "t", BUTTER, 0, policy.spec.action, 0)
    policy.reset(start)
    alone = [acted(policy, first), acted(policy, later)]
    assert (alone[0] == acted(own, first)).all()
    assert np.abs(alone[1] - acted(own, later)).max() > 1e-4
    policy.reset(start)
    beside = acted(policy, first, strange)
    assert (beside[0] == alone[0][0]).all()
    assert (acted(policy, strange, later)[1] == alone[1][0]).all()
    policy.forget("a")
    assert (acted(policy, later) == acted(own, later)).all()  # the first one it ever saw


@pytest.mark.parametrize("future", ["masked", "present", "noise", "other"])
def test_neighbours_and_repetition_change_nothing(future: str, tmp_path: Path) -> None:
    futures = {"futures": str(bank(tmp_path / "futures.npz"))} if future == "other" else {}
    policy = made("nano-fastwam-joint", future=future, **futures)
    many = acted(policy, *[seen(n) for n in range(3)])
    assert (many[1] == acted(policy, seen(1))[0]).all()
    again = made("nano-fastwam-joint", future=future, **futures)
    assert (acted(again, seen(2))[0] == many[2]).all()


@pytest.mark.parametrize("name", CLIPS)
def test_an_oracles_future_is_what_it_is_shown(name: str) -> None:
    oracle, own = made(name, future="oracle"), made(name)
    assert oracle.spec.foresees == (8, 16) and oracle.spec.moved_by == ("expert_action",)
    assert own.spec.foresees == () and own.spec.moved_by == ()
    assert np.abs(acted(oracle, foreseeing(1)) - acted(oracle, foreseeing(2))).max() > 1e-4
    assert (acted(own, foreseeing(1)) == acted(own, foreseeing(2))).all()
    ready = oracle._loaded()
    with torch.inference_mode():
        state = ready.program.run(oracle._start(ready, [foreseeing(1)]))
        shown = ready.model.codec.decode(state.video[:, :, 1:].transpose(1, 2))
    frames = np.concatenate([foreseeing(1).foreseen[c] for c in seen().images], axis=2)
    expected = torch.from_numpy(frames).movedim(-1, -3)[None] / 127.5 - 1  # less what a codec loses
    assert torch.corrcoef(torch.stack([shown.flatten(), expected.flatten()]))[0, 1] > 0.2


def test_another_future_is_told_something_else_and_keeps_step(tmp_path: Path) -> None:
    from baselines.nano.given import Bank

    read = Bank.read(bank(tmp_path / "futures.npz", 9), (8, 16))
    chosen = {name: read.other(seen(episode=name)) for name in "abcdefgh"}
    assert len({one.tobytes() for one in chosen.values()}) > 3
    butter = read.frames[read.instruction == BUTTER]
    for name, frames in chosen.items():
        assert not (butter == frames).all(axis=(1, 2, 3, 4, 5)).any()
        (row,) = np.flatnonzero((read.frames == frames).all(axis=(1, 2, 3, 4, 5)))
        later = read.other(seen(episode=name, step=40))
        assert (later == read.frames[row + 1]).all() and (read.step[row], row % 2) == (0, 0)


def test_the_file_of_futures_is_part_of_who_it_is(tmp_path: Path) -> None:
    one, other = bank(tmp_path / "one.npz"), bank(tmp_path / "other.npz", 4)
    prints = [
        plugins.make_policy("nano-fastwam-idm", {"future": "other", "futures": path}).fingerprint()
        for path in (one, other)
    ]
    assert prints[0] != prints[1]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("nano-pi0", {"future": "masked"}, "imagines no future"),
        ("nano-oft", {"future": "present"}, "imagines no future"),
        ("nano-fastwam", {"future": "noise"}, "cannot read the future by construction"),
        ("nano-imagewam", {"future": "frozen"}, "cannot read the future by construction"),
        ("nano-imagewam-noise-idm", {"future": "present"}, "pure noise"),
        ("nano-fastwam-idm", {"future": "other"}, "futures.npz"),
        ("nano-fastwam-idm", {"futures": "x.npz"}, "leave 'futures' out"),
        ("nano-fastwam-idm", {"future": "other", "futures": "x.npz"}, "no file 'x.npz'"),
        ("nano-fastwam-idm", {"future": "past"}, "future"),
        ("nano-pi0", {"blank": ["smell"]}, "blank"),
        ("nano-pi0", {"blank": ["text"], "swap_instruction": 1}, "name one"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    name: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words) as error:
        plugins.make_policy(name, options)
    assert "\n" not in str(error.value) and name in str(error.value)


def test_a_file_that_holds_no_futures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "futures.npz"
    options = {"future": "other", "futures": path}
    path.write_text("nothing")
    with pytest.raises(UserError, match="holds no futures"):
        plugins.make_policy("nano-fastwam-idm", options).load()
    bank(path, 1)
    with pytest.raises(UserError, match="one instruction"):
        plugins.make_policy("nano-fastwam-idm", options).load()


def test_an_intervention_opens_its_inference_too() -> None:
    policy = made("nano-fastwam-idm", future="masked")
    inference = policy.inference("loaded")
    assert inference.flops is None and inference.attention is None
    with torch.inference_mode():
        state = inference.program.run(inference.state([seen()]))
        commands = policy._loaded().prepare.commands(inference.action(state), [seen()])
    assert (commands[0] == acted(policy)[0]).all()
    assert policy.inference("meta") is not None


def test_only_a_frozen_future_is_a_memory() -> None:
    """Whoever may remember cannot be served where no episode is seen, nor asked out of turn."""
    for name in NANO:
        assert type(plugins.make_policy(name, {})).reset is Policy.reset
    frozen = plugins.make_policy("nano-fastwam-idm", {"future": "frozen"})
    assert type(frozen).reset is not Policy.reset
    assert type(plugins.make_policy("nano-fastwam-idm", {"future": "noise"})).reset is Policy.reset


@pytest.mark.parametrize("future", ["masked", "present", "noise", "frozen", "other"])
def test_an_action_that_ignores_its_imagination_shows_no_effect(
    future: str, tmp_path: Path
) -> None:
    futures = {"futures": str(bank(tmp_path / "futures.npz"))} if future == "other" else {}
    expected = acted(ignoring(), seen(0), seen(1, step=8))
    changed = ignoring(future=future, **futures)
    assert (acted(changed, seen(0), seen(1, step=8)) == expected).all()
    deaf = ignoring(blank=["text"])
    assert np.abs(acted(deaf, seen(0)) - expected[0]).max() > 1e-4  # it does not ignore everything


def test_an_action_that_depends_on_its_imagination_alone_fails_under_another(
    tmp_path: Path,
) -> None:
    def ends(**options: Any) -> list[bool]:
        policy = alone(**options)
        goals = (-0.6, 0.6)
        return [abs(play(policy, str(goal), goal) - goal) < 0.1 for goal in goals]

    assert ends() == [True, True]
    assert ends(blank=["text", "proprioception", "wrist"]) == [True, True]
    assert ends(future="frozen") == [True, True]  # the goal stays where it was
    for future in ("present", "noise"):
        assert ends(future=future) == [False, False]
    assert ends(future="other", futures=bank(tmp_path / "futures.npz")) == [False, False]
