"""The two vision towers: patches in, features of the last block but one out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import Dinov2WithRegistersConfig, SiglipVisionConfig
from transformers.models.dinov2_with_registers.modeling_dinov2_with_registers import (
    Dinov2WithRegistersLayer,
)
from transformers.models.siglip.modeling_siglip import SiglipEncoderLayer

from baselines.vla.oft.config import OFTConfig, TowerConfig


class Tower(nn.Module):
    """A vision transformer in timm's convention: positions belong to patches alone.

    transformers gives DINOv2's class token a position, too; timm added it to the class token once
    and for all. Hence own embeddings here and only the blocks from transformers.

    Args:
        config: of this tower.
        blocks: its transformer blocks.
        image_size: side of the images in pixels.
        patch: side of a patch in pixels.
    """

    def __init__(
        self, config: TowerConfig, blocks: Sequence[nn.Module], image_size: int, patch: int
    ) -> None:
        super().__init__()
        self.mean, self.std = config.mean, config.std
        self.prefix_tokens = sum(config.prefix)
        self.patches = nn.Conv2d(3, config.hidden, patch, patch)
        self.positions = nn.Parameter(torch.zeros(1, (image_size // patch) ** 2, config.hidden))
        self.prefix = nn.ParameterList(torch.zeros(1, n, config.hidden) for n in config.prefix)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, images: Tensor, *, last_block: bool) -> Tensor:
        """Features of images.

        Args:
            images: [B, 3, H, W] RGB in [0, 1].
            last_block: also run the last block, as ``get_intermediate_layers`` of timm 0.9 does; it
                has no say in the result.

        Returns:
            [B, patches, hidden] in the dtype of the weights, patches row by row.
        """
        x = self.patches(self._normalised(images)).flatten(2).transpose(1, 2) + self.positions
        x = torch.cat([*(p.expand(len(x), -1, -1) for p in self.prefix), x], dim=1)
        for block in self.blocks[:-1]:
            x = block(x, attention_mask=None)
        if last_block:
            self.blocks[-1](x, attention_mask=None)
        return x[:, self.prefix_tokens :]

    def _normalised(self, images: Tensor) -> Tensor:
        """Channel by channel with plain numbers: a tensor of means would have to be copied in."""
        channels = zip(images.unbind(dim=1), self.mean, self.std, strict=True)
        normalised = torch.stack([(x - mean) / std for x, mean, std in channels], dim=1)
        return normalised.to(self.patches.weight.dtype)


def dino_tower(config: OFTConfig) -> Tower:
    """DINOv2 with registers."""
    tower = config.dino
    blocks = Dinov2WithRegistersConfig(
        hidden_size=tower.hidden,
        mlp_ratio=tower.mlp // tower.hidden,
        num_attention_heads=tower.heads,
        hidden_act="gelu",
        layer_norm_eps=1e-6,
    )
    blocks._attn_implementation = "sdpa"
    layers = [Dinov2WithRegistersLayer(blocks) for _ in range(tower.layers)]
    return Tower(tower, layers, config.image_size, config.patch)


def siglip_tower(config: OFTConfig) -> Tower:
    """SigLIP, with the exact GELU of timm 0.9 where Google's own code approximates it by tanh."""
    tower = config.siglip
    blocks = SiglipVisionConfig(
        hidden_size=tower.hidden,
        intermediate_size=tower.mlp,
        num_attention_heads=tower.heads,
        hidden_act="gelu",
        layer_norm_eps=1e-6,
    )
    blocks._attn_implementation = "sdpa"
    layers = [SiglipEncoderLayer(blocks) for _ in range(tower.layers)]
    return Tower(tower, layers, config.image_size, config.patch)
