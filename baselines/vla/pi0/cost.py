"""FLOPs of pi0 and pi0.5 in closed form, of every step of the program. No torch here."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.core.cost import (
    convolution,
    keys_values,
    language_block,
    linear,
    mlp,
    vision_block,
)
from baselines.vla.pi0.config import Options, Pi0Config, Vision


def flops(config: Pi0Config, options: Options, text_tokens: int, cameras: int) -> Sequence[int]:
    """One integer per step of :func:`baselines.vla.pi0.program.program`, for one sample.

    Args:
        config: the architecture.
        options: which savings are on.
        text_tokens: of the instruction, without padding.
        cameras: that the robot has, of the ``camera_slots``.
    """
    images = cameras if options.skip_absent_cameras else config.camera_slots
    words = text_tokens if options.trim_text else config.text_length
    cached = images * config.vision.tokens + words
    return [
        0,  # the text is a table look-up
        images * encode_image(config.vision, config.width),
        prefill(config, cached, skip_dead=options.skip_dead_block),
        *(act(config, options, cached, is_first=index == 0) for index in range(config.steps)),
    ]


def encode_image(vision: Vision, width: int) -> int:
    """SigLIP and the projection to tokens of ``width`` channels."""
    tokens = vision.tokens
    patches = convolution(tokens, 3, vision.width, vision.patch**2)
    blocks = vision.layers * vision_block(tokens, vision.width, vision.mlp)
    return patches + blocks + linear(tokens, vision.width, width)


def prefill(config: Pi0Config, tokens: int, *, skip_dead: bool) -> int:
    """The language model over the prefix; ``skip_dead``: of its last layer keys and values only."""
    block = _block(config, tokens, 0, config.width, config.mlp)
    if not skip_dead:
        return config.layers * block
    last = keys_values(tokens, config.width, config.kv_heads * config.head_dim)
    return (config.layers - 1) * block + last


def act(config: Pi0Config, options: Options, cached: int, *, is_first: bool) -> int:
    """One flow step over a prefix of so many tokens."""
    width, horizon = config.expert_width, config.horizon
    total = linear(horizon, config.action_dim, width) + linear(horizon, width, config.action_dim)
    tokens = horizon
    if config.variant == "pi0":
        total += mlp(horizon, 2 * width, width, width)  # the time enters with the actions
        if is_first or not options.state_once:
            total += linear(1, config.state_dim, width)
            tokens += 1
        else:
            cached += 1  # the state token of the first step
    elif is_first or not options.modulate_once:
        times = config.steps if options.modulate_once else 1
        norms = 2 * config.layers + 1
        total += mlp(times, width, width, width) + norms * linear(times, width, 3 * width)
    return total + config.layers * _block(config, tokens, cached, width, config.expert_mlp)


def _block(config: Pi0Config, tokens: int, past: int, width: int, hidden: int) -> int:
    return language_block(
        tokens,
        tokens,
        past,
        width=width,
        heads=config.heads,
        kv_heads=config.kv_heads,
        head_dim=config.head_dim,
        hidden=hidden,
    )
