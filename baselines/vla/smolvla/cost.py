"""FLOPs of SmolVLA in closed form, of every step of the program. No torch here."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.core.cost import (
    attention,
    convolution,
    gated_mlp,
    keys_values,
    language_block,
    linear,
    mlp,
    vision_block,
)
from baselines.vla.smolvla.config import Options, SmolVLAConfig, Vision


def flops(config: SmolVLAConfig, options: Options, text_tokens: int, cameras: int) -> Sequence[int]:
    """One integer per step of :func:`baselines.vla.smolvla.program.program`, for one sample.

    Args:
        config: the architecture.
        options: which savings are on.
        text_tokens: of the instruction, without padding.
        cameras: that the robot has.
    """
    cached = cameras * config.vision.tokens + text_tokens + 1  # the state is the last one
    crossing = _crossing(config, cached)
    once, each = (crossing, 0) if options.cross_once else (0, crossing)
    return [
        0,  # the text is a table look-up
        cameras * encode_image(config.vision, config.width),
        prefill(config, cached, skip_dead=options.skip_dead_block) + once,
        *[act(config, cached) + each] * config.steps,
    ]


def encode_image(vision: Vision, width: int) -> int:
    """SigLIP and the projection of neighbouring patches to tokens of ``width`` channels."""
    patches = convolution(vision.patches, 3, vision.width, vision.patch**2)
    blocks = vision.layers * vision_block(vision.patches, vision.width, vision.mlp)
    return patches + blocks + linear(vision.tokens, vision.width * vision.shuffle**2, width)


def prefill(config: SmolVLAConfig, tokens: int, *, skip_dead: bool) -> int:
    """The language model over the prefix; ``skip_dead``: of its last layer keys and values only."""
    state = linear(1, config.state_dim, config.width)
    block = _block(config, tokens, 0, config.width, config.mlp)
    if not skip_dead:
        return state + config.layers * block
    last = keys_values(tokens, config.width, config.kv_heads * config.head_dim)
    return state + (config.layers - 1) * block + last


def act(config: SmolVLAConfig, cached: int) -> int:
    """One flow step over a prefix of so many tokens, whose keys are ready for every layer."""
    width, horizon = config.expert_width, config.horizon
    total = linear(horizon, config.action_dim, width) + linear(horizon, width, config.action_dim)
    total += mlp(horizon, 2 * width, width, width)  # the time enters with the actions
    own = _block(config, horizon, cached, width, config.expert_mlp)
    crossed = _cross_block(config, cached)
    return total + (config.layers - _cross_layers(config)) * own + _cross_layers(config) * crossed


def _cross_layers(config: SmolVLAConfig) -> int:
    return config.layers // 2


def _crossing(config: SmolVLAConfig, cached: int) -> int:
    """Keys and values of the cache as all layers that read it alone want them."""
    channels = config.kv_heads * config.head_dim
    return _cross_layers(config) * keys_values(cached, channels, channels)


def _cross_block(config: SmolVLAConfig, cached: int) -> int:
    width, wide, horizon = config.expert_width, config.heads * config.head_dim, config.horizon
    projections = linear(horizon, width, wide) + linear(horizon, wide, width)
    return (
        projections
        + attention(horizon, cached, wide)
        + gated_mlp(horizon, width, config.expert_mlp)
    )


def _block(config: SmolVLAConfig, tokens: int, past: int, width: int, hidden: int) -> int:
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
