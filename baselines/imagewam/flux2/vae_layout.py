"""The released FLUX.2 autoencoder file (``ae.safetensors``) against diffusers' names."""

from __future__ import annotations

from collections.abc import Iterator

from baselines.core.checkpoints.layout import Entry, Layout
from baselines.imagewam.flux2.config import VaeConfig

_PAIR = ("weight", "bias")


def vae_layout(config: VaeConfig, prefix: str = "", ours: str = "image_encoder.vae.") -> Layout:
    """Every tensor of the file; ``prefix`` stands before its names, ``ours`` before the model's."""
    names = [*_encoder(config), *_decoder(config)]
    names += [(f"bn.{n}",) * 2 for n in ("running_mean", "running_var", "num_batches_tracked")]
    return tuple(
        Entry(prefix + file, (ours + model,), squeeze=_is_attention(file)) for file, model in names
    )


def _is_attention(file: str) -> bool:
    """Whether the file holds a 1x1 convolution where diffusers has a linear layer."""
    return ".attn_1." in file and ".norm." not in file and file.endswith("weight")


def _both(file: str, model: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{file}.{part}", f"{model}.{part}") for part in _PAIR)


def _resnet(file: str, model: str, shortcut: bool) -> Iterator[tuple[str, str]]:
    for part in ("norm1", "conv1", "norm2", "conv2"):
        yield from _both(f"{file}.{part}", f"{model}.{part}")
    if shortcut:
        yield from _both(f"{file}.nin_shortcut", f"{model}.conv_shortcut")


def _middle(side: str) -> Iterator[tuple[str, str]]:
    for index in (0, 1):
        yield from _resnet(
            f"{side}.mid.block_{index + 1}", f"{side}.mid_block.resnets.{index}", shortcut=False
        )
    attention = f"{side}.mid_block.attentions.0"
    for file, model in (
        ("norm", "group_norm"),
        ("q", "to_q"),
        ("k", "to_k"),
        ("v", "to_v"),
        ("proj_out", "to_out.0"),
    ):
        yield from _both(f"{side}.mid.attn_1.{file}", f"{attention}.{model}")


def _ends(side: str) -> Iterator[tuple[str, str]]:
    yield from _both(f"{side}.conv_in", f"{side}.conv_in")
    yield from _both(f"{side}.norm_out", f"{side}.conv_norm_out")
    yield from _both(f"{side}.conv_out", f"{side}.conv_out")


def _encoder(config: VaeConfig) -> Iterator[tuple[str, str]]:
    yield from _both("encoder.quant_conv", "quant_conv")
    yield from _ends("encoder")
    yield from _middle("encoder")
    before = config.channels[0]
    for level, channels in enumerate(config.channels):
        for index in range(config.layers_per_block):
            yield from _resnet(
                f"encoder.down.{level}.block.{index}",
                f"encoder.down_blocks.{level}.resnets.{index}",
                shortcut=index == 0 and channels != before,
            )
        before = channels
        if level < len(config.channels) - 1:
            yield from _both(
                f"encoder.down.{level}.downsample.conv",
                f"encoder.down_blocks.{level}.downsamplers.0.conv",
            )


def _decoder(config: VaeConfig) -> Iterator[tuple[str, str]]:
    yield from _both("decoder.post_quant_conv", "post_quant_conv")
    yield from _ends("decoder")
    yield from _middle("decoder")
    before = config.channels[-1]
    for place, channels in enumerate(reversed(config.channels)):
        level = len(config.channels) - 1 - place  # the file counts from fine to coarse
        for index in range(config.layers_per_block + 1):
            yield from _resnet(
                f"decoder.up.{level}.block.{index}",
                f"decoder.up_blocks.{place}.resnets.{index}",
                shortcut=index == 0 and channels != before,
            )
        before = channels
        if level > 0:
            yield from _both(
                f"decoder.up.{level}.upsample.conv",
                f"decoder.up_blocks.{place}.upsamplers.0.conv",
            )
