"""Yak's text refiner: two blocks over the text and a class token, without positions or time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.core.attention import attend
from baselines.imagewam.ovis_u1.modulation import NORM_EPS


class _Embedder(nn.Module):
    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(features, hidden)
        self.linear_2 = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(x)))


class _Mlp(nn.Module):
    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden, inner)
        self.fc2 = nn.Linear(inner, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.silu(self.fc1(x)))


class _Block(nn.Module):
    def __init__(self, hidden: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(hidden, eps=NORM_EPS)
        self.norm2 = nn.LayerNorm(hidden, eps=NORM_EPS)
        self.self_attn_qkv = nn.Linear(hidden, 3 * hidden)
        self.self_attn_proj = nn.Linear(hidden, hidden)
        self.mlp = _Mlp(hidden, inner)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden, 2 * hidden))

    def forward(self, x: Tensor, c: Tensor, mask: Tensor | None) -> Tensor:
        gate, mlp_gate = self.adaLN_modulation(c)[:, None].chunk(2, dim=-1)
        qkv = self.self_attn_qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.unbind(dim=2)
        out = attend(q, k, v, mask=mask).flatten(2)
        x = x + gate * self.self_attn_proj(out)
        return x + mlp_gate * self.mlp(self.norm2(x))


class _Blocks(nn.Module):
    def __init__(self, hidden: int, heads: int, inner: int, count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(hidden, heads, inner) for _ in range(count))


class TextRefiner(nn.Module):
    """Features of the language model to tokens of the editor, and one token for all of them."""

    def __init__(self, features: int, hidden: int, heads: int, inner: int, blocks: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, hidden))
        self.input_embedder = nn.Linear(features, hidden)
        self.c_embedder = _Embedder(features, hidden)
        self.individual_token_refiner = _Blocks(hidden, heads, inner, blocks)

    def forward(self, context: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Refine.

        Args:
            context: [B, L, features], text with proprioception.
            valid: bool [B, L], True: no padding; None: nothing is.

        Returns:
            Tokens [B, L, hidden] and the class token [B, hidden]. Padding reads the class token
            alone, and nothing reads padding.
        """
        if valid is None:
            mean, mask = context.mean(dim=1), None
        else:
            kept = valid[..., None].to(context.dtype)
            mean = (context * kept).sum(dim=1) / kept.sum(dim=1)
            with_cls = F.pad(valid, (1, 0), value=True)
            mask = with_cls[:, None, :, None] & with_cls[:, None, None, :]
            is_cls = torch.arange(with_cls.shape[1], device=valid.device) == 0
            mask = mask | is_cls
        c = self.c_embedder(mean)
        cls = self.cls_token.expand(len(context), -1, -1)
        x = torch.cat([cls, self.input_embedder(context)], dim=1)
        for block in self.individual_token_refiner.blocks:
            x = block(x, c, mask)
        return x[:, 1:], x[:, 0]
