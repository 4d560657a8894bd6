"""FLOPs of an ImageWAM in closed form, of every step of its program. No torch here."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.core.cost import attention, gated_mlp, keys_values, language_block, linear, mlp
from baselines.imagewam.config import TIME_CHANNELS
from baselines.imagewam.flux2 import vae_cost
from baselines.imagewam.flux2.config import Flux2Config, Options, TextConfig


def flops(
    config: Flux2Config, options: Options, text_tokens: int, imagine_steps: int = 0
) -> Sequence[int]:
    """One integer per step of :func:`baselines.imagewam.inference.program`, for one sample.

    Args:
        config: the architecture.
        options: what is computed beyond need.
        text_tokens: of the instruction, without padding.
        imagine_steps: as the program's.
    """
    count = config.text_length if options.pad_text else text_tokens
    context, image = count + 1, config.image_tokens  # one token is proprioception
    prefill = linear(1, config.proprio_dim, config.text_features)
    prefill += editor(config, context, image, skip_dead=not options.dead_block)
    imagine = editor(config, context, 2 * image) + editor_head(config, image)
    vae = config.vae  # without one, patches of pixels are tokens and nothing is decoded
    return [
        text(config.text, count, all_layers=options.all_text_layers) if config.text else 0,
        vae_cost.encode(vae, config.image_size) if vae else 0,
        prefill,
        *[imagine] * imagine_steps,
        *[expert(config, context + image)] * config.steps,
        *([vae_cost.decode(vae, config.image_size)] if vae and imagine_steps else []),
    ]


def text(config: TextConfig, tokens: int, *, all_layers: bool) -> int:
    """Qwen3 up to the last layer that is read, or to its end and through the LM head."""
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
    if not all_layers:
        return max(config.read_layers) * block
    return config.layers * block + linear(tokens, config.hidden, config.vocabulary)


def editor(config: Flux2Config, context: int, image: int, *, skip_dead: bool = False) -> int:
    """The editor's blocks over ``context`` and ``image`` tokens, without its head.

    ``skip_dead``: of the last block the keys and values alone, if it is a single block.
    """
    width, tokens = config.hidden, context + image
    hidden = int(width * config.mlp_ratio)
    total = linear(context, config.text_features, width)
    total += linear(image, config.image_channels, width)
    total += mlp(1, TIME_CHANNELS, width, width)
    total += linear(1, width, (6 + 6 + 3) * width)  # modulations of image, text, single blocks
    seen = attention(tokens, tokens, width)
    double = 4 * linear(tokens, width, width) + seen + gated_mlp(tokens, width, hidden)
    single = linear(tokens, width, 3 * width + 2 * hidden) + seen
    single += linear(tokens, width + hidden, width)
    singles = config.single_blocks
    if skip_dead and singles:
        singles -= 1
        total += keys_values(tokens, width, width)
    return total + config.double_blocks * double + singles * single


def behind(config: Flux2Config, past: int, image: int, *, skip_dead: bool = False) -> int:
    """One pass of ``image`` tokens over the cache of ``past`` earlier ones, without the head."""
    width, tokens = config.hidden, past + image
    hidden = int(width * config.mlp_ratio)
    total = linear(image, config.image_channels, width) + mlp(1, TIME_CHANNELS, width, width)
    total += linear(1, width, (6 + 6 + 3) * width)
    block = 4 * linear(image, width, width) + attention(image, tokens, width)
    block += gated_mlp(image, width, hidden)  # a single block has the same weights, merged
    singles = config.single_blocks
    if skip_dead and singles:
        singles -= 1
        total += keys_values(image, width, width)
    return total + (config.double_blocks + singles) * block


def editor_head(config: Flux2Config, image: int) -> int:
    """The editor's last modulation and projection, which only an imagined image runs."""
    width = config.hidden
    return linear(1, width, 2 * width) + linear(image, width, config.image_channels)


def expert(config: Flux2Config, cached: int) -> int:
    """One flow step of the action over so many cached tokens."""
    width, wide, tokens = config.action_hidden, config.hidden, config.horizon
    hidden = int(width * config.action_mlp_ratio)
    total = linear(tokens, config.action_dim, width) + mlp(1, TIME_CHANNELS, width, width)
    total += linear(1, width, (6 + 3 + 2) * width)  # of double and single blocks, and of the head
    # A single block has the weights of a double one, merged otherwise.
    block = linear(tokens, width, 3 * wide) + linear(tokens, wide, width)
    block += attention(tokens, cached + tokens, wide) + gated_mlp(tokens, width, hidden)
    return total + config.blocks * block + linear(tokens, width, config.action_dim)
