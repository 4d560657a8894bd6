"""What action tokens read, against an explicit softmax, and labels against what moves a key."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis.attention.capture import LIMIT_BYTES, Capture, attention_of, probabilities
from analysis.attention.reduce import Captured, Reduction, Sizes, bins, fitting
from baselines.core import attention as core
from baselines.core.labels import ACTION, OTHER, PROPRIO, Labels
from baselines.core.robots import LIBERO, ROBOTWIN, ROBOTWIN_LARGE, Robot, resized
from baselines.imagewam.flux2.reading import calls as imagewam_calls
from baselines.imagewam.ovis_u1.reading import calls as ovis_calls
from baselines.nano.vocabulary import Vocabulary
from baselines.videowam.reading import calls as fastwam_calls
from baselines.vla.oft.reading import calls as oft_calls
from baselines.vla.pi0.reading import calls as pi0_calls
from baselines.vla.smolvla.reading import calls as smolvla_calls
from tests.golden_data import randomised
from tests.releases import FASTWAM, OVIS_U1, Release, observation, release
from wambench import Observation, UserError, plugins
from wambench.attention import Grid, Reading, Token
from wambench.inference import Inference
from wambench.profile.observations import FREE_SIZE

TASK = "pick up the black bowl and place it"
OTHER_WORD = TASK.replace("black", "stove")
NANO = (
    "nano-imagewam",
    "nano-fastwam",
    "nano-fastwam-joint",
    "nano-fastwam-idm",
    "nano-pi0",
    "nano-oft",
)
TINY = (
    "imagewam",
    "ovis_u1",
    "fastwam-plain",
    "fastwam-joint",
    "fastwam-idm",
    "pi0",
    "pi05",
    "smolvla",
    "oft",
)
CASES = [*NANO, *(f"{name}/{preset}" for name in TINY for preset in ("released", "best-exact"))]
Make = Callable[[str], Any]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Policies with weights that matter, loaded, one for each case."""

    @functools.cache
    def written(family: str) -> Release:
        return release(family, tmp_path_factory.mktemp(family))

    @functools.cache
    def policy(case: str) -> Any:
        return (
            nano_policy(case) if case.startswith("nano") else tiny_policy(written, *case.split("/"))
        )

    return policy


def nano_policy(name: str) -> Any:
    options = {"untrained": 0, "weights": Path("none.safetensors")}
    policy: Any = plugins.make_policy(name, options)
    policy.load()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in policy._ready.model.named_parameters():
            if "codec.encoder" in name:  # zeros, before it is computed from frames
                weight.normal_(std=0.05)
            elif weight.requires_grad and weight.dim() > 1:
                weight.mul_(2.5)
    heard = dataclasses.replace(policy._ready.prepare, tokenize=Vocabulary.of([TASK, OTHER_WORD]))
    policy._ready = dataclasses.replace(policy._ready, prepare=heard)
    return policy


def tiny_policy(written: Callable[[str], Release], name: str, preset: str) -> Any:
    family, _, mode = name.partition("-")
    made = written("pi0" if family == "pi05" else family)
    changes: dict[str, Any] = {"preset": preset, "noise_seed": None}
    if mode:
        made = dataclasses.replace(made, extra=(mode,))
    if family == "pi05":
        shape = made.card.architecture.model_copy(update={"variant": "pi05"})
        made = dataclasses.replace(made, card=dataclasses.replace(made.card, architecture=shape))
        changes["weights"] = "random"
    policy = made.policy(**changes)
    policy.load()
    if family == "pi05":
        randomised(policy._ready.model, seed=5)
    return policy


def seen(policy: Any, seed: int = 0, task: str = TASK) -> Observation:
    return observation(seed, task, (policy.spec.image_size or FREE_SIZE)[0])


def captured(policy: Any, **options: Any) -> Captured:
    with Capture(policy.inference("loaded").attention, **options) as capture:
        policy.act([seen(policy)])
    (one,) = capture.taken
    return one


class Enough(Exception):
    """No more has to be computed."""


def first_readings(policy: Any, state: Callable[[Inference], Any]) -> list[Reading]:
    """Readings of the first layer at the first step, of an inference that begins in ``state``."""
    told: list[Reading] = []

    def listen(reading: Reading) -> None:
        if reading.step or reading.layer:
            raise Enough
        told.append(reading)

    inference = policy.inference("loaded")
    with inference.attention.watch(listen), torch.inference_mode(), contextlib.suppress(Enough):
        inference.program.run(state(inference))
    assert [one.part for one in told] == list(inference.attention.parts)
    return told


# ---- probabilities ------------------------------------------------------------------------------


@dataclasses.dataclass
class Kernel:
    """What a fused attention was given and gave."""

    stage: str
    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor | None
    out: Tensor

    def softmax(self, rows: slice) -> Tensor:
        """[heads, rows, K] in float64, written out."""
        q, k = self.q[0].double(), self.k[0].double()
        logits = torch.einsum("hqd,hkd->hqk", q, k) / math.sqrt(q.shape[-1])
        if self.mask is not None:
            allowed = self.mask.expand(1, *logits.shape)[0]
            logits = torch.where(allowed, logits, -math.inf)
        p = torch.exp(logits - logits.amax(-1, keepdim=True))
        p = p / p.sum(-1, keepdim=True)
        assert (p @ self.v[0].double() - self.out[0]).abs().max() < 1e-4
        return p[:, rows]


@contextmanager
def kernels(policy: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Kernel]]:
    """Record the fused attention of a policy's own layers, with the stage that called it."""
    found: list[Kernel] = []
    stage = ""
    fused = torch.nn.functional.scaled_dot_product_attention

    def recording(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None) -> Tensor:
        out = fused(q, k, v, attn_mask=attn_mask)
        found.append(Kernel(stage, q, k, v, attn_mask, out))
        return out

    def noted(step: Any) -> Any:
        def run(state: Any) -> None:
            nonlocal stage
            stage = step.stage
            step.run(state)

        return dataclasses.replace(step, run=run)

    program = policy._ready.program
    steps = program.steps
    with monkeypatch.context() as patch:
        patch.setattr(core, "F", SimpleNamespace(scaled_dot_product_attention=recording))
        object.__setattr__(program, "steps", [noted(step) for step in steps])
        yield found
    object.__setattr__(program, "steps", steps)


def asking(case: str, found: list[Kernel], layers: int) -> list[Kernel]:
    """The softmaxes that actions are in."""
    if case != "fastwam-joint/released":
        return [one for one in found if one.stage == "act"]
    # One pass of both experts: each layer attends together, then the video, then the action reads.
    together = [one for one in found if one.stage == "imagine"]
    return [one for i, one in enumerate(together) if i % 3 != 1]


@pytest.mark.parametrize("case", CASES)
def test_captured_probabilities_are_an_explicit_softmax(
    case: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make(case)
    attention = policy.inference("loaded").attention
    with kernels(policy, monkeypatch) as found:
        one = captured(policy, full=True)
    expected = iter(asking(case, found, attention.layers))
    peaks = []
    for step in range(attention.steps):
        for layer in range(attention.layers):
            for part in attention.parts:
                if layer >= attention.depth(part):
                    continue
                kernel = next(expected)
                numbers = attention.actions * (7 if "oft" in case else 1)
                first = kernel.q.shape[2] - numbers
                if "oft" in case and first:  # each row is read off the token before it, and a stop
                    first -= 2
                p = kernel.softmax(slice(first, first + numbers))
                p = p.unflatten(1, (attention.actions, -1)).mean(dim=2)
                full = one.parts[part].full
                assert full is not None
                ours = torch.from_numpy(full[step, layer])
                assert ours.shape == p.shape == (attention.heads, attention.actions, p.shape[2])
                assert (ours - p).abs().max() < 1e-5
                peaks.append(float(p.max() * p.shape[2]))
    assert next(expected, None) is None
    assert max(peaks) > 1.8  # none of this is uniform


@pytest.mark.parametrize("case", CASES)
def test_reductions_are_those_of_everything_and_rows_sum_to_1(case: str, make: Make) -> None:
    policy = make(case)
    assert captured(policy).bytes_per_step <= LIMIT_BYTES
    # Twice the limit, under which no neighbours are averaged.
    whole, one = captured(policy, full=True), captured(policy, limit_bytes=2 * LIMIT_BYTES)
    for part, read in one.parts.items():
        tokens, full = whole.parts[part].tokens, whole.parts[part].full
        assert full is not None and read.full is None and len(tokens) == full.shape[-1]
        kept = [i for i, token in enumerate(tokens) if token.kind != "other"]
        rest = [i for i, token in enumerate(tokens) if token.kind == "other"]
        assert read.tokens == [tokens[i] for i in kept] + [OTHER] * bool(rest)
        p = np.concatenate([full[..., kept], full[..., rest].sum(-1, keepdims=True)], -1)
        p = p[..., : len(read.tokens)]
        np.testing.assert_allclose(read.mean, p.mean(axis=2), atol=1e-6)
        np.testing.assert_allclose(read.maximum, p.max(axis=2), atol=1e-6)
        np.testing.assert_allclose(read.by_head, p.mean(axis=3), atol=1e-6)
        for rows in (full, read.mean, read.by_head):
            np.testing.assert_allclose(rows.sum(axis=-1), 1, atol=1e-5)
        if read.rollout is None:
            assert part in ("text", "cross") or "oft" in case
            continue
        np.testing.assert_allclose(read.rollout, rolled_out(p.mean(axis=2), read.tokens), atol=1e-5)
        np.testing.assert_allclose(read.rollout.sum(axis=-1), 1, atol=1e-5)


def rolled_out(mean: np.ndarray, tokens: Sequence[Token]) -> np.ndarray:
    """Attention rollout with whole matrices: tokens that are not actions stay what they are."""
    steps, layers, _, keys = mean.shape
    rows = [i for i, token in enumerate(tokens) if token.kind == "action"]
    out = []
    for step in range(steps):
        reached = np.eye(keys)
        for layer in range(layers):
            passing = np.eye(keys)
            passing[rows] = 0.5 * passing[rows] + 0.5 * mean[step, layer]
            reached = passing @ reached
        out.append(reached[rows])
    return np.stack(out)


@pytest.mark.parametrize("case", CASES)
def test_actions_are_the_same_to_the_bit(case: str, make: Make) -> None:
    policy = make(case)
    before = policy.act([seen(policy)])[0]
    for full in (False, True):
        with Capture(policy.inference("loaded").attention, full=full) as capture:
            during = [policy.act([seen(policy)])[0] for _ in range(2)]
        assert len(capture.taken) == 2
        assert all(np.array_equal(before, one) for one in during)
    assert np.array_equal(before, policy.act([seen(policy)])[0])


def test_attend_stays_one_graph() -> None:
    q = torch.randn(1, 3, 2, 4)
    assert torch._dynamo.explain(core.attend)(q, q, q).graph_break_count == 0


# ---- labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_tokens_are_counted(case: str, make: Make) -> None:
    policy = make(case)
    attention = policy.inference("loaded").attention
    whole = captured(policy, full=True)
    parts = [part for part in attention.parts if part not in ("image", "cross")]
    tokens = [token for part in parts for token in whole.parts[part].tokens]
    if "image" in attention.parts:  # of the same tokens, the image and the chunk
        own = [token for token in tokens if token.kind in ("image", "action")]
        assert list(whole.parts["image"].tokens) == own
    if "cross" in attention.parts:  # all but the chunk
        rest = [token for token in tokens if token.kind != "action"]
        assert list(whole.parts["cross"].tokens) == rest
    kinds = Counter(token.kind for token in tokens)
    images = sum(grid.rows * grid.columns for grid in attention.cameras.values())
    is_oft = "oft" in case
    assert kinds["image"] == images
    assert kinds["picture"] == (math.prod(OVIS_U1.seen_grid) if "ovis" in case else 0)
    assert kinds["imagined"] == images * attention.frames
    assert kinds["proprio"] == (0 if "pi05" in case else 1)
    assert kinds["action"] == attention.actions * (7 if is_oft else 1)
    text = [token.name for token in tokens if token.kind == "text"]
    assert text == [word for word in attention.words(TASK) if word]
    assert f" {TASK} " in " ".join(["", *text, ""])
    assert tuple(attention.cameras) == policy.spec.cameras
    for camera, grid in attention.cameras.items():
        places = [(t.row, t.column) for t in tokens if t.kind == "image" and t.name == camera]
        assert places == [(r, c) for r in range(grid.rows) for c in range(grid.columns)]
    frames = {token.frame for token in tokens if token.kind == "imagined"}
    assert frames == set(range(1, attention.frames + 1))


def moved(before: list[Reading], after: list[Reading]) -> set[Token]:
    """Tokens whose key in the first layer is another at the first step."""
    found = set()
    for one, other in zip(before, after, strict=True):
        assert one.tokens == other.tokens
        is_other = (one.keys != other.keys).flatten(2).any(-1)[0]
        found |= {t for t, is_moved in zip(one.tokens, is_other, strict=True) if is_moved}
    return found


def begun(*observations: Observation) -> Callable[[Inference], Any]:
    return lambda inference: inference.state(list(observations))


def cell(grid: Grid, row: int, column: int, size: tuple[int, int]) -> tuple[slice, slice]:
    """Pixels in the middle of a token on a camera's image."""
    edges = ((grid.top, grid.bottom, grid.rows, row), (grid.left, grid.right, grid.columns, column))
    out = []
    for (start, end, count, index), pixels in zip(edges, size, strict=True):
        side = (end - start) / count
        low, high = max(0, start + (index + 0.3) * side), start + (index + 0.7) * side
        out.append(slice(round(low * pixels), max(round(high * pixels), round(low * pixels) + 1)))
    return out[0], out[1]


@contextmanager
def patches_alone(policy: Any) -> Iterator[None]:
    """Image towers without attention, so that a patch moves its own token alone."""
    names = ("self_attn.out_proj", ".attention.o_proj")
    parameters = {
        name: weight
        for name, weight in policy._ready.model.named_parameters()
        if any(part in name for part in names)
    }
    kept = {name: weight.clone() for name, weight in parameters.items()}
    with torch.no_grad():
        for weight in parameters.values():
            weight.zero_()
        yield
        for name, weight in parameters.items():
            weight.copy_(kept[name])


EXACT = [case for case in CASES if case.startswith("nano") or case[:3] in ("pi0", "oft")]
"""Where an image token is computed from its own pixels, once image towers do not attend."""


@pytest.mark.parametrize("case", EXACT)
def test_a_patch_of_a_camera_moves_the_key_of_its_token(case: str, make: Make) -> None:
    policy = make(case)
    attention = policy.inference("loaded").attention
    plain = seen(policy)
    with patches_alone(policy):
        before = first_readings(policy, begun(plain))
        for camera, grid in attention.cameras.items():
            for row, column in {(0, grid.columns - 1), (grid.rows - 1, 0), (grid.rows // 2, 1)}:
                image = plain.images[camera].copy()
                image[cell(grid, row, column, image.shape[:2])] ^= 0xFF
                painted = dataclasses.replace(plain, images={**plain.images, camera: image})
                found = moved(before, first_readings(policy, begun(painted)))
                at_once = {token for token in found if token.kind != "imagined"}
                assert at_once == {Token("image", camera, 0, row, column)}
                # idm has imagined from that image before; joint has not moved its noise yet.
                assert (found != at_once) == ("idm" in case)


@pytest.mark.parametrize("case", CASES)
def test_proprioception_moves_its_own_key(case: str, make: Make) -> None:
    policy, plain = make(case), seen(make(case))
    felt = {name: value + 0.3 for name, value in plain.proprio.items()}
    before = first_readings(policy, begun(plain))
    found = moved(before, first_readings(policy, begun(dataclasses.replace(plain, proprio=felt))))
    others = {token.kind for token in found} - {"imagined"}
    expected = {"proprio"} if "pi05" not in case else set()
    if "ovis" in case:  # whose text refiner mixes it with the text, and with all modulations
        expected |= {"text", "picture", "image", "other"}
    assert others == expected


@pytest.mark.parametrize("case", EXACT)
def test_a_word_moves_the_key_of_its_token(case: str, make: Make) -> None:
    """Where words are looked up in a table; a text encoder mixes them."""
    policy, plain = make(case), seen(make(case))
    told = first_readings(policy, begun(dataclasses.replace(plain, instruction=OTHER_WORD)))
    count = 0
    for one, other in zip(first_readings(policy, begun(plain)), told, strict=True):
        if not any(token.kind == "text" for token in one.tokens):
            continue
        is_other = (one.keys != other.keys).flatten(2).any(-1)[0]
        pairs = zip(one.tokens, other.tokens, is_other, strict=True)
        (found,) = [(a, b) for a, b, is_moved in pairs if is_moved and a.kind != "imagined"]
        assert found == (Token("text", "black"), Token("text", "stove"))
        count += 1
    assert count == 1


@pytest.mark.parametrize("case", CASES)
def test_noise_moves_the_keys_of_actions(case: str, make: Make) -> None:
    policy, plain = make(case), seen(make(case))
    before = first_readings(policy, begun(plain))
    found = moved(before, first_readings(policy, begun(dataclasses.replace(plain, noise_seed=77))))
    expected = set() if "oft" in case else {ACTION}
    if "joint" in case or "idm" in case:
        expected |= {token for one in before for token in one.tokens if token.kind == "imagined"}
    if "ovis" in case:  # whose autoencoder samples its latents
        expected |= {token for one in before for token in one.tokens if token.kind == "image"}
    assert found == expected


@pytest.mark.parametrize("case", [case for case in CASES if "joint" in case])
def test_noise_of_an_imagined_patch_moves_the_key_of_its_token(case: str, make: Make) -> None:
    policy, plain = make(case), seen(make(case))
    attention = policy.inference("loaded").attention
    high, wide = (1, 1) if case.startswith("nano") else FASTWAM.patch[1:]
    columns = [grid.columns for grid in attention.cameras.values()]

    def noisy(frame: int, row: int, column: int) -> Callable[[Any], Any]:
        def state(inference: Any) -> Any:
            made = inference.state([plain])
            noise = made.noise_video.clone()
            noise[:, :, frame, (row + 1) * high - 1, (column + 1) * wide - 1] += 1
            made.noise_video = noise
            return made

        return state

    before = first_readings(policy, begun(plain))
    for index, camera in enumerate(attention.cameras):
        for frame in (1, attention.frames):
            found = moved(before, first_readings(policy, noisy(frame, 0, sum(columns[:index]))))
            assert found == {Token("imagined", camera, frame, 0, 0)}


PICTURES: list[tuple[Robot, tuple[int, int], int]] = [
    (LIBERO, (224, 448), 16),
    (LIBERO, (224, 448), 32),
    (ROBOTWIN, (288, 256), 16),
    (ROBOTWIN_LARGE, (384, 320), 32),
    (resized(LIBERO, (320, 640)), (320, 640), 16),
    (resized(ROBOTWIN, (144, 96)), (144, 96), 16),
    (resized(LIBERO, (64, 80)), (64, 80), 16),  # the cameras' border cuts a token
]


@pytest.mark.parametrize(("robot", "size", "token"), PICTURES)
def test_tokens_of_a_picture_show_the_camera_they_are_named_after(
    robot: Robot, size: tuple[int, int], token: int
) -> None:
    rows, columns = size[0] // token, size[1] // token
    view = robot.view((rows, columns))
    assert len(view.tokens) == rows * columns and tuple(view.cameras) == robot.cameras
    black = {camera: np.zeros((*robot.image_size, 3), np.uint8) for camera in robot.cameras}
    for camera, grid in view.cameras.items():
        for row, column in {(0, 0), (grid.rows - 1, 0), (grid.rows // 2, grid.columns - 1)}:
            image = black[camera].copy()
            at = cell(grid, row, column, robot.image_size)
            image[at] = 255
            shown = dataclasses.replace(observation(0, TASK, 8), images={**black, camera: image})
            picture = robot.picture(shown)[..., 0].astype(float)
            assert picture.shape == size
            light = picture.reshape(rows, token, columns, token).sum(axis=(1, 3))
            found = view.tokens[int(light.argmax())]
            assert found == Token("image", camera, 0, row, column)


def test_grids_of_pictures_are_those_of_their_cameras() -> None:
    grids = ROBOTWIN.view((18, 16)).cameras
    assert grids == {"head": Grid(12, 16), "left_wrist": Grid(6, 8), "right_wrist": Grid(6, 8)}
    assert set(resized(LIBERO, (320, 640)).view((20, 40)).cameras.values()) == {Grid(20, 20)}
    cut = resized(LIBERO, (64, 80)).view((4, 5)).cameras
    assert cut["agentview"] == Grid(4, 2, 0, 0, 1, 32 / 40)
    assert cut["wrist"] == Grid(4, 3, 0, -8 / 40, 1, 1)
    assert tuple(resized(LIBERO, (16, 16)).view((1, 1)).cameras) == ("wrist",)


def test_a_crop_moves_the_grid(make: Make) -> None:
    for grid in make("oft/released").inference("loaded").attention.cameras.values():
        assert (grid.bottom - grid.top) * (grid.right - grid.left) == pytest.approx(0.9)
        assert grid.top == pytest.approx(1 - grid.bottom) and grid.left == grid.top


def test_released_tokens_are_spelled_as_their_tokenizer_does(make: Make) -> None:
    words = make("imagewam/released").inference("loaded").attention.words(TASK)
    assert len(words) == len(make("imagewam/released")._ready.prepare.tokenize(TASK))
    assert words[-len(TASK.split()) - 1 :] == [*TASK.split(), "<unk>"]  # "now" ends the chat
    ended = make("oft/released").inference("loaded").attention.words(TASK)
    assert ended[-1] == "▁" and len(ended) == len(
        make("oft/released")._ready.prepare.tokenize(TASK)
    )


# ---- bounds -------------------------------------------------------------------------------------


def test_bins_hold_neighbours_evenly() -> None:
    assert bins(5, 5).tolist() == [0, 1, 2, 3, 4]
    assert bins(5, 2).tolist() == [0, 0, 0, 1, 1]
    every = Sizes(10, 30, 24, 32)
    assert fitting(every, 100, 10**9) == every
    small = fitting(every, 1000, 1_000_000)
    assert 500_000 < small.values(1000) * 4 <= 1_000_000
    assert fitting(every, 10**6, 1) == Sizes(1, 1, 1, 1)


@pytest.mark.parametrize("case", ["nano-imagewam", "fastwam-joint/released", "oft/released"])
def test_a_smaller_limit_averages_neighbours(case: str, make: Make) -> None:
    policy = make(case)
    fine, coarse = captured(policy), captured(policy, limit_bytes=5_000)
    assert coarse.bytes_per_step <= 5_000 < fine.bytes_per_step
    for part, read in coarse.parts.items():
        whole = fine.parts[part]
        axes = [
            bins(n, into) for n, into in zip(whole.mean.shape[:3], read.mean.shape, strict=False)
        ]
        mean, maximum = whole.mean, whole.maximum
        for axis, bin_of in enumerate(axes):
            groups = [np.flatnonzero(bin_of == b) for b in range(bin_of[-1] + 1)]
            mean = np.stack([mean.take(g, axis).mean(axis) for g in groups], axis)
            maximum = np.stack([maximum.take(g, axis).max(axis) for g in groups], axis)
        np.testing.assert_allclose(read.mean, mean, atol=1e-6)
        np.testing.assert_allclose(read.maximum, maximum, atol=1e-6)
        for rows in (read.mean, read.by_head):
            np.testing.assert_allclose(rows.sum(axis=-1), 1, atol=1e-5)
        if read.rollout is not None:
            np.testing.assert_allclose(read.rollout.sum(axis=-1), 1, atol=1e-5)


PUBLISHED = {
    "imagewam-4b": lambda c, labels: imagewam_calls(c, c.text_length, labels),
    "imagewam-ovis-u1": lambda c, labels: ovis_calls(c, c.context_tokens(30), labels),
    "imagewam-9b-robotwin": lambda c, labels: imagewam_calls(c, c.text_length, labels),
    "fastwam": lambda c, labels: fastwam_calls(c, 1, c.text_length, labels),
    "fastwam-joint": lambda c, labels: fastwam_calls(c, c.latent_frames, c.text_length, labels),
    "fastwam-idm-robotwin": lambda c, labels: fastwam_calls(
        c, c.latent_frames, c.text_length, labels
    ),
    "pi0": lambda c, labels: pi0_calls(c, (True, True, False), c.text_length, 1, labels),
    "smolvla": lambda c, labels: smolvla_calls(c, c.text_length, labels),
    "openvla-oft": lambda c, labels: oft_calls(c, 1, True, labels),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_keep_the_bound(name: str) -> None:
    """No model is needed to know how much will be kept."""
    policy: Any = plugins.make_policy(name, {})
    words = policy.tokenizer().spelled
    attention = policy.attention(policy.view(), words)
    labels = Labels(words(TASK), policy.view())
    total = 0
    for part in attention.parts:
        every = PUBLISHED[name](policy.card.architecture, labels)
        tokens = next(call.tokens for call in every if call is not None and call.part == part)
        limit = LIMIT_BYTES // len(attention.parts)
        own = dataclasses.replace(attention, layers=attention.depth(part))
        made = Reduction(own, tokens, full=False, limit_bytes=limit)
        total += made.finish().bytes
        expected = {"text": set(), "cross": {"image"}}.get(part, {"action", "image"})
        assert expected <= {t.kind for t in made.tokens}
    assert LIMIT_BYTES / 4 < total <= LIMIT_BYTES


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", ["nano-imagewam", "fastwam-joint/released", "pi0/released", "oft/best-exact"]
)
def test_a_batch_is_refused(case: str, make: Make) -> None:
    policy = make(case)
    two = [seen(policy, 0), seen(policy, 1)]
    with pytest.raises(ValueError, match="one observation at a time, and here are 2") as caught:
        first_readings(policy, begun(*two))
    assert "\n" not in str(caught.value)
    inference = policy.inference("loaded")
    with torch.inference_mode():  # and without a watch it is not
        assert len(inference.action(inference.program.run(inference.state(two)))) == 2


def test_a_policy_without_action_tokens_is_refused() -> None:
    policy = plugins.make_policy("random", {})
    with pytest.raises(UserError, match="'random' shows no attention") as caught:
        attention_of("random", policy.inference("loaded"))
    assert "\n" not in str(caught.value)


def test_nothing_captured_is_no_result(make: Make) -> None:
    attention = make("nano-pi0").inference("loaded").attention
    with pytest.raises(RuntimeError, match="nothing was captured"), Capture(attention):
        pass
    with pytest.raises(ZeroDivisionError), Capture(attention):
        _ = 1 / 0


def test_an_unfinished_inference_is_forgotten(make: Make) -> None:
    policy = make("nano-pi0")
    inference = policy.inference("loaded")
    with Capture(inference.attention) as capture:
        state = inference.state([seen(policy, 3)])
        with torch.inference_mode():
            for step in inference.program.steps[:-1]:
                step.run(state)
        policy.act([seen(policy)])
    (one,) = capture.taken
    np.testing.assert_array_equal(one.parts["all"].mean, captured(policy).parts["all"].mean)


def test_probabilities_read_grouped_keys_and_masks() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(1, 3, 4, 8), torch.randn(1, 5, 2, 8)
    mask = torch.tensor([True, True, False, True, True])
    told = Reading(0, 0, "all", q, range(3), k, mask[None, None, None], [PROPRIO] * 5)
    (p,) = probabilities(told)
    for head in range(4):
        logits = q[0, :, head] @ k[0, :, head // 2].T / math.sqrt(8)
        expected = logits.masked_fill(~mask, -math.inf).softmax(-1)
        torch.testing.assert_close(p[head], expected)
