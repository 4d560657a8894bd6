"""Run a checkpoint of ImageWAM on FLUX.2 on stored inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Size, Tensor, nn

from baselines.core.build import on_meta
from baselines.core.checkpoints.layout import Layout
from baselines.core.checkpoints.loading import load_into
from baselines.imagewam import replay as common
from baselines.imagewam.flux2.config import PRESETS, Flux2Config, VaeConfig
from baselines.imagewam.flux2.layout import layout
from baselines.imagewam.flux2.model import Flux2WAM
from baselines.imagewam.flux2.vae_layout import vae_layout
from baselines.imagewam.inference import program
from baselines.imagewam.model import State
from wambench import UserError

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

    def count(kind: str) -> int:
        names = (name for name in shapes if name.startswith(_EDITOR + kind))
        return 1 + max((int(name.split(".")[5]) for name in names), default=-1)

    hidden, channels = shapes[_EDITOR + "img_in.weight"]
    head_dim = shapes[_EDITOR + "double_blocks.0.img_attn.norm.query_norm.scale"][0]
    mlp = shapes[_EDITOR + "double_blocks.0.img_mlp.2.weight"][1]
    action_hidden, action_dim = shapes[_EXPERT + "action_encoder.weight"]
    action_mlp = shapes[_EXPERT + "double_blocks.0.img_mlp.2.weight"][1]
    return Flux2Config(
        double_blocks=count("double_blocks"),
        single_blocks=count("single_blocks"),
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
    try:
        architecture = config_from_json(config) if config else config_from_shapes(shapes)
    except KeyError as error:
        raise UserError(f"no ImageWAM checkpoint: {error} is missing; name its file") from None
    return layout(architecture), on_meta(lambda: Flux2WAM(architecture)).trained()


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
    load_into(model.trained(), checkpoint, layout(architecture), dtype)
    if "in.image" in inputs and any(name.startswith(_VAE) for name in inputs):
        fill_vae(model, inputs, dtype)
    state = state_of(model, inputs, config, dtype)
    with torch.no_grad():
        program(model, PRESETS[preset]).run(state)
    layers = [f"double.{index}." for index in range(architecture.double_blocks)]
    layers += [f"single.{index}." for index in range(architecture.single_blocks)]
    return common.named(state, layers)


def fill_vae(model: Flux2WAM, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Fill the autoencoder from ``weights.ae.*``, under the names of its released file."""
    assert model.image_encoder is not None and model.config.vae is not None
    entries = vae_layout(model.config.vae, prefix=_VAE, ours="vae.")
    common.fill_vae(model.image_encoder, tensors, entries, dtype)


def state_of(
    model: Flux2WAM, inputs: Mapping[str, Tensor], config: Mapping[str, Any], dtype: torch.dtype
) -> State:
    """The inputs as the stages take them: the image if the VAE is filled, else image tokens."""
    state = common.state_of(model, inputs, config, dtype)
    assert model.image_encoder is not None
    if "in.image" in inputs and common.is_filled(model.image_encoder):
        state.image = inputs["in.image"].to(dtype)
        return state
    for name in ("in.ref_tokens", "mid.ref_tokens"):
        if name in inputs:
            state.tokens = inputs[name].to(dtype)
            return state
    raise UserError(
        "the inputs hold neither in.image with the VAE's weights (weights.ae.*) nor "
        "in.ref_tokens; add one of them"
    )
