"""Run a checkpoint on stored inputs and return what the golden tensors call its outputs.

An editor's ``replay`` module reads the architecture off the golden's ``config`` and uses these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Size, Tensor, nn

from baselines.core.build import fill
from baselines.core.checkpoints.layout import Layout
from baselines.core.checkpoints.loading import load_into
from baselines.core.checkpoints.mapping import to_model
from baselines.core.flow import seeded_noise
from baselines.imagewam.model import ImageWAM, State
from wambench import UserError

C = TypeVar("C")
M = TypeVar("M", bound=ImageWAM)


def dtype_of(config: Mapping[str, Any]) -> torch.dtype:
    """The dtype in which a golden was recorded."""
    return torch.bfloat16 if config.get("dtype") == "bf16" else torch.float32


def architecture_of(
    shapes: Mapping[str, Size],
    config: Mapping[str, Any] | None,
    from_json: Callable[[Mapping[str, Any]], C],
    from_shapes: Callable[[Mapping[str, Size]], C],
) -> C:
    """The architecture behind a checkpoint, from ``config`` if given; UserError if it is none."""
    try:
        return from_json(config) if config else from_shapes(shapes)
    except KeyError as error:
        raise UserError(f"no ImageWAM checkpoint: {error} is missing; name its file") from None


def count_blocks(shapes: Mapping[str, Size], start: str) -> int:
    """How many blocks stand under ``start`` ("….layers."), which their numbers follow."""
    numbers = (name[len(start) :].split(".")[0] for name in shapes if name.startswith(start))
    return 1 + max(map(int, numbers), default=-1)


def loaded(
    model: M,
    checkpoint: Path,
    entries: Layout,
    inputs: Mapping[str, Tensor],
    dtype: torch.dtype,
    vae: tuple[str, Layout] | None,
) -> M:
    """Fill a model on meta from a checkpoint and, if its weights stand beside the inputs, the VAE.

    ``vae``: how their names begin, and how they are called in the model.
    """
    load_into(model.trained(), checkpoint, entries, dtype)
    if vae and "in.image" in inputs and any(name.startswith(vae[0]) for name in inputs):
        fill_vae(model.image_encoder, inputs, vae[1], dtype)
    return model


def fill_vae(
    encoder: nn.Module, tensors: Mapping[str, Tensor], entries: Layout, dtype: torch.dtype
) -> None:
    """Fill an autoencoder from tensors that stand beside the inputs."""
    absent = [entry.file for entry in entries if entry.file not in tensors]
    if absent:
        raise UserError(f"the inputs lack {absent[0]} and {len(absent) - 1} more of the VAE")
    fill(encoder, to_model(tensors, entries), dtype)


def state_of(
    model: ImageWAM, inputs: Mapping[str, Tensor], config: Mapping[str, Any], dtype: torch.dtype
) -> State:
    """Inputs as the stages take them; the image is the caller's affair.

    ``in.noise_action`` [1, H, A] is one for all samples; without it ``sample_seed`` makes it.
    """
    proprio = inputs["in.proprio"].to(dtype)
    noise = inputs.get("in.noise_action")
    if noise is None:
        shape = (1, model.config.horizon, model.config.action_dim)
        noise = seeded_noise(config["sample_seed"], shape)
    return State(
        proprio=proprio,
        noise=noise.to(dtype).expand(proprio.shape[0], -1, -1),
        lengths=inputs["in.context_mask"].bool().sum(dim=1).tolist(),
        text=inputs["in.context"].to(dtype),
    )


def give_picture(
    model: ImageWAM, state: State, inputs: Mapping[str, Tensor], dtype: torch.dtype
) -> bool:
    """Give a state its image and the noise of its latents; False: the VAE has no weights."""
    encoder = model.image_encoder
    if "in.image" not in inputs or encoder is None or not is_filled(encoder):
        return False
    state.image = inputs["in.image"].to(dtype)
    if "in.noise_vae" in inputs:
        state.latent_noise = inputs["in.noise_vae"].to(dtype)
    return True


def stored_tokens(inputs: Mapping[str, Tensor], vae: str) -> Tensor:
    """The image's tokens [B, N, C] among the inputs; UserError if there are none."""
    for name in ("in.ref_tokens", "mid.ref_tokens"):
        if name in inputs:
            return inputs[name]
    raise UserError(
        f"the inputs hold neither in.image with the VAE's weights ({vae}*) nor in.ref_tokens; "
        "add one of them"
    )


def is_filled(module: nn.Module) -> bool:
    """Whether a module that was built on meta has weights."""
    return not next(module.parameters()).is_meta


def named(state: State, layers: Sequence[str]) -> dict[str, Tensor]:
    """Actions, caches and velocities under the goldens' names.

    Args:
        state: of a finished inference.
        layers: what the goldens call each layer of the cache, up to the letter ("double.0.").

    Returns:
        ``out.action`` ([H, A] for one sample, else [B, H, A], float32), ``mid.cache.*`` [B, T, W],
        the same per sample as ``mid.sI.cache.*`` if there are several, ``mid.stepN.velocity``.
    """
    assert state.action is not None
    size = len(state.lengths)
    out = {"out.action": state.action.float()[0] if size == 1 else state.action.float()}
    for layer, kv in zip(layers, state.cache, strict=True):
        for letter, tensor in zip("kv", kv, strict=True):
            flat = tensor.flatten(2)
            out[f"mid.cache.{layer}{letter}"] = flat
            if size > 1:
                for row in range(size):
                    out[f"mid.s{row}.cache.{layer}{letter}"] = flat[row : row + 1]
    for index, velocity in enumerate(state.velocities):
        out[f"mid.step{index}.velocity"] = velocity
    return {name: tensor.detach().clone() for name, tensor in out.items()}


def named_alone(states: Sequence[State], layers: Sequence[str]) -> dict[str, Tensor]:
    """Results of samples that ran one by one, which may have caches of different lengths.

    Args:
        states: of finished inferences of one sample each.
        layers: what the goldens call each layer of the cache.

    Returns:
        ``out.action`` [B, H, A], float32; the rest of :func:`named` as ``mid.sI.*``.
    """
    out: dict[str, Tensor] = {}
    actions = []
    for row, state in enumerate(states):
        found = named(state, layers)
        actions.append(found.pop("out.action"))
        out |= {name.replace("mid.", f"mid.s{row}."): tensor for name, tensor in found.items()}
    return {"out.action": torch.stack(actions), **out}
