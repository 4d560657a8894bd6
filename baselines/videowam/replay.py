"""Run a FastWAM checkpoint on given inputs and name every tensor as the golden files do."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Size, Tensor, nn

from baselines.core.attention import KVCache
from baselines.core.build import on_meta
from baselines.core.checkpoints.layout import Layout
from baselines.core.checkpoints.loading import load_into
from baselines.core.flow import seeded_noise
from baselines.videowam.config import OPTIONS, FastWamConfig, Mode, Options
from baselines.videowam.layout import FILE_ROOT, layout
from baselines.videowam.modes import FAMILIES, PROGRAMS
from baselines.videowam.modules import FastWam
from baselines.videowam.state import State
from wambench.errors import UserError, did_you_mean

_FIELDS = {
    "layers": "layers",
    "heads": "heads",
    "head_dim": "head_dim",
    "video_ffn": "video_ffn",
    "latent_ch": "latent_channels",
    "patch": "patch",
    "freq_dim": "freq_dim",
    "text_dim": "text_dim",
    "eps": "eps",
    "action_hidden": "action_hidden",
    "action_ffn": "action_ffn",
    "action_dim": "action_dim",
    "proprio_dim": "proprio_dim",
    "horizon": "horizon",
    "steps": "steps",
    "shift": "shift",
    "image_hw": "image_size",
    "video_frames": "video_frames",
    "vae_spatial": "vae_spatial",
    "vae_temporal": "vae_temporal",
    "ctx_len": "text_length",
}
"""Names in a golden's ``config`` and ours."""

_HEAD_DIMS = (128, 64, 32)  # guesses: shapes tell the product of heads and head_dim


def replay(
    checkpoint: Path,
    inputs: Mapping[str, Tensor],
    config: Mapping[str, Any],
    family: str,
    preset: str,
) -> dict[str, Tensor]:
    """Load a checkpoint, run one inference and return its tensors.

    Args:
        checkpoint: a file in the released layout.
        inputs: ``in.first_frame_latent``, ``in.proprio``, ``in.context`` or ``in.context_raw`` with
            ``in.text_valid``; ``in.noise_action`` and ``in.noise_video`` or, where absent, noise
            from ``sample_seed``. A noise of batch 1 serves all samples.
        config: the ``config`` object of a golden's JSON.
        family: ``fastwam-plain``, ``fastwam-joint`` or ``fastwam-idm``.
        preset: ``released`` or ``best-exact``.

    Returns:
        ``out.action`` ([H, D], for several samples [B, H, D]), ``out.video_latents``,
        ``mid.cache.N.{k,v}``, ``mid.stepK.*`` and ``mid.video_stepK.*``. The best-exact preset
        predicts no velocity for the first frame and so leaves out ``velocity_video``.

    Raises:
        UserError: an unknown family or preset, a missing input or an unfit checkpoint.
    """
    for value, known, name in ((family, FAMILIES, "family"), (preset, OPTIONS, "preset")):
        if value not in known:
            raise UserError(f"{name} {value!r}: {did_you_mean(value, known)}")
    mode, options = FAMILIES[family], OPTIONS[preset]
    dtype = torch.bfloat16 if config.get("dtype") == "bf16" else torch.float32
    sizes = config_from_golden(config)
    model = on_meta(lambda: FastWam(sizes))
    load_into(model, checkpoint, layout(sizes), dtype)
    state = _state(inputs, sizes, config.get("sample_seed"), dtype)
    return _run(model, mode, options, state)


def expected(
    shapes: Mapping[str, Size], config: Mapping[str, Any] | None
) -> tuple[Layout, nn.Module]:
    """Layout of a checkpoint and the components it fills, on meta; from ``config`` if given."""
    sizes = config_from_golden(config) if config else config_from_shapes(shapes)
    return layout(sizes), on_meta(lambda: FastWam(sizes))


def config_from_golden(config: Mapping[str, Any]) -> FastWamConfig:
    """Sizes from a golden's ``config``; a name that it lacks has our default, if there is one."""
    sizes = {ours: config[name] for name, ours in _FIELDS.items() if name in config}
    try:
        return FastWamConfig(**sizes, replan=1)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "sizes"
        raise UserError(f"golden config: {name}: {first['msg']}; correct its JSON") from error


def config_from_shapes(shapes: Mapping[str, Size]) -> FastWamConfig:
    """Whatever a checkpoint's shapes determine; the rest as in the LIBERO preset, heads guessed.

    Args:
        shapes: of the file's tensors by key (``mot.mixtures.video.patch_embedding.weight``).
    """

    def shape(name: str) -> Size:
        return shapes[f"{FILE_ROOT}.{name}"]

    try:
        width, channels, *patch = shape("video.patch_embedding.weight")
        blocks = {
            int(name.removeprefix(f"{FILE_ROOT}.video.blocks.").split(".")[0])
            for name in shapes
            if name.startswith(f"{FILE_ROOT}.video.blocks.")
        }
        head_dim = next((dim for dim in _HEAD_DIMS if width % dim == 0), width)
        sizes = {
            "layers": len(blocks),
            "heads": width // head_dim,
            "head_dim": head_dim,
            "video_ffn": shape("video.blocks.0.ffn.0.weight")[0],
            "latent_channels": channels,
            "patch": patch,
            "freq_dim": shape("video.time_embedding.0.weight")[1],
            "text_dim": shape("video.text_embedding.0.weight")[1],
            "action_hidden": shape("action.action_encoder.weight")[0],
            "action_ffn": shape("action.blocks.0.ffn.0.weight")[0],
            "action_dim": shape("action.action_encoder.weight")[1],
            "proprio_dim": shapes["proprio_encoder.weight"][1],
        }
        pixels = (7 * 16 * patch[1], 14 * 16 * patch[2])  # 7 x 14 tokens a frame, as in LIBERO
        unknown = {"horizon": 32, "replan": 10, "image_size": pixels, "video_frames": 9}
        return FastWamConfig(**sizes, **unknown, text_length=128)
    except KeyError as error:
        raise UserError(f"no FastWAM checkpoint: tensor {error} is missing") from error
    except (ValueError, IndexError) as error:
        raise UserError("no FastWAM checkpoint: its tensors have other dimensions") from error


def _state(
    inputs: Mapping[str, Tensor], config: FastWamConfig, seed: int | None, dtype: torch.dtype
) -> State:
    def given(name: str) -> Tensor:
        if name not in inputs:
            raise UserError(f"input {name} is missing: FastWAM cannot be replayed without it")
        return inputs[name]

    def noise(name: str, shape: tuple[int, ...]) -> Tensor:
        if name in inputs:
            return inputs[name]
        if seed is None:
            raise UserError(f"input {name} is missing: give it, or sample_seed in the config")
        return seeded_noise(seed, (1, *shape))

    first_frame = given("in.first_frame_latent")
    latents = (config.latent_channels, config.latent_frames, *first_frame.shape[3:])
    tensors = {
        "proprio": given("in.proprio"),
        "first_frame": first_frame,
        "noise_action": noise("in.noise_action", (config.horizon, config.action_dim)),
        "noise_video": noise("in.noise_video", latents),
    }
    if "in.context" in inputs:
        tensors["text_features"] = inputs["in.context"]
    else:
        tensors["text_features"] = given("in.context_raw")
        tensors["text_valid"] = given("in.text_valid").bool()
    mask = inputs.get("in.context_mask")
    if mask is not None and not bool(mask.all()):
        tensors["text_mask"] = mask.bool()
    batch = max(len(tensor) for tensor in tensors.values())
    return State(
        **{
            name: (tensor if tensor.dtype == torch.bool else tensor.to(dtype)).expand(
                batch, *tensor.shape[1:]
            )
            for name, tensor in tensors.items()
        }
    )


@torch.inference_mode()
def _run(model: FastWam, mode: Mode, options: Options, state: State) -> dict[str, Tensor]:
    """Run the program and note what every flow step started from and predicted."""
    out: dict[str, Tensor] = {}
    calls: Counter[str] = Counter()
    for step in PROGRAMS[mode](model, options).steps:
        before = copy.copy(state)
        step.run(state)
        index = calls[step.stage]
        calls[step.stage] += 1
        if step.stage == "imagine":
            name = f"mid.video_step{index}" if mode == "idm" else f"mid.step{index}"
            out[f"{name}.video"] = before.video
            if state.velocity_video.shape == state.video.shape:
                out[f"{name}.velocity_video"] = state.velocity_video
        elif step.stage == "act":
            out[f"mid.step{index}.action"] = before.action
            out[f"mid.step{index}.velocity_action"] = state.velocity_action
    out["mid.packed_context"] = state.context
    if mode != "joint":  # whose cache changes from step to step
        out |= _named(state.video_kv)
    if mode != "plain":
        out["out.video_latents"] = state.video
    out["out.action"] = state.action.squeeze(0) if len(state.action) == 1 else state.action
    return {name: tensor.float() for name, tensor in out.items()}


def _named(cache: KVCache) -> dict[str, Tensor]:
    return {
        f"mid.cache.{layer}.{part}": tensor.flatten(2)
        for layer, kv in enumerate(cache)
        for part, tensor in kv._asdict().items()
    }
