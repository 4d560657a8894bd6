"""The trainer on a few made-up demonstrations: same seed same weights, killed and resumed alike."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import conv2d

from baselines.nano.config import NANO, STEPS, VERSIONS
from baselines.nano.cost import flops
from baselines.nano.facts import training_facts
from baselines.nano.models import make
from baselines.nano.options import NanoOptions
from baselines.nano.policy import NanoPolicy
from baselines.nano.trained import Trained, read_trained, write_trained
from baselines.training import trainer
from baselines.training.augment import shifted
from baselines.training.command import write
from baselines.training.data.dataset import Demonstrations
from baselines.training.data.episodes import Episode
from baselines.training.recipe import Recipe
from baselines.training.start import Start
from baselines.training.trainer import Trainer
from tests.golden_data import gap
from tests.releases import observation
from wambench import UserError


def episode(number: int, steps: int = 40) -> Episode:
    """A bright square whose place says where to go."""
    random = np.random.default_rng(number)
    place = random.integers(8, 48)
    frames = np.zeros((steps, 64, 64, 3), np.uint8)
    frames[:, 20:30, place : place + 8] = 255
    actions = np.zeros((steps, 7), np.float32)
    actions[:, 0] = (place - 28) / 28
    actions[:, 6] = np.where(np.arange(steps) < steps // 2, -1, 1)
    state = np.cumsum(np.pad(actions, ((0, 0), (0, 1))), axis=0).astype(np.float32) / steps
    return Episode(
        source=f"made up {number}", suite="toy", task="go", instruction="go to the light",
        init_state=number, seed=0, state=state, actions=actions, labels=actions,
        images={"agentview": frames, "wrist": frames[:, ::-1].copy()},
    )  # fmt: skip


@pytest.fixture(scope="module")
def demos() -> Demonstrations:
    episodes = [episode(number) for number in range(10)]
    return Demonstrations(
        cameras=("agentview", "wrist"), size=(64, 64),
        train=tuple(episodes[:8]), validation=tuple(episodes[8:]),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small enough that validating takes no longer than the few steps of training."""
    monkeypatch.setattr(trainer, "VALIDATION_SAMPLES", 8)
    monkeypatch.setattr(trainer, "REPORT_EVERY", 25)


def recipe(name: str, **changes: object) -> Recipe:
    return Recipe(**{"preset": name, "steps": 4, "batch_size": 2, "save_every": 2, **changes})


OTHER = {"optimiser": "muon", "dtype": "bfloat16", "action_draws": 2}  # than the defaults


@pytest.mark.parametrize(
    ("name", "changes"),
    [*((name, {}) for name in NANO), ("nano-fastwam-idm", OTHER), ("nano-pi0", OTHER)],
)
def test_killed_and_resumed_equals_uninterrupted(
    name: str, changes: dict[str, object], demos: Demonstrations, tmp_path: Path
) -> None:
    for folder in ("whole", "parts"):
        (tmp_path / folder).mkdir()
    chosen = recipe(name, **changes)
    whole = Trainer(NANO[name], chosen, demos, tmp_path / "whole")
    start = whole.weights_hash()
    whole.run()
    Trainer(NANO[name], chosen, demos, tmp_path / "parts").run(until=3)  # saved at 2 and 3
    state = torch.load(tmp_path / "parts" / "state.pt", weights_only=True)
    assert state["step"] == 3
    resumed = Trainer(NANO[name], chosen, demos, tmp_path / "parts")
    assert resumed.step == 3
    resumed.run()
    assert start != whole.weights_hash() == resumed.weights_hash()


def test_presets_are_of_one_size() -> None:
    counts = {}
    for name, config in NANO.items():
        model = make(config)
        counts[name] = sum(p.numel() for p in model.parameters())
        assert counts[name] == sum(config.parameters.values())
    assert max(counts.values()) < 1.05 * min(counts.values())
    assert max(counts.values()) * 4 < 8 * 2**20  # bytes of a file


def test_training_learns_and_logs(demos: Demonstrations, tmp_path: Path) -> None:
    long = recipe("nano-oft", steps=60, batch_size=8, save_every=30, validate_every=20, ema=0.9)
    training = Trainer(NANO["nano-oft"], long, demos, tmp_path)
    before = training.validate()
    training.run()
    after = training.validate()
    assert after.loss < 0.7 * before.loss and after.action_error < 0.6 * before.action_error
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [25, 50, 60]
    assert float(rows[-1]["validation_loss"]) == pytest.approx(after.loss)
    assert float(rows[-1]["learning_rate"]) < float(rows[0]["learning_rate"])


def test_the_learning_rate_rises_stays_and_falls(demos: Demonstrations, tmp_path: Path) -> None:
    long = recipe("nano-oft", steps=200, warmup=0.1, decay=0.3, final_rate=0.01)
    rate = Trainer(NANO["nano-oft"], long, demos, tmp_path).learning_rate
    assert [rate(step) / long.learning_rate for step in (0, 9, 19, 20, 80, 140)] == pytest.approx(
        [1 / 20, 0.5, 1, 1, 1, 1]
    )
    assert rate(170) / long.learning_rate == pytest.approx((1 + 0.01) / 2)
    assert rate(200) / long.learning_rate == pytest.approx(0.01)


def test_muon_moves_hidden_matrices_and_adam_the_rest(
    demos: Demonstrations, tmp_path: Path
) -> None:
    """An update of a hidden matrix is nearly orthogonal: its largest singular value is known."""
    for name in NANO:
        folder = tmp_path / name
        folder.mkdir()
        training = Trainer(NANO[name], recipe(name, optimiser="muon", warmup=0), demos, folder)
        before = {n: p.detach().clone() for n, p in training.model.named_parameters()}
        training.run(until=1)
        moved = {n: p.detach() - before[n] for n, p in training.model.named_parameters()}
        adam, muon = (part.param_groups[0]["params"] for part in training._optimiser._parts)
        assert len(adam) + len(muon) == sum(p.requires_grad for p in training.model.parameters())
        chosen = {id(parameter) for parameter in muon}
        for n, parameter in training.model.named_parameters():
            if id(parameter) in chosen and moved[n].abs().max() > 0:
                largest = torch.linalg.matrix_norm(moved[n], 2) / training.recipe.learning_rate
                assert 0.6 < largest / (0.2 * max(parameter.shape) ** 0.5) < 1.4, n


@pytest.mark.parametrize("name", NANO)
def test_what_a_model_imagines_is_drawn(name: str, demos: Demonstrations, tmp_path: Path) -> None:
    training = Trainer(NANO[name], recipe(name), demos, tmp_path)
    drawn = training.picture(tmp_path / "first.png")
    has_images = NANO[name].kind in ("imagewam", "fastwam")
    assert drawn == has_images == (tmp_path / "first.png").exists()
    if not drawn:
        return
    training.run(until=2)
    training.picture(tmp_path / "second.png")
    first, second = (
        np.asarray(Image.open(tmp_path / f"{which}.png")) for which in ("first", "second")
    )
    frame = 2 * 2 * 64 + 4  # two cameras, twice as large, and a gap
    assert first.shape == (14 + 6 * (2 * 64 + 4), frame * (1 + 2 * NANO[name].future), 3)
    changed = (first != second).any(axis=(0, 2))
    assert not changed[: 2 * frame].any()  # what was seen, and what was then seen
    assert changed[2 * frame : 3 * frame].any()  # what is imagined


@pytest.mark.parametrize("name", ["nano-imagewam", "nano-oft"])
def test_training_compute_is_counted(name: str, demos: Demonstrations, tmp_path: Path) -> None:
    training = Trainer(NANO[name], recipe(name), demos, tmp_path)
    before = training.weights_hash()
    # Forward and backward passes of a linear layer are three products; every token and sample has
    # its own, so a batch twice as large takes twice as many, and more than inference thrice.
    double = Trainer(NANO[name], recipe(name, batch_size=4), demos, tmp_path)
    assert double.flops_per_step == 2 * training.flops_per_step
    words = "go to the light"
    assert training.flops_per_step > 2 * 2 * sum(flops(NANO[name], words)) / STEPS
    assert training.weights_hash() == before


def test_the_command_of_a_training_names_no_place() -> None:
    assert recipe("nano-pi0", seed=3).command() == (
        "wambench train nano-pi0 --data DATA --out OUT --steps 4 --batch-size 2 "
        "--learning-rate 0.001 --seed 3 --device cpu --dtype float32"
    )


def test_another_recipe_or_data_is_refused(demos: Demonstrations, tmp_path: Path) -> None:
    Trainer(NANO["nano-oft"], recipe("nano-oft"), demos, tmp_path).run(until=2)
    with pytest.raises(UserError, match="another recipe"):
        Trainer(NANO["nano-oft"], recipe("nano-oft", seed=1), demos, tmp_path)
    fewer = Demonstrations(cameras=demos.cameras, size=demos.size, train=demos.train[:7],
                           validation=demos.validation)  # fmt: skip
    with pytest.raises(UserError, match="belongs to other data"):
        Trainer(NANO["nano-oft"], recipe("nano-oft"), fewer, tmp_path)
    (tmp_path / "state.pt").write_bytes(b"half")
    with pytest.raises(UserError, match="is no training state"):
        Trainer(NANO["nano-oft"], recipe("nano-oft"), demos, tmp_path)


@pytest.mark.parametrize("name", NANO)
def test_trained_weights_make_a_policy(name: str, demos: Demonstrations, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    training = Trainer(NANO[name], recipe(name), demos, tmp_path / "out")
    path = tmp_path / "weights.safetensors"
    write_trained(
        path,
        Trained(
            config=training.config, recipe=training.recipe.model_dump(mode="json"),
            statistics=training.statistics, vocabulary=training.vocabulary,
            facts={"step": 3, "instructions": ["go to the light", "to the light go"]},
            tensors=training.ema.values,
        ),
    )  # fmt: skip
    again = read_trained(path)
    assert again.config == NANO[name] and again.vocabulary.words == ("go", "light", "the", "to")
    assert all(torch.equal(again.tensors[n], t) for n, t in training.ema.values.items())
    policy = NanoPolicy(NANO[name], NanoOptions(weights=path))
    assert policy.config()["trained"] == {
        "steps": 4, "batch_size": 2, "seed": 0, "step": 3, "samples": 6,
    }  # fmt: skip
    assert policy.obstacles() == () and len(policy.fingerprint()["weights"]) == 32
    policy.load()
    seen = [observation(seed, "go to the light", 64) for seed in range(3)]
    together = policy.act(seen)
    for chunk, one in zip(together, seen, strict=True):
        assert chunk.shape == (16, 7) and np.isfinite(chunk).all()
        assert np.array_equal(chunk, policy.act([one])[0])
    inference = policy.inference("loaded")
    assert set(inference.components) == set(policy.needs().parameters)
    state = inference.state(seen)
    with torch.inference_mode():
        inference.program.run(state)
    shown = policy._loaded().prepare.commands(inference.action(state), seen)
    assert gap(torch.tensor(np.array(shown)), torch.tensor(np.array(together))) < 1e-5
    same = NanoPolicy(NANO[name], NanoOptions(weights=path, swap_instruction=2))
    swapped = NanoPolicy(NANO[name], NanoOptions(weights=path, swap_instruction=1))
    for heard, is_equal in ((same, True), (swapped, False)):
        heard.load()
        assert np.array_equal(heard.act(seen[:1])[0], together[0]) == is_equal
    untrained = [
        NanoPolicy(NANO[name], NanoOptions(weights=path, untrained=seed)) for seed in (1, 1, 2)
    ]
    chunks = []
    for control in untrained:
        control.load()
        chunks.append(control.act(seen[:1])[0])
    assert np.array_equal(chunks[0], chunks[1]) and not np.array_equal(chunks[0], chunks[2])
    assert not np.array_equal(chunks[0], together[0])
    other = next(n for n in NANO if NANO[n].kind != NANO[name].kind)
    with pytest.raises(UserError, match="holds"):
        NanoPolicy(NANO[other], NanoOptions(weights=path)).load()


def test_shifts_move_a_cameras_frames_together() -> None:
    frames = torch.arange(2 * 3 * 2 * 3 * 8 * 8, dtype=torch.uint8).reshape(2, 3, 2, 3, 8, 8)
    moved = shifted(frames, 3, torch.Generator().manual_seed(0))
    assert moved.shape == frames.shape and not torch.equal(moved, frames)
    one = frames[:, :1].expand(-1, 3, -1, -1, -1, -1)
    together = shifted(one, 3, torch.Generator().manual_seed(0))
    assert torch.equal(together[:, 0], together[:, 2])
    assert torch.equal(shifted(frames, 0, torch.Generator()), frames)


@pytest.mark.parametrize("name", NANO)
def test_an_untrained_policy_needs_no_file(name: str, tmp_path: Path) -> None:
    bare = NanoPolicy(NANO[name], NanoOptions(weights=tmp_path / "none", untrained=0))
    assert bare.obstacles() == () and bare.fingerprint()["weights"] == "none"
    assert bare.config()["trained"] == {}
    bare.load()
    chunk = bare.act([observation(0, "go", 64)])[0]
    assert chunk.shape == (16, 7) and np.isfinite(chunk).all()


def trained(training: Trainer, path: Path) -> Start:
    """What a training has made so far, written as the command does and read to begin with."""
    write(training, path)
    return Start.read(path, training.config.name)


def test_a_training_begins_with_the_weights_of_another(
    demos: Demonstrations, tmp_path: Path
) -> None:
    for folder in "abcd":
        (tmp_path / folder).mkdir()
    config = NANO["nano-pi0"]
    first = Trainer(config, recipe("nano-pi0"), demos, tmp_path / "a")
    first.run()
    start = trained(first, tmp_path / "first.safetensors")
    again = recipe("nano-pi0", start=start.hash, seed=1)
    others = Demonstrations(cameras=demos.cameras, size=demos.size, train=demos.train[3:],
                            validation=demos.validation)  # fmt: skip
    whole = Trainer(config, again, others, tmp_path / "b", start)
    assert whole.weights_hash() == first.weights_hash()
    assert whole.statistics is start.statistics  # the data's own would move what is commanded
    whole.run()
    Trainer(config, again, others, tmp_path / "c", start).run(until=3)
    resumed = Trainer(config, again, others, tmp_path / "c", start)
    resumed.run()
    assert whole.weights_hash() == resumed.weights_hash() != first.weights_hash()
    assert f"--init {first.weights_hash()} " in again.command()
    write(whole, tmp_path / "second.safetensors")
    facts = training_facts(tmp_path / "second.safetensors")
    assert (facts["step"], facts["samples"]) == (8, 16)
    assert facts["cpu_seconds"] == pytest.approx(first.cpu_seconds + whole.cpu_seconds, abs=0.1)
    history = Start.read(tmp_path / "second.safetensors", "nano-pi0").history()
    assert [row["data_hash"] for row in history] == [demos.data_hash, others.data_hash]
    with pytest.raises(UserError, match="holds nano-pi0, not nano-oft"):
        Start.read(tmp_path / "first.safetensors", "nano-oft")
    plain = Trainer(NANO["nano-imagewam"], recipe("nano-imagewam"), demos, tmp_path / "d")
    write(plain, tmp_path / "plain.safetensors")
    reads = Start.read(tmp_path / "plain.safetensors", "nano-imagewam-noise-idm")
    assert reads.hash == plain.weights_hash()  # one network, whatever an action reads
    strange = dataclasses.replace(demos.train[0], instruction="go to the dark door")
    with pytest.raises(UserError, match="never met dark, door, words of the data"):
        Trainer(config, again, dataclasses.replace(demos, train=(strange,)), tmp_path / "d", start)


@pytest.mark.parametrize("name", ["nano-imagewam", "nano-fastwam-idm", "nano-pi0", "nano-oft"])
def test_finer_squares_begin_with_weights_of_coarser_ones(
    name: str, demos: Demonstrations, tmp_path: Path
) -> None:
    for folder in "abc":
        (tmp_path / folder).mkdir()
    coarse = Trainer(VERSIONS[1][name], recipe(name), demos, tmp_path / "a")
    start = trained(coarse, tmp_path / "first.safetensors")
    with pytest.raises(UserError, match=f"holds {name} 1, not {name} 2; name the right file"):
        NanoPolicy(NANO[name], NanoOptions(weights=tmp_path / "first.safetensors")).load()
    chosen = recipe(name, start=start.hash, seed=1)
    fine = Trainer(NANO[name], chosen, demos, tmp_path / "b", start)
    squares = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    large = squares.repeat_interleave(2, -1).repeat_interleave(2, -2)
    for path, found in fine.model.named_parameters():
        before = start.tensors[path]
        if before.shape == found.shape:
            assert torch.equal(before, found), path
        elif found.ndim == 4:  # reads a square as it read its enlargement
            assert torch.allclose(conv2d(squares, found), conv2d(large, before), atol=1e-4), path
        elif "position" in path:
            side = found.unflatten(-2, (8, 8)).movedim(-1, 0)
            corner = before.unflatten(-2, (4, 4)).movedim(-1, 0)[..., 0, 0]
            assert torch.equal(side[..., 0, 0], corner), path
        else:
            assert path.startswith("codec."), path
    fine.run()
    Trainer(NANO[name], chosen, demos, tmp_path / "c", start).run(until=3)
    resumed = Trainer(NANO[name], chosen, demos, tmp_path / "c", start)
    resumed.run()
    assert fine.weights_hash() == resumed.weights_hash()
