"""Run a checkpoint of ImageWAM on Ovis-U1 on stored inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Size, Tensor, nn

from baselines.core.build import on_meta
from baselines.core.checkpoints.folders import identity
from baselines.core.checkpoints.layout import Layout
from baselines.imagewam import replay as common
from baselines.imagewam.inference import program
from baselines.imagewam.model import State
from baselines.imagewam.ovis_u1.config import PRESETS, OvisU1Config, VaeConfig
from baselines.imagewam.ovis_u1.layout import ACTION, VIDEO, layout
from baselines.imagewam.ovis_u1.model import OvisU1WAM

_EDITOR = VIDEO + "transformer."
_VAE = "weights.vae."


def config_from_json(config: Mapping[str, Any]) -> OvisU1Config:
    """The architecture that a golden's ``config`` describes; KeyError names a missing field."""
    if config["hidden"] != config["heads"] * config["head_dim"]:
        raise ValueError(f"hidden {config['hidden']} is not heads x head_dim")
    return OvisU1Config(
        double_blocks=config["double"],
        single_blocks=config["single"],
        heads=config["heads"],
        head_dim=config["head_dim"],
        mlp_ratio=config["mlp_ratio"],
        refiner_heads=2 * config["heads"],  # 24 and 12 in the release
        image_channels=4 * config["latent"],
        text_features=config["text_dim"],
        rope_axes=tuple(config["axes"]),
        rope_theta=config["theta"],
        action_hidden=config["hidden"],
        action_dim=config["action_dim"],
        proprio_dim=config["proprio_dim"],
        horizon=config["horizon"],
        image_size=tuple(config["image_hw"]),
        text_length=config["ctx_len"],
        steps=config["steps"],
        shift=config["shift"],
        vae=VaeConfig(
            channels=tuple(config["vae_ch"]),
            layers_per_block=config["vae_blocks"],
            latent_channels=config["latent"],
            norm_groups=config["vae_groups"],
            scale=config["vae_scale"],
        ),
        condition=None,
    )


def config_from_shapes(shapes: Mapping[str, Size]) -> OvisU1Config:
    """The architecture behind a ``model.pt``; what shapes do not tell is as on LIBERO."""
    hidden, channels = shapes[_EDITOR + "img_in.weight"]
    head_dim = shapes[_EDITOR + "double_blocks.0.img_attn.norm.query_norm.scale"][0]
    pair = 2 * (head_dim * 7 // 32)  # 16, 56, 56 of 128 channels
    return OvisU1Config(
        double_blocks=common.count_blocks(shapes, _EDITOR + "double_blocks."),
        single_blocks=common.count_blocks(shapes, _EDITOR + "single_blocks."),
        heads=hidden // head_dim,
        head_dim=head_dim,
        mlp_ratio=shapes[_EDITOR + "double_blocks.0.img_mlp.0.weight"][0] / hidden,
        refiner_heads=2 * (hidden // head_dim),
        refiner_blocks=common.count_blocks(
            shapes, _EDITOR + "txt_in.individual_token_refiner.blocks."
        ),
        image_channels=channels,
        text_features=shapes[_EDITOR + "txt_in.input_embedder.weight"][1],
        rope_axes=(head_dim - 2 * pair, pair, pair),
        action_hidden=hidden,
        action_dim=shapes[ACTION + "action_encoder.weight"][1],
        proprio_dim=shapes["proprio_encoder.weight"][1],
        image_size=(224, 448),
        vae=VaeConfig(latent_channels=channels // 4),
        condition=None,
    )


def expected(
    shapes: Mapping[str, Size], config: Mapping[str, Any] | None
) -> tuple[Layout, nn.Module]:
    """Layout of a checkpoint and the components it fills, on meta; from ``config`` if given."""
    read = common.architecture_of(shapes, config, config_from_json, config_from_shapes)
    return layout(read), on_meta(lambda: OvisU1WAM(read)).trained()


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
            ``in.image`` and ``in.noise_vae`` with ``weights.vae.*`` or the image's tokens.
        config: the golden's ``config``.
        family: ``imagewam-ovis-u1``.
        preset: ``released`` or ``best-exact``.

    Returns:
        See :func:`baselines.imagewam.replay.named`.
    """
    architecture = config_from_json(config)
    dtype = common.dtype_of(config)
    model = on_meta(lambda: OvisU1WAM(architecture))
    entries = layout(architecture)
    model = common.loaded(model, checkpoint, entries, inputs, dtype, vae_entries(model))
    state = state_of(model, inputs, config, dtype)
    with torch.no_grad():
        program(model, PRESETS[preset]).run(state)
    return common.named(state, layer_names(architecture))


def layer_names(config: OvisU1Config) -> list[str]:
    """What the goldens call each layer of the cache, up to the letter of keys or values."""
    double = range(config.double_blocks)
    names = [f"double.{index}.{part}_" for index in double for part in ("joint", "image")]
    return names + [f"single.{index}." for index in range(config.single_blocks)]


def vae_entries(model: OvisU1WAM) -> tuple[str, Layout] | None:
    """The autoencoder's weights beside the inputs, under diffusers' names."""
    encoder = model.image_encoder
    return None if encoder is None else (_VAE, identity(encoder, drop="vae.", add=_VAE))


def state_of(
    model: OvisU1WAM, inputs: Mapping[str, Tensor], config: Mapping[str, Any], dtype: torch.dtype
) -> State:
    """The inputs as the stages take them: the image if the VAE is filled, else image tokens."""
    state = common.state_of(model, inputs, config, dtype)
    if not common.give_picture(model, state, inputs, dtype):
        state.tokens = common.stored_tokens(inputs, _VAE).to(dtype)
    return state
