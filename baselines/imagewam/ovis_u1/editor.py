"""Yak, the image editor of Ovis-U1, run so that its keys and values can be read."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from baselines.core.attention import KVCache
from baselines.imagewam.config import TIME_CHANNELS
from baselines.imagewam.ovis_u1.blocks import DoubleBlock, Masks, Rope, SingleBlock, earlier
from baselines.imagewam.ovis_u1.config import OvisU1Config
from baselines.imagewam.ovis_u1.modulation import Head, VectorMlp, time_features
from baselines.imagewam.ovis_u1.refiner import TextRefiner


class Refined(NamedTuple):
    """Text as the blocks take it; it depends on no time."""

    tokens: Tensor  # [B, L, hidden]
    pooled: Tensor  # [B, hidden], the class token


class Yak(nn.Module):
    """The transformer; module names are those of the released checkpoint."""

    def __init__(self, config: OvisU1Config) -> None:
        super().__init__()
        sizes = (config.hidden, config.heads, config.inner)
        self.img_in = nn.Linear(config.image_channels, config.hidden)
        self.vector_in = VectorMlp(config.hidden, config.hidden)
        self.txt_in = TextRefiner(
            config.text_features,
            config.hidden,
            config.refiner_heads,
            config.inner,
            config.refiner_blocks,
        )
        self.time_in = VectorMlp(TIME_CHANNELS, config.hidden)
        self.double_blocks = nn.ModuleList(DoubleBlock(*sizes) for _ in range(config.double_blocks))
        self.single_blocks = nn.ModuleList(SingleBlock(*sizes) for _ in range(config.single_blocks))
        self.final_layer = Head(config.hidden, config.image_channels)

    def refine(self, context: Tensor, valid: Tensor | None) -> Refined:
        """Text with proprioception [B, L, text_features]; ``valid`` as the refiner takes it."""
        return Refined(*self.txt_in(context, valid))

    def vector(self, refined: Refined, t: Tensor) -> Tensor:
        """What modulates all blocks [B, hidden]: timesteps ``t`` [B] in 0..1, and the text."""
        return self.time_in(time_features(t)) + self.vector_in(refined.pooled)

    def forward(
        self,
        text: Tensor | None,
        image: Tensor,
        vec: Tensor,
        rope: Rope,
        masks: Masks,
        *,
        past: KVCache | None = None,
        skip_dead: bool = False,
    ) -> tuple[KVCache, Tensor]:
        """One pass over [text, image].

        Args:
            text: refined tokens [B, L, hidden]; None: they are in ``past``.
            image: [B, N, image_channels], the tokens of one or more images.
            vec: of :meth:`vector`.
            rope: of the L + N positions.
            masks: of the two kinds of attention.
            past: of earlier tokens, which all tokens may read.
            skip_dead: leave out what only the hidden states after the last block need.

        Returns:
            The cache of all softmaxes in the order in which they run (in a double block that of all
            tokens, then that of image tokens alone), and the image's final hidden states
            [B, N, hidden] (those before the last block with ``skip_dead``).
        """
        cache: KVCache = []
        image = self.img_in(image)
        for double in self.double_blocks:
            text, image, left = double(text, image, vec, rope, masks, earlier(past, len(cache)))
            cache += left
        length = text.shape[1] if text is not None else 0
        merged = torch.cat([text, image], dim=1) if text is not None else image
        singles = list(self.single_blocks)
        skip_dead = skip_dead and bool(singles)
        for single in singles[:-1] if skip_dead else singles:
            before = past[len(cache)] if past is not None else None
            merged, own = single(merged, vec, rope, masks.joint, before)
            cache.append(own)
        if skip_dead:
            last: Any = singles[-1]
            cache.append(last.keys_values(merged, vec, rope))
        return cache, merged[:, length:]

    def predict(self, hidden: Tensor, vec: Tensor) -> Tensor:
        """Velocity [B, N, image_channels] from final hidden states [B, N, hidden]."""
        return self.final_layer(hidden, vec)
