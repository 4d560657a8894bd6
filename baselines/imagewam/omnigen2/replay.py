"""Run a checkpoint of ImageWAM on OmniGen2 on stored inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Size, Tensor, nn

from baselines.core.build import on_meta
from baselines.core.checkpoints.folders import identity
from baselines.core.checkpoints.layout import Layout
from baselines.imagewam import replay as common
from baselines.imagewam.model import State
from baselines.imagewam.omnigen2.config import PRESETS, OmniGen2Config, Place, Reads, VaeConfig
from baselines.imagewam.omnigen2.inference import program
from baselines.imagewam.omnigen2.layout import ACTION, VIDEO, layout
from baselines.imagewam.omnigen2.model import OmniGen2WAM
from baselines.imagewam.omnigen2.vae import tokens_of
from wambench import UserError

READS: Mapping[str, Reads] = {
    "imagewam-omnigen2": "prefix",
    "imagewam-omnigen2-noise-idm": "noise",
    "imagewam-omnigen2-cache-idm": "half_denoised",
}
_EDITOR = VIDEO + "transformer."
_VAE = "weights.vae."
_BATCH = ("proprio", "noise", "lengths", "text", "image", "tokens", "latent_noise", "target_noise")


def config_from_json(config: Mapping[str, Any], reads: Reads = "prefix") -> OmniGen2Config:
    """The architecture that a golden's ``config`` describes; KeyError names a missing field."""
    return OmniGen2Config(
        reads=reads,
        layers=config["layers"],
        refiners=config["refiners"],
        hidden=config["hidden"],
        heads=config["heads"],
        kv_heads=config["kv_heads"],
        head_dim=config["head_dim"],
        rope_axes=tuple(config["axes"]),
        rope_theta=config["theta"],
        mlp_multiple=config["multiple_of"],
        norm_eps=config["norm_eps"],
        text_features=config["text_dim"],
        text_length=config["ctx_len"],
        image_channels=4 * config["latent"],
        time_scale=config["time_scale"],
        action_time_scale=config["act_time_scale"],
        proprio_place="as_trained",
        action_hidden=config["act_hidden"],
        action_dim=config["action_dim"],
        proprio_dim=config["proprio_dim"],
        horizon=config["horizon"],
        image_size=tuple(config["image_hw"]),
        steps=config["steps"],
        shift=config["shift"],
        vae=VaeConfig(
            channels=tuple(config["vae_ch"]),
            layers_per_block=config["vae_blocks"],
            latent_channels=config["latent"],
            norm_groups=config["vae_groups"],
            shift=config["vae_shift"],
            scale=config["vae_scale"],
        ),
    )


def config_from_shapes(shapes: Mapping[str, Size]) -> OmniGen2Config:
    """The architecture behind a ``model.pt``; what shapes do not tell is as on LIBERO."""
    layer = _EDITOR + "layers.0."
    hidden, channels = shapes[_EDITOR + "x_embedder.weight"]
    head_dim = shapes[layer + "attn.norm_q.weight"][0]
    action_hidden, action_dim = shapes[ACTION + "action_encoder.weight"]
    pictures, _ = shapes[_EDITOR + "image_index_embedding"]
    widths = (shapes[layer + "feed_forward.linear_1.weight"][0],
              shapes[ACTION + "blocks.0.feed_forward.linear_1.weight"][0])  # fmt: skip
    return OmniGen2Config(
        layers=common.count_blocks(shapes, _EDITOR + "layers."),
        refiners=common.count_blocks(shapes, _EDITOR + "noise_refiner."),
        hidden=hidden,
        heads=hidden // head_dim,
        kv_heads=shapes[layer + "attn.to_k.weight"][0] // head_dim,
        head_dim=head_dim,
        rope_axes=_axes(head_dim),
        mlp_multiple=_multiple((hidden, action_hidden), widths),
        source_pictures=pictures,
        text_features=shapes[_EDITOR + "time_caption_embed.caption_embedder.0.weight"][0],
        image_channels=channels,
        action_hidden=action_hidden,
        action_dim=action_dim,
        proprio_dim=shapes["proprio_encoder.weight"][1],
        image_size=(224, 448),
        vae=None,
    )


def _axes(head_dim: int) -> tuple[int, ...]:
    """Even numbers of channels, as equal as can be; no shape depends on them."""
    each = head_dim // 6 * 2
    return head_dim - 2 * each, each, each


def _multiple(widths: tuple[int, ...], inner: tuple[int, ...]) -> int:
    """The largest power of two to which rounding up gives the MLPs' inner widths."""
    for multiple in (256, 128, 64, 32, 16, 8, 4, 2):
        if all(-(-4 * w // multiple) * multiple == i for w, i in zip(widths, inner, strict=True)):
            return multiple
    return 1


def expected(
    shapes: Mapping[str, Size], config: Mapping[str, Any] | None
) -> tuple[Layout, nn.Module]:
    """Layout of a checkpoint and the components it fills, on meta; from ``config`` if given."""
    read = common.architecture_of(shapes, config, config_from_json, config_from_shapes)
    return layout(read), on_meta(lambda: OmniGen2WAM(read)).trained()


def replay(
    checkpoint: Path,
    inputs: Mapping[str, Tensor],
    config: Mapping[str, Any],
    family: str,
    preset: str,
) -> dict[str, Tensor]:
    """Load, run, and name the results as the goldens do.

    Args:
        checkpoint: ``model.pt`` in the released layout.
        inputs: at least ``in.context``, ``in.context_mask``, ``in.proprio``; ``in.image`` with
            ``in.noise_vae`` and ``weights.vae.*``, or the latents; ``in.noise_video`` where the
            action reads a goal.
        config: the golden's ``config``.
        family: ``imagewam-omnigen2`` and its variants.
        preset: ``released`` or ``best-exact``.

    Returns:
        What :func:`baselines.imagewam.replay.named` gives of every sample run alone, where
        proprioception stands as in training; ``out.action_batched`` of all samples together,
        ``out.action_unpacked`` with proprioception as in the released evaluation and, where the
        action reads no goal and one can be decoded, ``out.video_image`` [B, 3, height, width].
    """
    architecture = config_from_json(config, READS[family])
    dtype = common.dtype_of(config)
    model = on_meta(lambda: OmniGen2WAM(architecture))
    entries = layout(architecture)
    model = common.loaded(model, checkpoint, entries, inputs, dtype, vae_entries(model))
    together = state_of(model, inputs, config, dtype)
    size = len(together.lengths)

    def run(state: State, place: Place = "as_trained", imagine: int = 0) -> State:
        model.config = architecture.model_copy(update={"proprio_place": place})
        with torch.no_grad():
            return program(model, PRESETS[preset], imagine).run(dataclasses.replace(state))

    can_draw = together.image is not None and together.target_noise is not None
    imagine = architecture.steps if can_draw and architecture.reads == "prefix" else 0
    alone = [run(one_of(together, row), imagine=imagine) for row in range(size)]
    out = common.named_alone(alone, [f"{index}." for index in range(architecture.layers)])
    out["out.action_batched"] = _action(run(together))
    out["out.action_unpacked"] = torch.cat(
        [_action(run(one_of(together, row), "as_released")) for row in range(size)]
    )
    if imagine:
        out["out.video_image"] = torch.cat([_image(state) for state in alone])
    return out


def _action(state: State) -> Tensor:
    assert state.action is not None
    return state.action.float()


def _image(state: State) -> Tensor:
    assert state.target_image is not None
    return state.target_image.float()


def one_of(state: State, row: int) -> State:
    """One sample of a batch that has not run yet."""
    own = {
        name: value[row : row + 1] for name in _BATCH if (value := getattr(state, name)) is not None
    }
    return dataclasses.replace(state, **own)


def vae_entries(model: OmniGen2WAM) -> tuple[str, Layout] | None:
    """The autoencoder's weights beside the inputs, under diffusers' names."""
    encoder = model.image_encoder
    return None if encoder is None else (_VAE, identity(encoder, drop="vae.", add=_VAE))


def state_of(
    model: OmniGen2WAM, inputs: Mapping[str, Tensor], config: Mapping[str, Any], dtype: torch.dtype
) -> State:
    """The inputs as the stages take them: the image if the VAE is filled, else its latents."""
    state = common.state_of(model, inputs, config, dtype)
    size = len(state.lengths)
    if "in.noise_video" in inputs:
        noise = tokens_of(inputs["in.noise_video"].to(dtype))
        state.target_noise = noise.expand(size, -1, -1)
    elif model.config.reads != "prefix":
        raise UserError("the inputs lack in.noise_video, the goal that the action reads; add it")
    if common.give_picture(model, state, inputs, dtype):
        return state
    latents = [inputs[name] for name in latent_names(inputs, size)]
    state.tokens = tokens_of(torch.cat(latents).to(dtype))
    return state


def latent_names(inputs: Mapping[str, Tensor], size: int) -> list[str]:
    """Where the inputs hold the image's latents, of all samples or of each."""
    for names in (["in.ref_latent"], [f"mid.s{row}.ref_latent" for row in range(size)]):
        if all(name in inputs for name in names):
            return names
    raise UserError(
        "the inputs hold neither in.image with the VAE's weights (weights.vae.*) nor "
        "in.ref_latent; add one of them"
    )
