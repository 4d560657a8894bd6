"""The action expert: slim OmniGen2 blocks, each of which reads the editor's cache of its layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.core.attention import KVCache
from baselines.imagewam.omnigen2.blocks import (
    Turn,
    embed,
    make_blocks,
    make_embedder,
    make_head,
    softmax_mask,
)
from baselines.imagewam.omnigen2.config import OmniGen2Config
from baselines.imagewam.omnigen2.packing import table


class ActionExpert(nn.Module):
    """Predicts the velocity of an action chunk from the editor's cache; names are the release's."""

    def __init__(self, config: OmniGen2Config) -> None:
        super().__init__()
        self.config = config
        width = config.action_hidden
        self.action_encoder = nn.Linear(config.action_dim, width)
        self.timestep_embedder = make_embedder(width)
        self.blocks = make_blocks(config, width, config.layers)
        self.head = make_head(width, config.action_dim)

    def forward(
        self, action: Tensor, timestep: Tensor, cache: KVCache, valid: Tensor | None
    ) -> Tensor:
        """Velocity (noise - action).

        Args:
            action: noisy actions [B, H, action_dim].
            timestep: [B] in 0..1000.
            cache: the editor's, P tokens.
            valid: bool [B, P + H], which tokens may be read; None: all.

        Returns:
            [B, H, action_dim].
        """
        config = self.config
        time = embed(self.timestep_embedder, timestep, config.action_time_scale, config.time_order)
        # One axis over the whole head: not in the editor's system of three.
        index = torch.arange(action.shape[1], device=action.device)[:, None]
        rope = table(index, (config.head_dim,), config.rope_theta)
        x = self.action_encoder(action)
        for block, past in zip(self.blocks, cache, strict=True):
            x = block(x, softmax_mask(valid), Turn(rope, past=past), time)
        return self.head(x, time)
