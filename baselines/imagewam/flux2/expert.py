"""The action expert: a slim FLUX.2 whose every layer reads the editor's cache of that layer.

Module names are those of the released checkpoint, so its tensors load by name.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.core.attention import KV, KVCache, attend
from baselines.core.flow import TRAIN_TIMESTEPS, timestep_embedding
from baselines.core.rotary import rotary_table, rotate_pairs
from baselines.imagewam.config import TIME_CHANNELS
from baselines.imagewam.flux2.config import Flux2Config
from baselines.imagewam.flux2.editor import NORM_EPS, Rope, head_norm

Chunks = tuple[Tensor, ...]
ACTION_AXIS_0 = 2.0  # the first position of action tokens; 10 is the source image, 0 the target


class _Scale(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))


class _HeadNorms(nn.Module):
    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.query_norm = _Scale(head_dim)
        self.key_norm = _Scale(head_dim)

    def forward(self, q: Tensor, k: Tensor, rope: Rope) -> tuple[Tensor, Tensor]:
        q = rotate_pairs(head_norm(q, self.query_norm.scale), rope)
        return q, rotate_pairs(head_norm(k, self.key_norm.scale), rope)


class _Attention(nn.Module):
    def __init__(self, hidden: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(hidden, 3 * heads * head_dim, bias=False)
        self.norm = _HeadNorms(head_dim)
        self.proj = nn.Linear(heads * head_dim, hidden, bias=False)

    def forward(self, x: Tensor, past: KV, rope: Rope, mask: Tensor | None) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(dim=2)
        q, k = self.norm(q, k, rope)
        return self.proj(attend(q, k, v, past, mask).flatten(2))


def _gated(x: Tensor) -> Tensor:
    gate, up = x.chunk(2, dim=-1)
    return F.silu(gate) * up


def _norm(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return (1 + scale) * F.layer_norm(x, x.shape[-1:], eps=NORM_EPS) + shift


class DoubleBlock(nn.Module):
    """Attention, then MLP (the image half of a FLUX.2 double block)."""

    def __init__(self, hidden: int, heads: int, head_dim: int, mlp: int) -> None:
        super().__init__()
        self.img_attn = _Attention(hidden, heads, head_dim)
        up = nn.Linear(hidden, 2 * mlp, bias=False)
        self.img_mlp = nn.Sequential(up, nn.Identity(), nn.Linear(mlp, hidden, bias=False))

    def forward(
        self, x: Tensor, modulation: Chunks, past: KV, rope: Rope, mask: Tensor | None
    ) -> Tensor:
        """Update ``x`` [B, H, hidden]."""
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = modulation
        x = x + gate * self.img_attn(_norm(x, shift, scale), past, rope, mask)
        up, _, down = self.img_mlp
        return x + mlp_gate * down(_gated(up(_norm(x, mlp_shift, mlp_scale))))


class SingleBlock(nn.Module):
    """Attention and MLP side by side from one projection."""

    def __init__(self, hidden: int, heads: int, head_dim: int, mlp: int) -> None:
        super().__init__()
        self.heads, self.width, self.mlp = heads, heads * head_dim, mlp
        self.linear1 = nn.Linear(hidden, 3 * self.width + 2 * mlp, bias=False)
        self.linear2 = nn.Linear(self.width + mlp, hidden, bias=False)
        self.norm = _HeadNorms(head_dim)

    def forward(
        self, x: Tensor, modulation: Chunks, past: KV, rope: Rope, mask: Tensor | None
    ) -> Tensor:
        """Update ``x`` [B, H, hidden]."""
        shift, scale, gate = modulation
        merged = self.linear1(_norm(x, shift, scale))
        qkv, mlp = merged.split([3 * self.width, 2 * self.mlp], dim=-1)
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).unbind(dim=2)
        q, k = self.norm(q, k, rope)
        out = attend(q, k, v, past, mask).flatten(2)
        return x + gate * self.linear2(torch.cat([out, _gated(mlp)], dim=-1))


class _TimeMlp(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.in_layer = nn.Linear(TIME_CHANNELS, hidden, bias=False)
        self.out_layer = nn.Linear(hidden, hidden, bias=False)

    def forward(self, t: Tensor) -> Tensor:
        return self.out_layer(F.silu(self.in_layer(timestep_embedding(t, TIME_CHANNELS))))


class _Modulation(nn.Module):
    def __init__(self, hidden: int, chunks: int) -> None:
        super().__init__()
        self.chunks = chunks
        self.lin = nn.Linear(hidden, chunks * hidden, bias=False)

    def forward(self, time: Tensor) -> Chunks:
        return self.lin(F.silu(time))[:, None].chunk(self.chunks, dim=-1)


class _Head(nn.Module):
    def __init__(self, hidden: int, action_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, action_dim, bias=False)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden, 2 * hidden, bias=False))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(time)[:, None].chunk(2, dim=-1)
        return self.linear(_norm(x, shift, scale))


class ActionExpert(nn.Module):
    """Predicts the velocity of an action chunk from the editor's cache."""

    def __init__(self, config: Flux2Config) -> None:
        super().__init__()
        hidden = config.action_hidden
        sizes = (hidden, config.heads, config.head_dim, int(hidden * config.action_mlp_ratio))
        self.rope = (config.rope_axes, config.rope_theta)
        self.action_encoder = nn.Linear(config.action_dim, hidden)
        self.time_in = _TimeMlp(hidden)
        self.double_stream_modulation_img = _Modulation(hidden, 6)
        self.single_stream_modulation = _Modulation(hidden, 3)
        self.double_blocks = nn.ModuleList(DoubleBlock(*sizes) for _ in range(config.double_blocks))
        self.single_blocks = nn.ModuleList(SingleBlock(*sizes) for _ in range(config.single_blocks))
        self.head = _Head(hidden, config.action_dim)

    def forward(self, action: Tensor, t: Tensor, cache: KVCache, mask: Tensor | None) -> Tensor:
        """Velocity (noise - action).

        Args:
            action: noisy actions [B, H, action_dim].
            t: [B] timesteps in 0..1, in the model's dtype.
            cache: the editor's, one layer per block, P tokens.
            mask: bool [B, 1, 1, P + H], True: may be read; None: all may.

        Returns:
            [B, H, action_dim].
        """
        rope = rotary_table(action_positions(action), *self.rope, action.dtype)
        time = self.time_in(t * TRAIN_TIMESTEPS)
        modulations = [self.double_stream_modulation_img(time)] * len(self.double_blocks)
        modulations += [self.single_stream_modulation(time)] * len(self.single_blocks)
        blocks = [*self.double_blocks, *self.single_blocks]
        x = self.action_encoder(action)
        for block, modulation, past in zip(blocks, modulations, cache, strict=True):
            x = block(x, modulation, past, rope, mask)
        return self.head(x, time)


def action_positions(action: Tensor) -> Tensor:
    """Positions [H, 4] of the action tokens: (2, index, 0, 0), in the dtype of ``action``."""
    index = torch.arange(action.shape[1], device=action.device)
    positions = torch.zeros(len(index), 4, dtype=action.dtype, device=action.device)
    positions[:, 0] = ACTION_AXIS_0
    positions[:, 1] = index.to(action.dtype)
    return positions
