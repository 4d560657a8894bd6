"""FLOPs of an ImageWAM on OmniGen2 in closed form, of every step of its program. No torch here."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.core.cost import attention, gated_mlp, keys_values, language_block, linear, mlp
from baselines.imagewam import vae_cost
from baselines.imagewam.config import TIME_CHANNELS, Options
from baselines.imagewam.omnigen2.config import (
    CONDITIONING,
    OmniGen2Config,
    TextConfig,
    VaeConfig,
    mlp_width,
)


def flops(
    config: OmniGen2Config, options: Options, text_tokens: int, imagine_steps: int = 0
) -> Sequence[int]:
    """One integer per step of :func:`baselines.imagewam.omnigen2.inference.program`, one sample.

    Args:
        config: the architecture.
        options: what is computed beyond need.
        text_tokens: of the instruction, without padding.
        imagine_steps: as the program's.
    """
    count, kept, image = config.text_length, text_tokens + 1, config.image_tokens
    if not options.pad_text:
        count = config.kept_text([text_tokens])[0]
    proprio = linear(1, config.proprio_dim, config.text_features)
    goal = 0 if config.reads == "prefix" else image

    def editing(target: int, *, skip_dead: bool = False) -> int:
        refined = refiners(config, count + 1, image, target)
        return proprio + refined + joint(config, kept + image + target, skip_dead=skip_dead)

    edit = editing(image) + head(config.hidden, image, config.image_channels)
    vae = config.vae
    return [
        text(config.text, count) if config.text else 0,
        encode(vae, config.image_size) if vae else 0,
        *[edit] * (config.reads == "half_denoised"),
        editing(goal, skip_dead=not options.dead_block),
        *[edit] * imagine_steps,
        *[expert(config, kept + image + goal)] * config.steps,
        *([decode(vae, config.image_size)] if vae and imagine_steps else []),
    ]


def text(config: TextConfig, tokens: int) -> int:
    """Qwen2.5-VL's language model without a head."""
    return config.layers * language_block(
        tokens,
        tokens,
        0,
        width=config.hidden,
        heads=config.heads,
        kv_heads=config.kv_heads,
        head_dim=config.hidden // config.heads,
        hidden=config.mlp,
    )


def encode(config: VaeConfig, image_size: tuple[int, int]) -> int:
    """From an image (height, width) to the moments of its latents."""
    sizes = (config.channels, config.layers_per_block, config.latent_channels)
    return vae_cost.encode(*sizes, image_size, quant=False)


def decode(config: VaeConfig, image_size: tuple[int, int]) -> int:
    """From latents to an image (height, width)."""
    sizes = (config.channels, config.layers_per_block, config.latent_channels)
    return vae_cost.decode(*sizes, image_size, quant=False)


def refiners(config: OmniGen2Config, context: int, source: int, target: int) -> int:
    """Embeddings of time, text and images, and the three refiners."""
    width = config.hidden
    total = time_mlp(width) + linear(context, config.text_features, width)
    total += linear(source + target, config.image_channels, width)
    each = block(config, width, context, context, modulated=False)
    each += block(config, width, source, source)
    each += block(config, width, target, target) if target else 0
    return total + config.refiners * each


def joint(config: OmniGen2Config, tokens: int, *, skip_dead: bool = False) -> int:
    """The joint layers over so many tokens; ``skip_dead``: of the last keys and values alone."""
    one = block(config, config.hidden, tokens, tokens)
    if not skip_dead:
        return config.layers * one
    last = keys_values(tokens, config.hidden, config.kv_heads * config.head_dim)
    return (config.layers - 1) * one + last + modulation(config.hidden)


def block(
    config: OmniGen2Config, width: int, asking: int, keys: int, *, modulated: bool = True
) -> int:
    """One block of ``asking`` tokens that read ``keys``, their own among them."""
    wide = config.heads * config.head_dim
    total = 2 * linear(asking, width, wide)  # queries and output
    total += keys_values(asking, width, config.kv_heads * config.head_dim)
    total += attention(asking, keys, wide)
    total += gated_mlp(asking, width, mlp_width(width, config.mlp_multiple))
    return total + (modulation(width) if modulated else 0)


def modulation(width: int) -> int:
    """Two scales and two gates of an embedded timestep."""
    return linear(1, min(width, CONDITIONING), 4 * width)


def time_mlp(width: int) -> int:
    """From sinusoids to an embedded timestep."""
    return mlp(1, TIME_CHANNELS, min(width, CONDITIONING), min(width, CONDITIONING))


def head(width: int, tokens: int, channels: int) -> int:
    """The last modulation and projection."""
    return linear(1, min(width, CONDITIONING), width) + linear(tokens, width, channels)


def expert(config: OmniGen2Config, cached: int) -> int:
    """One flow step of the action over so many cached tokens."""
    width, tokens = config.action_hidden, config.horizon
    total = linear(tokens, config.action_dim, width) + time_mlp(width)
    total += config.layers * block(config, width, tokens, cached + tokens)
    return total + head(width, tokens, config.action_dim)
