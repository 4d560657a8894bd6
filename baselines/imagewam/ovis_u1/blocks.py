"""The blocks of Yak, Ovis-U1's image editor, of which its action expert is made too.

Module names are those of the released checkpoint, so its tensors load by name.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.core.attention import KV, KVCache, attend
from baselines.core.rotary import rotate_pairs
from baselines.imagewam.ovis_u1.modulation import NORM_EPS, Modulation, modulated

Rope = tuple[Tensor, Tensor]


class Earlier(NamedTuple):
    """Keys and values of earlier tokens for the two attentions of a double block."""

    joint: KV
    image: KV


def earlier(cache: KVCache | None, place: int) -> Earlier | None:
    """What a double block reads whose softmaxes are number ``place`` and the next one."""
    return None if cache is None else Earlier(*cache[place : place + 2])


class Masks(NamedTuple):
    """Who may be read, bool, broadcastable to [B, 1, queries, keys]; None: all may."""

    joint: Tensor | None
    image: Tensor | None


class _Scale(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        normed = F.rms_norm(x.float(), x.shape[-1:], eps=NORM_EPS)
        return normed.to(x.dtype) * self.scale


class Projected(NamedTuple):
    """Queries, keys and values [B, T, heads, head_dim], normed and not turned yet."""

    q: Tensor
    k: Tensor
    v: Tensor

    def behind(self, before: Projected) -> Projected:
        """These tokens behind others."""
        return Projected(*(torch.cat(pair, dim=1) for pair in zip(before, self, strict=True)))

    def attend(self, rope: Rope, mask: Tensor | None, past: KV | None) -> tuple[Tensor, KV]:
        """Turn and attend; [B, T, hidden], and the keys and values."""
        own = KV(rotate_pairs(self.k, rope), self.v)
        return attend(rotate_pairs(self.q, rope), *own, past, mask).flatten(2), own


class HeadNorms(nn.Module):
    """RMS norms of each head's queries and keys, float32 inside."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.query_norm = _Scale(head_dim)
        self.key_norm = _Scale(head_dim)


class Attention(nn.Module):
    """The weights of one attention; what reads what, the block decides."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.norm = HeadNorms(hidden // heads)
        self.proj = nn.Linear(hidden, hidden)

    def project(self, x: Tensor) -> Projected:
        """Queries, keys and values of ``x`` [B, T, hidden]."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(dim=2)
        return Projected(self.norm.query_norm(q), self.norm.key_norm(k), v)


def _mlp(hidden: int, inner: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(hidden, inner), nn.GELU(approximate="tanh"), nn.Linear(inner, hidden)
    )


class DoubleBlock(nn.Module):
    """Text and image with weights of their own; image tokens attend a second time, to images alone.

    Both attentions start from the block's input, each with a modulation of its own.
    """

    def __init__(self, hidden: int, heads: int, inner: int) -> None:
        super().__init__()
        self.img_mod = Modulation(hidden, 3)
        self.txt_mod = Modulation(hidden, 2)
        self.img_attn = Attention(hidden, heads)
        self.img_self_attn = Attention(hidden, heads)
        self.txt_attn = Attention(hidden, heads)
        self.img_mlp = _mlp(hidden, inner)
        self.txt_mlp = _mlp(hidden, inner)

    def forward(
        self,
        text: Tensor | None,
        image: Tensor,
        vec: Tensor,
        rope: Rope,
        masks: Masks,
        past: Earlier | None = None,
    ) -> tuple[Tensor | None, Tensor, Earlier]:
        """One block over [text, image].

        Args:
            text: [B, L, hidden]; None: the text is in ``past``, and the text half is not used.
            image: [B, N, hidden], or action tokens.
            vec: [B, hidden], of time (and text).
            rope: of L + N positions.
            masks: of both attentions.
            past: what earlier tokens left.

        Returns:
            Updated text and image, and the keys and values of their tokens.
        """
        together, inner, alone = self.img_mod(vec)
        joint = self.img_attn.project(modulated(image, together.shift, together.scale))
        length = 0 if text is None else text.shape[1]
        if text is not None:
            told, told_inner = self.txt_mod(vec)
            words = self.txt_attn.project(modulated(text, told.shift, told.scale))
            joint = joint.behind(words)
        own = (rope[0][length:], rope[1][length:])
        only = self.img_self_attn.project(modulated(image, alone.shift, alone.scale))
        out, read = joint.attend(rope, masks.joint, past and past.joint)
        seen, looked = only.attend(own, masks.image, past and past.image)

        image = image + together.gate * self.img_attn.proj(out[:, length:])
        image = image + alone.gate * self.img_self_attn.proj(seen)
        normed = modulated(image, inner.shift, inner.scale)
        image = image + inner.gate * self.img_mlp(normed)
        if text is not None:
            text = text + told.gate * self.txt_attn.proj(out[:, :length])
            normed = modulated(text, told_inner.shift, told_inner.scale)
            text = text + told_inner.gate * self.txt_mlp(normed)
        return text, image, Earlier(read, looked)


class SingleBlock(nn.Module):
    """Attention and MLP side by side from one projection, on the merged stream."""

    def __init__(self, hidden: int, heads: int, inner: int) -> None:
        super().__init__()
        self.hidden, self.heads = hidden, heads
        self.linear1 = nn.Linear(hidden, 3 * hidden + inner)
        self.linear2 = nn.Linear(hidden + inner, hidden)
        self.norm = HeadNorms(hidden // heads)
        self.modulation = Modulation(hidden, 1)

    def forward(
        self, x: Tensor, vec: Tensor, rope: Rope, mask: Tensor | None, past: KV | None = None
    ) -> tuple[Tensor, KV]:
        """Update ``x`` [B, T, hidden]; also its keys and values."""
        [told] = self.modulation(vec)
        merged = self.linear1(modulated(x, told.shift, told.scale))
        qkv, inner = merged.tensor_split([3 * self.hidden], dim=-1)
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).unbind(dim=2)
        both = Projected(self.norm.query_norm(q), self.norm.key_norm(k), v)
        out, own = both.attend(rope, mask, past)
        wide = torch.cat([out, F.gelu(inner, approximate="tanh")], dim=-1)
        return x + told.gate * self.linear2(wide), own

    def keys_values(self, x: Tensor, vec: Tensor, rope: Rope) -> KV:
        """Keys and values of ``x`` without its queries, MLP and output."""
        width, lin = self.hidden, self.modulation.lin
        rows = slice(0, 2 * width)  # shift and scale; no gate
        told = F.linear(F.silu(vec), lin.weight[rows], lin.bias[rows])[:, None]
        rows = slice(width, 3 * width)
        both = F.linear(
            modulated(x, *told.chunk(2, dim=-1)), self.linear1.weight[rows], self.linear1.bias[rows]
        )
        k, v = both.unflatten(-1, (2, self.heads, -1)).unbind(dim=2)
        return KV(rotate_pairs(self.norm.key_norm(k), rope), v)
