"""FLOPs of an OpenVLA-OFT in closed form, of every step of its program. No torch here."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.core.cost import convolution, language_block, linear, mlp, vision_block
from baselines.vla.oft.config import OFTConfig, Options, TowerConfig


def flops(config: OFTConfig, options: Options, text_tokens: int) -> Sequence[int]:
    """One integer per step of :func:`baselines.vla.oft.program.program`, for one sample.

    Args:
        config: the architecture.
        options: what is computed beyond need.
        text_tokens: of the prompt.
    """
    towers = (config.dino, config.siglip)
    seen = sum(tower(config, one, last_block=options.last_vision_block) for one in towers)
    return [
        0,  # the text is a table look-up
        config.cameras * seen,
        observe(config),
        act(config, options, text_tokens),
    ]


def tower(config: OFTConfig, tower: TowerConfig, *, last_block: bool) -> int:
    """One vision transformer over one image; its last block gives no features."""
    tokens = sum(tower.prefix) + config.patches
    patches = convolution(config.patches, 3, tower.hidden, config.patch**2)
    block = vision_block(tokens, tower.hidden, tower.mlp)
    return patches + (tower.layers - 1 + last_block) * block


def observe(config: OFTConfig) -> int:
    """The projections of all image tokens and of proprioception."""
    hidden, features = config.language.hidden, config.features
    image = mlp(config.cameras * config.patches, features, 4 * features, hidden, hidden)
    return image + mlp(1, config.proprio_dim, hidden, hidden)


def act(config: OFTConfig, options: Options, text_tokens: int) -> int:
    """The language model over the whole sequence, and the head over the actions' tokens."""
    language, read = config.language, config.action_tokens
    tokens = config.observed_tokens + text_tokens + read + 1  # and the stop token

    def block(asking: int) -> int:
        return language_block(
            asking,
            tokens,
            0,
            width=language.hidden,
            heads=language.heads,
            kv_heads=language.kv_heads,
            head_dim=language.head_dim,
            hidden=language.mlp,
        )

    rows = tokens if options.unread_rows else read
    total = (language.layers - 1) * block(tokens) + block(rows)
    if options.lm_head:
        total += linear(rows, language.hidden, language.vocabulary)
    hidden = language.hidden
    widths = (config.action_dim * hidden, *[hidden] * (config.head_blocks + 1), config.action_dim)
    return total + mlp(config.horizon, *widths)
