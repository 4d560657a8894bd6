"""The image editor OmniGen2, of diffusers' Lumina 2 parts under OmniGen2's names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers.models.normalization import RMSNorm
from torch import Tensor, nn

from baselines.core.attention import KVCache
from baselines.imagewam.omnigen2.blocks import (
    Turn,
    embed,
    keys_only,
    make_blocks,
    make_embedder,
    make_head,
    softmax_mask,
)
from baselines.imagewam.omnigen2.config import OmniGen2Config
from baselines.imagewam.omnigen2.packing import (
    Context,
    Table,
    behind,
    context_positions,
    image_positions,
    joint_mask,
    table,
    tail,
)
from baselines.imagewam.packing import column


@dataclass(frozen=True)
class Pass:
    """What one pass of the editor leaves behind.

    The tokens of a sample are [text, source, goal, padding].
    """

    cache: KVCache  # S tokens
    counts: Sequence[int]  # text tokens of each sample
    hidden: Tensor  # [B, S, hidden], after the last block
    time: Tensor  # [B, conditioning]


class _TimeAndCaption(nn.Module):
    def __init__(self, config: OmniGen2Config) -> None:
        super().__init__()
        self.timestep_embedder = make_embedder(config.hidden)
        self.caption_embedder = nn.Sequential(
            RMSNorm(config.text_features, eps=config.norm_eps),
            nn.Linear(config.text_features, config.hidden),
        )


class OmniGen2Editor(nn.Module):
    """Three refiners, joint layers, and the head that only an edited picture needs."""

    def __init__(self, config: OmniGen2Config) -> None:
        super().__init__()
        self.config = config
        width = config.hidden
        self.x_embedder = nn.Linear(config.image_channels, width)
        self.ref_image_patch_embedder = nn.Linear(config.image_channels, width)
        self.image_index_embedding = nn.Parameter(torch.empty(config.source_pictures, width))
        nn.init.normal_(self.image_index_embedding, std=0.02)
        self.time_caption_embed = _TimeAndCaption(config)
        self.noise_refiner = make_blocks(config, width, config.refiners)
        self.ref_image_refiner = make_blocks(config, width, config.refiners)
        self.context_refiner = make_blocks(config, width, config.refiners, modulated=False)
        self.layers = make_blocks(config, width, config.layers)
        self.norm_out = make_head(width, config.image_channels)

    def forward(
        self,
        context: Context,
        source: Tensor,
        target: Tensor | None,
        timestep: Tensor,
        *,
        skip_dead: bool = False,
    ) -> Pass:
        """One pass over [text, source, goal].

        Args:
            context: text with proprioception.
            source: [B, N, image_channels], the tokens of the current image.
            target: likewise of the goal; None: without it.
            timestep: [B] in 0..1000, for text, source and goal alike.
            skip_dead: leave out what only the hidden states after the last block need; ``hidden``
                are then those before it.
        """
        config, counts = self.config, context.counts
        embedder = self.time_caption_embed.timestep_embedder
        time = embed(embedder, timestep, config.time_scale, config.time_order)
        text, text_table = self._context(context)
        images, tables = [self.ref_image_patch_embedder(source) + self.image_index_embedding[0]], []
        if target is not None:
            images.append(self.x_embedder(target))
        refiners = (self.ref_image_refiner, self.noise_refiner)
        for number in range(len(images)):
            positions = image_positions(counts, config.token_grid, number, source.device)
            tables.append(self._table(positions))
            for block in refiners[number]:
                images[number] = block(images[number], None, Turn(tables[number]), time)

        x = behind(counts, text, torch.cat(images, dim=1))
        cosines, sines = (
            behind(counts, of_text, torch.cat(of_images, dim=1))
            for of_text, *of_images in zip(text_table, *tables, strict=True)
        )
        goal = 0 if target is None else target.shape[1]
        mask = joint_mask(counts, source.shape[1], goal, source.device)
        rope: Table = (cosines, sines)
        cache: KVCache = []
        for block in self.layers[:-1] if skip_dead else self.layers:
            x = block(x, mask, Turn(rope, record=cache), time)
        if skip_dead:
            cache.append(keys_only(self.layers[-1], x, time, rope))
        return Pass(cache, counts, x, time)

    def predict(self, done: Pass, source: int, target: int) -> Tensor:
        """Velocity of the goal [B, target, image_channels] after a pass with so many tokens."""
        return self.norm_out(tail(done.counts, done.hidden, source, target), done.time)

    def _context(self, context: Context) -> tuple[Tensor, Table]:
        """Refined text [B, L + 1, hidden] and its rotary table.

        The table is zero for tokens that do not go on to the joint layers, so that their keys are
        zero too, as released.
        """
        size, device = context.tokens.shape[1], context.tokens.device
        cosines, sines = self._table(context_positions(context.counts, size, device))
        limit = column(context.counts, device)
        goes_on = (torch.arange(size, device=device) < limit)[..., None]
        rope = (cosines * goes_on, sines * goes_on)
        text = self.time_caption_embed.caption_embedder(context.tokens)
        for block in self.context_refiner:
            text = block(text, softmax_mask(context.valid), Turn(rope))
        return text, rope

    def _table(self, positions: Tensor) -> Table:
        return table(positions, self.config.rope_axes, self.config.rope_theta)
