"""The two experts of FastWAM as functions: latents or actions in, velocities and caches out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from torch import Tensor

from baselines.core.attention import KVCache
from baselines.core.rotary import rotary_table
from baselines.videowam.blocks import Rope, Time, embed_time, modulated, run_blocks
from baselines.videowam.modules import ActionExpert

ROPE_THETA = 10000.0


class Grid(NamedTuple):
    """Latent frames and the rows and columns of video tokens in each."""

    frames: int
    rows: int
    columns: int

    @property
    def frame_tokens(self) -> int:
        """Tokens of one latent frame."""
        return self.rows * self.columns


class Sight(NamedTuple):
    """What the tokens of one pass may read, as :func:`~.blocks.run_blocks` takes it."""

    text: KVCache
    past: KVCache | None = None
    mask: Tensor | None = None
    text_mask: Tensor | None = None


def video_grid(video: WanTransformer3DModel, latents: Tensor) -> Grid:
    """Token grid of latents [B, C, F, h, w]."""
    _, rows, columns = video.patch_embedding.kernel_size
    return Grid(latents.shape[2], latents.shape[3] // rows, latents.shape[4] // columns)


def video_rope(grid: Grid, head_dim: int, device: torch.device) -> Rope:
    """Positions (frame, row, column) of all video tokens, row by row.

    Rows and columns get a third of the channel pairs each, rounded down; frames get the rest.
    """
    axes = [torch.arange(n, device=device) for n in grid]
    positions = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, 2)
    side = 2 * (head_dim // 6)
    dims = (head_dim - 2 * side, side, side)
    return rotary_table(positions, dims, ROPE_THETA, torch.float64)


def action_rope(horizon: int, head_dim: int, device: torch.device) -> Rope:
    """Positions 0 to ``horizon - 1`` over the whole head, although videos use three axes."""
    positions = torch.arange(horizon, device=device)[:, None]
    return rotary_table(positions, (head_dim,), ROPE_THETA, torch.float64)


def first_frame_mask(grid: Grid, device: torch.device) -> Tensor:
    """[T, T] bool: the first frame sees itself alone, later frames see the whole clip."""
    first = torch.arange(grid.frames * grid.frame_tokens, device=device) < grid.frame_tokens
    return first[None, :] | ~first[:, None]


def run_video(
    video: WanTransformer3DModel,
    latents: Tensor,
    time: Time,
    rope: Rope,
    sight: Sight,
    stop_at_keys: bool = False,
) -> tuple[Tensor, KVCache]:
    """Run the video DiT up to its head.

    Args:
        video: the DiT.
        latents: [B, C, F, h, w].
        time: of the tokens of ``latents``.
        rope: of the tokens of ``latents``.
        sight: what they may read.
        stop_at_keys: see :func:`~.blocks.run_blocks`.

    Returns:
        Tokens [B, T, hidden] for :func:`video_velocity`, and their keys and values.
    """
    x = video.patch_embedding(latents).flatten(2).transpose(1, 2)
    text, past, mask, text_mask = sight
    return run_blocks(
        video.blocks, x, time.modulation, text, rope, past, mask, text_mask, stop_at_keys
    )


def video_velocity(video: WanTransformer3DModel, x: Tensor, time: Time, grid: Grid) -> Tensor:
    """The head: velocities [B, C, F, h, w] of tokens [B, T, hidden] that fill ``grid``."""
    shift, scale = (video.scale_shift_table + time.embedding[..., None, :]).unbind(-2)
    x = video.proj_out(modulated(video.norm_out, x, shift, scale))
    # A token lists its patch as (frame, row, column, channel); the embedding reads channels first.
    x = x.unflatten(-1, (*video.patch_embedding.kernel_size, -1)).unflatten(1, tuple(grid))
    return x.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)


def action_velocity(
    expert: ActionExpert, actions: Tensor, times: Tensor, rope: Rope, sight: Sight
) -> Tensor:
    """Velocities [B, H, D] of noisy actions [B, H, D].

    Args:
        expert: the action expert.
        actions: normalised, noisy.
        times: [B or 1] in 0..1000.
        rope: of :func:`action_rope`.
        sight: text and the video's keys and values; an action also sees its whole chunk.
    """
    modulation = embed_time(expert.condition_embedder, times[:, None], (1,)).modulation
    x = expert.action_encoder(actions)
    text, past, mask, text_mask = sight
    x, _ = run_blocks(expert.blocks, x, modulation, text, rope, past, mask, text_mask)
    return expert.head(x)
