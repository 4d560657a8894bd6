"""FLOPs of an ImageWAM on Ovis-U1 in closed form, of every step of its program. No torch here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from baselines.core.cost import attention, gated_mlp, keys_values, language_block, linear, mlp
from baselines.imagewam import vae_cost
from baselines.imagewam.config import TIME_CHANNELS
from baselines.imagewam.ovis_u1.config import EyeConfig, LanguageConfig, Options, OvisU1Config


def flops(
    config: OvisU1Config, options: Options, text_tokens: int, imagine_steps: int = 0
) -> Sequence[int]:
    """One integer per step of :func:`baselines.imagewam.inference.program`, for one sample.

    Args:
        config: the architecture.
        options: what is computed beyond need.
        text_tokens: of prompt and marks around it, without padding.
        imagine_steps: as the program's.
    """
    text = config.text_length if options.pad_text else text_tokens
    context = config.context_tokens(text) + 1  # one token is proprioception
    image = config.image_tokens
    prefill = linear(1, config.proprio_dim, config.text_features) + refiner(config, context)
    prefill += editor(config, context, image, skip_dead=not options.dead_block)
    imagine = refiner(config, context) + editor(config, context, 2 * image)
    imagine += editor_head(config, image)
    vae = (config.vae.channels, config.vae.layers_per_block, config.vae.latent_channels)
    return [
        condition(config, text, language_head=options.language_head),
        vae_cost.encode(*vae, config.image_size, quant=True),
        prefill,
        *[imagine] * imagine_steps,
        *[expert(config, context, image)] * config.steps,
        *([vae_cost.decode(*vae, config.image_size, quant=True)] if imagine_steps else []),
    ]


def condition(config: OvisU1Config, text_tokens: int, *, language_head: bool) -> int:
    """The vision-language model over prompt and picture."""
    if config.condition is None:
        return 0
    eye, language = config.condition.eye, config.condition.language
    words = math.prod(config.seen_grid)
    named = eye.words - eye.marks
    total = eyes(eye, 4 * words) + linear(words, eye.merged, named)
    total += linear(words, eye.words, language.hidden)  # the embedding table
    return total + reading(
        language, config.context_tokens(text_tokens), language_head=language_head
    )


def eyes(config: EyeConfig, patches: int) -> int:
    """AIMv2 over so many patches."""
    width = config.hidden
    block = 4 * linear(patches, width, width) + attention(patches, patches, width)
    block += gated_mlp(patches, width, config.inner)
    return linear(patches, 3 * config.patch**2, width) + config.layers * block


def reading(config: LanguageConfig, tokens: int, *, language_head: bool) -> int:
    """Qwen3 over so many tokens, with or without its head."""
    block = language_block(
        tokens,
        tokens,
        0,
        width=config.hidden,
        heads=config.heads,
        kv_heads=config.kv_heads,
        head_dim=config.head_dim,
        hidden=config.mlp,
    )
    head = linear(tokens, config.hidden, config.vocabulary) if language_head else 0
    return config.layers * block + head


def refiner(config: OvisU1Config, context: int) -> int:
    """The text refiner, and what modulates the blocks."""
    width, inner, tokens = config.hidden, config.inner, context + 1  # and the class token
    block = 4 * linear(tokens, width, width) + attention(tokens, tokens, width)
    block += mlp(tokens, width, inner, width) + linear(1, width, 2 * width)
    total = mlp(1, config.text_features, width, width)  # of the mean
    total += linear(context, config.text_features, width) + config.refiner_blocks * block
    return total + mlp(1, TIME_CHANNELS, width, width) + mlp(1, width, width, width)


def editor(config: OvisU1Config, context: int, image: int, *, skip_dead: bool = False) -> int:
    """Yak's blocks over ``context`` and ``image`` tokens, without its refiner and head.

    ``skip_dead``: of the last block, if it is a single one, the keys and values alone.
    """
    width, tokens = config.hidden, context + image
    double = double_block(config, image, tokens, image) + linear(1, width, 6 * width)
    double += 4 * linear(context, width, width) + mlp(context, width, config.inner, width)
    double += attention(context, tokens, width)
    singles = config.single_blocks
    total = linear(image, config.image_channels, width) + config.double_blocks * double
    if skip_dead and singles:
        singles -= 1
        total += keys_values(tokens, width, width) + linear(1, width, 2 * width)
    return total + singles * single_block(config, tokens, tokens)


def editor_head(config: OvisU1Config, image: int) -> int:
    """The editor's last modulation and projection, which only an imagined image runs."""
    width = config.hidden
    return linear(1, width, 2 * width) + linear(image, width, config.image_channels)


def expert(config: OvisU1Config, context: int, image: int) -> int:
    """One flow step of the action over the cache of so many tokens."""
    width, tokens = config.hidden, config.horizon
    cached = context + image
    total = linear(tokens, config.action_dim, width) + mlp(1, TIME_CHANNELS, width, width)
    total += config.double_blocks * double_block(config, tokens, cached + tokens, image + tokens)
    total += config.single_blocks * single_block(config, tokens, cached + tokens)
    return total + linear(1, width, 2 * width) + linear(tokens, width, config.action_dim)


def double_block(config: OvisU1Config, tokens: int, joint: int, alone: int) -> int:
    """The image half of a double block: ``joint`` and ``alone`` keys in its two attentions."""
    width = config.hidden
    total = 8 * linear(tokens, width, width) + mlp(tokens, width, config.inner, width)
    total += attention(tokens, joint, width) + attention(tokens, alone, width)
    return total + linear(1, width, 9 * width)  # modulation


def single_block(config: OvisU1Config, tokens: int, keys: int) -> int:
    """A single block of ``tokens`` that ask over ``keys``."""
    width = config.hidden
    total = 4 * linear(tokens, width, width) + mlp(tokens, width, config.inner, width)
    return total + attention(tokens, keys, width) + linear(1, width, 3 * width)
