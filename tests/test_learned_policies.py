"""Learned policies as a user runs them: tiny releases on disk, observations in, commands out."""

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.core.build import on_meta, parameter_count
from baselines.core.checkpoints.hashing import missing
from baselines.core.checkpoints.writing import write_safetensors
from baselines.core.robots import LIBERO, opening_to_libero, relative_to_state
from baselines.core.source import ASIDE, source_hash
from baselines.imagewam.flux2.loading import fill_editor
from baselines.imagewam.omnigen2.loading import fill_editor as fill_omnigen2
from baselines.nano.config import NANO
from baselines.videowam.loading import fill_video
from tests.conftest import CommandLine
from tests.golden_data import gap
from tests.releases import MAKERS, Release, observation, release
from wambench import UserError, plugins
from wambench.contract import checked_chunk, mismatches
from wambench.profile.latency.graphs import CannotCapture
from wambench.profile.observations import observations
from wambench.protocols import protocol

PUBLISHED = [
    name for name, point in plugins.installed(plugins.POLICIES).items()
    if point.value.startswith(("baselines.imagewam", "baselines.videowam", "baselines.vla"))
]  # fmt: skip
TASKS = ("pick up the black bowl", "place it on the plate and pick up the stove")


@pytest.fixture(scope="module", params=MAKERS)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = tmp_path_factory.mktemp(request.param)
    return release(request.param, folder)


def seen(tiny: Release) -> list[Any]:
    side = tiny.card.robot.image_size[0]
    return [observation(seed, TASKS[seed % 2], side) for seed in range(4)]


def loaded(tiny: Release, **changes: Any) -> Any:
    policy = tiny.policy(**changes)
    policy.load()
    return policy


def test_files_give_the_model_that_wrote_them(tiny: Release) -> None:
    policy = loaded(tiny)
    filled = policy.build()
    policy.fill(filled, next(tiny.model.parameters()).dtype)
    theirs = tiny.model.state_dict()
    for name, tensor in filled.state_dict().items():
        assert gap(tensor, theirs[name]) == 0, name


def test_chunks_are_what_the_engine_takes(tiny: Release) -> None:
    policy = loaded(tiny)
    chunks = policy.act(seen(tiny))
    assert len(chunks) == 4
    for chunk in chunks:
        assert chunk.shape == (6, 7)
        checked_chunk(chunk, policy.spec.action, policy.spec.horizon)
    for one, other in ((0, 1), (0, 2), (1, 3)):
        assert np.abs(chunks[one] - chunks[other]).max() > 1e-3


def test_a_chunk_does_not_depend_on_its_neighbours(tiny: Release) -> None:
    for preset in ("released", "best-exact"):
        policy, everything = loaded(tiny, preset=preset), seen(tiny)
        together = policy.act(everything)
        backwards = loaded(tiny, preset=preset).act(everything[::-1])[::-1]
        for chunk, other, one in zip(together, backwards, everything, strict=True):
            assert np.array_equal(chunk, other)
            assert np.array_equal(chunk, policy.act([one])[0])  # now with its text kept


def test_presets_and_batches_agree(tiny: Release) -> None:
    plain = loaded(tiny).act(seen(tiny))
    for changes in ({"preset": "best-exact"}, {"batch_size": 4},
                    {"preset": "best-exact", "batch_size": 3}):  # fmt: skip
        policy = loaded(tiny, **changes)
        for _ in range(2):  # the second time with kept text
            for chunk, other in zip(policy.act(seen(tiny)), plain, strict=True):
                assert np.abs(chunk - other).max() < 2e-5  # of commands about 2


def test_an_inference_laid_open_is_what_acts(tiny: Release) -> None:
    policy, first = loaded(tiny), seen(tiny)[:1]
    inference = policy.inference("loaded")
    state = inference.state(first)
    with torch.inference_mode():
        inference.program.run(state)
    shown = policy._loaded().prepare.commands(inference.action(state), first)
    assert np.array_equal(policy.act(first)[0], shown[0])
    assert inference.control_hz == 20
    is_regression = tiny.card.name == "openvla-oft"
    assert bool(inference.cache(state)) != is_regression
    parts = [parameter_count(part) for part in inference.components.values()]
    assert sum(parts) == parameter_count(policy._loaded().model)


def test_an_inference_on_meta_needs_no_files(tiny: Release) -> None:
    policy = tiny.policy(**dict.fromkeys(tiny.policy().files()))
    inference = policy.inference("meta")
    state = inference.state(observations(policy.spec, 2))
    with torch.inference_mode():
        inference.program.run(state)
    action = inference.action(state)
    assert action.is_meta and action.shape[:2] == (2, 6) and action.shape[2] >= 7
    assert all(tensor.is_meta for tensor in inference.cache(state))
    with pytest.raises(RuntimeError, match="load"):
        policy.inference("loaded")


def test_sizes_may_be_changed_for_a_study(tiny: Release) -> None:
    def steps(**changes: Any) -> list[str]:
        program = tiny.policy(**changes).inference("meta").program
        return [step.stage for step in program.steps]

    if tiny.card.name == "openvla-oft":
        assert not tiny.options_kind.SIZES
        return
    assert steps().count("act") == 3 and steps(steps=5).count("act") == 5
    assert loaded(tiny, steps=5).act(seen(tiny)[:1])[0].shape == (6, 7)
    if tiny.card.name in ("pi0", "smolvla"):
        return
    policy = loaded(tiny, picture=(64, 96), text_length=50)
    inference = policy.inference("loaded")
    state = inference.state(seen(tiny)[:1])
    assert state.image.shape == (1, 3, 64, 96)
    assert (state.token_ids if "image" in tiny.card.name else state.text_ids).shape == (1, 50)
    assert policy.config()["architecture"]["image_size"] == [64, 96]
    assert np.isfinite(policy.act(seen(tiny)[:1])[0]).all()
    if tiny.card.name == "fastwam":  # in mode idm
        assert steps(video_steps=2).count("imagine") == 2
        frames = loaded(tiny, video_frames=5).inference("loaded").state(seen(tiny)[:1])
        assert frames.noise_video.shape[2] == 2


def test_noise_is_the_released_seed_or_the_cells_own(tiny: Release) -> None:
    first = seen(tiny)[0]
    other = observation(0, TASKS[0], tiny.card.robot.image_size[0])
    object.__setattr__(other, "noise_seed", 99)
    # Two editors sample their latents too, always with the cell's own noise.
    samples = tiny.card.name in ("imagewam-ovis-u1", "imagewam-omnigen2")
    still = {"latents": "mean"} if samples else {}
    fixed, own = loaded(tiny, **still), loaded(tiny, noise_seed=None, **still)
    assert np.array_equal(fixed.act([first])[0], fixed.act([other])[0])
    is_regression = tiny.card.name == "openvla-oft"  # which draws none
    assert np.array_equal(own.act([first])[0], own.act([other])[0]) == is_regression


def test_a_fingerprint_moves_with_every_file(tiny: Release, tmp_path: Path) -> None:
    before = tiny.policy().fingerprint()
    assert {"code", "device", "statistics", "version:torch"} <= set(before)
    for option, (path, _) in tiny.policy().files().items():
        assert option in before and len(before[option]) == 32
        absent = tmp_path / "gone"
        with pytest.raises(UserError, match="gone"):
            tiny.policy(**{option: absent}).fingerprint()
        with pytest.raises(UserError, match=f"needs option {option}"):
            tiny.policy(**{option: None}).fingerprint()
        assert any(option in line for line in tiny.policy(**{option: None}).obstacles())
        assert path is not None and not any(str(path) in o for o in tiny.policy().obstacles())


def test_missing_statistics_are_named_before_anything_is_loaded(
    tiny: Release, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="to turn actions into the robot's units") as caught:
        tiny.policy(statistics=tmp_path / "stats.json").fingerprint()
    assert "stats.json' is missing" in str(caught.value) and "\n" not in str(caught.value)


def test_random_weights_need_no_files(tiny: Release) -> None:
    files = dict.fromkeys(tiny.policy().files())
    policy = loaded(tiny, weights="random", **files)
    assert policy.obstacles() == [] and "checkpoint" not in policy.fingerprint()
    chunks = policy.act(seen(tiny))
    assert all(np.isfinite(chunk).all() for chunk in chunks)
    again = loaded(tiny, weights="random", **files).act(seen(tiny))
    assert all(np.array_equal(a, b) for a, b in zip(chunks, again, strict=True))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_policies_are_described_without_a_model(name: str) -> None:
    policy = plugins.make_policy(name, {})
    needs = policy.needs()
    assert needs.files and policy.obstacles()
    built = policy.build()
    counts = {k: sum(p.numel() for p in m.parameters()) for k, m in built.named_children()}
    if set(needs.parameters) == set(counts):
        assert dict(needs.parameters) == counts
    else:  # pi0's modules are nested otherwise
        assert name in ("pi0", "pi05") and sum(needs.parameters.values()) == sum(counts.values())
    config = policy.config()
    assert set(config) == {"architecture", "options", "inference"}
    with pytest.raises(UserError, match="needs option"):
        policy.fingerprint()


@pytest.mark.parametrize("name", [n for n in PUBLISHED if "robotwin" not in n])
def test_libero_policies_fit_libero(name: str) -> None:
    suite = plugins.make_suite("libero_object").spec
    rules = protocol("imagewam")
    spec = plugins.make_policy(name, {}).spec
    found = mismatches(spec, suite, image_size=rules.image_size, orientation=rules.orientation)
    assert found == []


@pytest.mark.parametrize("name", NANO)
def test_nano_policies_fit_libero_under_their_protocol(name: str) -> None:
    suite = plugins.make_suite("libero_spatial").spec
    rules = protocol("nano-1")
    policy = plugins.make_policy(name, {})
    images = {"image_size": rules.image_size, "orientation": rules.orientation}
    assert mismatches(policy.spec, suite, **images) == []
    assert policy.spec.track == "nano" and "nano" in policy.spec.about
    counted = sum(policy.needs().parameters.values())
    assert 1.25e6 < counted < 1.35e6


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"chekpoint": "x"}, "did you mean checkpoint"),
        ({"preset": "fast"}, "preset"),
        ({"batch_size": 0}, "batch_size"),
        ({"imagine_steps": -1}, "imagine_steps"),
        ({"dtype": "int8"}, "dtype"),
        ({"steps": 0}, "steps"),
        ({"picture": [64]}, "picture"),
        ({"picture": [100, 64]}, r"picture \(100, 64\): .* not a multiple of 16 pixels"),
        ({"video_steps": 1}, "video_steps"),
    ],
)
def test_bad_options_get_one_line(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        plugins.make_policy("imagewam-4b", options)
    assert "imagewam-4b" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("fastwam-joint", {"video_steps": 1}, "joint .* video_steps 1; leave it out, or use idm"),
        ("fastwam", {"video_frames": 5}, "plain .* use joint or idm"),
        ("fastwam-idm", {"video_frames": 6}, "video_frames 6: .* 1 \\+ a multiple of 4"),
        ("fastwam-idm", {"picture": [48, 64]}, "picture .48, 64.: image side 48: no multiple of"),
        ("openvla-oft", {"steps": 5}, "no option 'steps'"),
        ("pi0", {"picture": [64, 64]}, "no option 'picture'"),
    ],
)
def test_sizes_that_a_policy_cannot_have(name: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        plugins.make_policy(name, options)
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [*PUBLISHED, *NANO])
def test_every_geometry_can_be_made(name: str) -> None:
    variants = plugins.make_policy(name, {}).variants()
    is_wam = name.startswith(("imagewam", "fastwam"))
    own = "robotwin" if name.endswith("-robotwin") else "libero"
    others = {"robotwin", "paper"} if is_wam and own == "libero" else set()
    if name.startswith("imagewam") and name.endswith("-idm"):  # which have no sibling there
        others = {"paper"}
    assert set(variants) == {own} | others
    assert variants[own].policy == name
    for geometry, variant in variants.items():
        policy = plugins.make_policy(variant.policy, variant.options)
        shape = policy.config().get("architecture", {})
        cameras = {"libero": 2, "robotwin": 3, "paper": 2}[geometry]
        assert len(policy.spec.cameras) == cameras
        assert (shape.get("image_size") == [320, 640]) == (geometry == "paper")


def test_a_listing_imports_no_torch() -> None:
    code = (
        "import sys; from wambench import plugins\n"
        f"for name in {PUBLISHED!r}:\n"
        "    policy = plugins.make_policy(name, {}); policy.needs(); policy.obstacles()\n"
        "    policy.config(); policy.variants()\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_commands_are_in_the_suites_convention() -> None:
    actions = np.array([[0.1, 0, 0, 0, 0, 0, 1.0], [0.2, 0, 0, 0, 0, 0, 0.0]])
    opened = opening_to_libero(actions, np.zeros(8))
    assert opened[:, -1].tolist() == [-1.0, 1.0] and opened[0, 0] == 0.1  # -1 opens in LIBERO
    moved = relative_to_state(actions, np.arange(8.0))
    assert moved[0].tolist() == [0.1, 1, 2, 3, 4, 5, 1.0]
    parts = {"eef_pos": 3, "eef_axis_angle": 3, "gripper_qpos": 2}
    proprio = {name: np.full(dim, dim + len(name)) for name, dim in parts.items()}
    assert LIBERO.state(proprio).tolist() == [10.0] * 3 + [17.0] * 3 + [14.0] * 2


def test_base_weights_start_a_training(tmp_path: Path) -> None:
    """Diffusers folders of the backbones fill the backbone alone; the rest stays as it is."""
    made = {
        "imagewam": ("editor", fill_editor), "omnigen2": ("editor", fill_omnigen2),
        "fastwam": ("video", fill_video),
    }  # fmt: skip
    for family, (part, fill) in made.items():
        source = release(family, _folder(tmp_path / family)).model
        folder = _folder(tmp_path / family / "transformer")
        write_safetensors(
            folder / "diffusion_pytorch_model.safetensors", getattr(source, part).state_dict(), {}
        )
        target = on_meta(functools.partial(type(source), source.config))
        fill(target, folder, torch.float32)
        theirs = getattr(source, part).state_dict()
        for name, tensor in getattr(target, part).state_dict().items():
            assert torch.equal(tensor, theirs[name])
        assert all(p.is_meta for p in target.proprio_encoder.parameters())


def test_a_model_of_the_hub_is_to_be_fetched_first(tiny: Release, tmp_path: Path) -> None:
    policy = tiny.policy(checkpoint=Path("nobody/nothing/vae"))
    with pytest.raises(UserError, match="'hf download nobody/nothing --local-dir DIR'") as caught:
        policy.fingerprint()
    assert "\n" not in str(caught.value)
    for file in ("model.pt", "/nobody/nothing", "../nobody/nothing", "runs/model.pt"):
        assert "check the path" in missing(Path(file))


def test_threads_are_those_that_were_asked_for(tiny: Release) -> None:
    before = torch.get_num_threads()
    try:
        for threads in (2, 1):
            loaded(tiny, threads=threads)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_graphs_are_refused_without_a_gpu(tiny: Release) -> None:
    with pytest.raises(UserError, match=r"mode graph needs a GPU, and device is cpu here; leave"):
        tiny.policy(mode="graph")


def test_graphs_are_what_acts(tiny: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a capture that only repeats the run, in place of CUDA's."""
    captures = []

    def capture(run: Any) -> Any:
        captures.append(run)
        run()
        return run

    eager = loaded(tiny)
    expected = eager.act(seen(tiny)[:1])[0]
    policy = tiny.policy()
    policy.options = policy.options.model_copy(update={"mode": "graph"})
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("wambench.profile.latency.graphs.cuda_capture", capture)
    policy.load()
    assert np.array_equal(policy.act(seen(tiny)[:1])[0], expected)
    made = len(captures)
    assert made >= 2, "text, and what follows"
    assert np.array_equal(policy.act(seen(tiny)[:1])[0], expected)
    assert len(captures) == made, "the same shapes are not captured again"


def test_a_stage_that_cannot_be_captured_is_no_silent_eager_one(
    tiny: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def capture(run: Any) -> Any:
        raise CannotCapture("operation not permitted when stream is capturing")

    policy = tiny.policy()
    policy.options = policy.options.model_copy(update={"mode": "graph"})
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("wambench.profile.latency.graphs.cuda_capture", capture)
    policy.load()
    with pytest.raises(RuntimeError, match=r"mode graph: stage \w+ cannot be captured: operation"):
        policy.act(seen(tiny)[:1])


def test_what_only_reads_tells_or_trains_makes_no_other_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "made_up_family"
    (package / "checkpoints").mkdir(parents=True)
    for file in ("__init__.py", "model.py", "checkpoints/reading.py", "loss.py", "cost.py"):
        (package / file).write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))

    def found() -> str:
        source_hash.cache_clear()
        return source_hash("made_up_family")

    first = found()
    for file in ("checkpoints/reading.py", "loss.py", "cost.py"):
        (package / file).write_text("# a mended message")
        assert found() == first, file
    (package / "model.py").write_text("# another model")
    assert found() != first
    root = Path(__file__).parents[1] / "baselines"
    assert {file.name for file in root.rglob("*.py")} >= ASIDE, "a name that no file has"


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("name", ["imagewam-4b", "fastwam-idm", "pi0", "openvla-oft"])
def test_a_sweep_without_weights_is_refused_before_it_starts(
    wambench: CommandLine, tmp_path: Path, name: str
) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        f"protocol: imagewam\npolicies: [{name}]\nsuites: {{libero_object: [0]}}\ninit_states: 0\n"
    )
    ended = wambench("sweep", sweep, "--out", tmp_path / "run")
    assert ended.code == 2 and not (tmp_path / "run").exists()
    (line,) = ended.err.splitlines()
    assert line.startswith(f"error: policy {name!r} needs option checkpoint (")
    assert "weights: random" in line
