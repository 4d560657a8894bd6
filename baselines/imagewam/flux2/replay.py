"""Run a checkpoint of ImageWAM on FLUX.2 on stored inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Size, Tensor, nn

from baselines.core.build import on_meta
from baselines.core.checkpoints.layout import Layout
from baselines.imagewam import replay as common
from baselines.imagewam.flux2.config import PRESETS, Flux2Config, VaeConfig
from baselines.imagewam.flux2.layout import layout
from baselines.imagewam.flux2.model import Flux2WAM
from baselines.imagewam.flux2.vae_layout import vae_layout
from baselines.imagewam.inference import program
from baselines.imagewam.model import State

_EDITOR = "mot.mixtures.video.transformer."
_EXPERT = "mot.mixtures.action."
_VAE = "weights.ae."


def config_from_json(config: Mapping[str, Any]) -> Flux2Config:
    """The architecture that a golden's ``config`` describes; KeyError names a missing field."""
    if config["hidden"] != config["heads"] * config["head_dim"]:
        raise ValueError(f"hidden {config['hidden']} is not heads x head_dim")
    return Flux2Config(
        double_blocks=config["double"],
        single_blocks=config["single"],
        heads=config["heads"],
        head_dim=config["head_dim"],
        mlp_ratio=config["mlp_ratio"],
        image_channels=4 * config["z_channels"],
        text_features=config["text_dim"],
        rope_axes=tuple(config["axes"]),
        rope_theta=config["theta"],
        action_hidden=config["act_hidden"],
        action_mlp_ratio=config["act_mlp"],
        action_dim=config["action_dim"],
        proprio_dim=config["proprio_dim"],
        horizon=config["horizon"],
        image_size=tuple(config["image_hw"]),
        text_length=config["ctx_len"],
        steps=config["steps"],
        shift=config["shift"],
        vae=VaeConfig(
            channels=tuple(config["ae_ch"] * factor for factor in config["ae_mult"]),
            layers_per_block=config["ae_blocks"],
            latent_channels=config["z_channels"],
        ),
    )


def config_from_shapes(shapes: Mapping[str, Size]) -> Flux2Config:
    """The architecture behind a ``model.pt``; what shapes do not tell is as on LIBERO."""
    hidden, channels = shapes[_EDITOR + "img_in.weight"]
    head_dim = shapes[_EDITOR + "double_blocks.0.img_attn.norm.query_norm.scale"][0]
    mlp = shapes[_EDITOR + "double_blocks.0.img_mlp.2.weight"][1]
    action_hidden, action_dim = shapes[_EXPERT + "action_encoder.weight"]
    action_mlp = shapes[_EXPERT + "double_blocks.0.img_mlp.2.weight"][1]
    return Flux2Config(
        double_blocks=common.count_blocks(shapes, _EDITOR + "double_blocks."),
        single_blocks=common.count_blocks(shapes, _EDITOR + "single_blocks."),
        heads=hidden // head_dim,
        head_dim=head_dim,
        mlp_ratio=mlp / hidden,
        image_channels=channels,
        text_features=shapes[_EDITOR + "txt_in.weight"][1],
        rope_axes=(head_dim // 4,) * 4,
        action_hidden=action_hidden,
        action_mlp_ratio=action_mlp / action_hidden,
        action_dim=action_dim,
        proprio_dim=shapes["proprio_encoder.weight"][1],
        image_size=(224, 448),
        vae=None,
    )


def expected(
    shapes: Mapping[str, Size], config: Mapping[str, Any] | None
) -> tuple[Layout, nn.Module]:
    """Layout of a checkpoint and the components it fills, on meta; from ``config`` if given."""
    read = common.architecture_of(shapes, config, config_from_json, config_from_shapes)
    return layout(read), on_meta(lambda: Flux2WAM(read)).trained()


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
        inputs: at least ``in.context``, ``in.context_mask``, ``in.proprio``, and either
            ``in.image`` with ``weights.ae.*`` or the image's tokens.
        config: the golden's ``config``.
        family: ``imagewam-flux2``.
        preset: ``released`` or ``best-exact``.

    Returns:
        See :func:`baselines.imagewam.replay.named`.
    """
    architecture = config_from_json(config)
    dtype = common.dtype_of(config)
    model = on_meta(lambda: Flux2WAM(architecture))
    entries = layout(architecture)
    model = common.loaded(model, checkpoint, entries, inputs, dtype, vae_entries(model))
    state = state_of(model, inputs, config, dtype)
    with torch.no_grad():
        program(model, PRESETS[preset]).run(state)
    layers = [f"double.{index}." for index in range(architecture.double_blocks)]
    layers += [f"single.{index}." for index in range(architecture.single_blocks)]
    return common.named(state, layers)


def vae_entries(model: Flux2WAM) -> tuple[str, Layout] | None:
    """The autoencoder's weights beside the inputs, under the names of its released file."""
    vae = model.config.vae
    return (_VAE, vae_layout(vae, prefix=_VAE, ours="vae.")) if vae else None


def state_of(
    model: Flux2WAM, inputs: Mapping[str, Tensor], config: Mapping[str, Any], dtype: torch.dtype
) -> State:
    """The inputs as the stages take them: the image if the VAE is filled, else image tokens."""
    state = common.state_of(model, inputs, config, dtype)
    if not common.give_picture(model, state, inputs, dtype):
        state.tokens = common.stored_tokens(inputs, _VAE).to(dtype)
    return state
