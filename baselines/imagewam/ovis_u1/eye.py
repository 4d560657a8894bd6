"""AIMv2 as Ovis-U1 has it: pictures of any size, patches in groups of 2x2, visual words.

Module names are those of the released vision-language model, so its tensors load by name.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.core.attention import attend
from baselines.imagewam.ovis_u1.config import EyeConfig

NORM_EPS = 1e-5
ROPE_THETA = 10_000.0
COLOURS = 3
MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's, of each colour
STD = (0.26862954, 0.26130258, 0.27577711)


class _Norm(nn.Module):
    """RMS norm, float32 inside, scaled in the model's dtype."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), x.shape[-1:], eps=NORM_EPS).to(x.dtype) * self.weight


class _Patchifier(nn.Module):
    def __init__(self, config: EyeConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(COLOURS, config.hidden, config.patch, config.patch)
        self.norm = _Norm(config.hidden)

    def forward(self, patches: Tensor) -> Tensor:
        return self.norm(F.linear(patches, self.proj.weight.flatten(1), self.proj.bias))


class _Preprocessor(nn.Module):
    def __init__(self, config: EyeConfig) -> None:
        super().__init__()
        self.patchifier = _Patchifier(config)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid**2, config.hidden))
        self.grid = config.grid

    def forward(self, patches: Tensor, rows: int, columns: int) -> Tensor:
        learned = self.pos_embed[0].T.unflatten(1, (self.grid, self.grid))[None]
        resized = F.interpolate(
            learned.float(), size=(rows, columns), mode="bicubic", align_corners=False
        )
        places = grouped(resized[0].permute(1, 2, 0)).to(patches.dtype)
        return self.patchifier(patches) + places


class _Attention(nn.Module):
    def __init__(self, config: EyeConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.hidden, 3 * config.hidden, bias=False)
        self.proj = nn.Linear(config.hidden, config.hidden, bias=False)

    def forward(self, x: Tensor, angles: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(dim=2)
        return self.proj(attend(_turned(q, angles), _turned(k, angles), v).flatten(2))


class _Mlp(nn.Module):
    def __init__(self, config: EyeConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden, config.inner, bias=False)
        self.fc2 = nn.Linear(config.inner, config.hidden, bias=False)
        self.fc3 = nn.Linear(config.hidden, config.inner, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.silu(self.fc1(x)) * self.fc3(x))


class _Block(nn.Module):
    def __init__(self, config: EyeConfig) -> None:
        super().__init__()
        self.attn = _Attention(config)
        self.norm_1 = _Norm(config.hidden)
        self.mlp = _Mlp(config)
        self.norm_2 = _Norm(config.hidden)

    def forward(self, x: Tensor, angles: Tensor) -> Tensor:
        x = x + self.attn(self.norm_1(x), angles)
        return x + self.mlp(self.norm_2(x))


class _Trunk(nn.Module):
    def __init__(self, config: EyeConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.post_trunk_norm = _Norm(config.hidden)  # of the release; nothing reads its output


class Backbone(nn.Module):
    """The vision transformer."""

    def __init__(self, config: EyeConfig) -> None:
        super().__init__()
        self.config = config
        self.preprocessor = _Preprocessor(config)
        self.trunk = _Trunk(config)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.preprocessor.pos_embed.dtype

    def forward(self, patches: Tensor, rows: int, columns: int) -> Tensor:
        """Features of a picture.

        Args:
            patches: of :func:`patches_of`, in the model's dtype.
            rows: of patches.
            columns: likewise.

        Returns:
            [B, rows / 2 * columns / 2, 4 * hidden], four patches side by side, of the last block
            and before the final norm.
        """
        x = self.preprocessor(patches, rows, columns)
        head_dim = self.config.hidden // self.config.heads
        angles = patch_angles(rows, columns, head_dim, x.device)
        for block in self.trunk.blocks:
            x = block(x, angles)
        return x.unflatten(1, (-1, 4)).flatten(2)


class Eye(nn.Module):
    """Pictures to probabilities of visual words."""

    def __init__(self, config: EyeConfig) -> None:
        super().__init__()
        self.config = config
        named = config.words - config.marks
        self.backbone = Backbone(config)
        self.head = nn.Sequential(nn.Linear(config.merged, named, bias=False), nn.LayerNorm(named))

    def forward(self, picture: Tensor) -> Tensor:
        """Words of a picture [B, 3, H, W], float32 in [0, 1].

        Returns:
            [B, N, words], in the model's dtype; the last ones, which the head cannot name, are 0.
        """
        patches, rows, columns = patches_of(picture, self.config)
        features = self.backbone(patches.to(self.backbone.dtype), rows, columns)
        words = self.head(features).float().softmax(dim=-1).to(features.dtype)
        return F.pad(words, (0, self.config.marks))


def patches_of(picture: Tensor, config: EyeConfig) -> tuple[Tensor, int, int]:
    """Resize, normalise and cut a picture [B, 3, H, W], float32 in [0, 1].

    Returns:
        [B, N, 3 * patch * patch] in groups of 2x2, channels ordered (colour, row, column), and the
        rows and columns of patches.
    """
    size = config.resized(*picture.shape[-2:])
    resized = F.interpolate(
        picture, size=size, mode="bicubic", align_corners=False, antialias=True
    ).clamp(0, 1)
    # Colour by colour: a copy of the numbers to the device would stop a CUDA graph.
    normed = torch.stack([(resized[:, i] - MEAN[i]) / STD[i] for i in range(COLOURS)], dim=1)
    rows, columns = (length // config.patch for length in size)
    cut = normed.unflatten(3, (columns, -1)).unflatten(2, (rows, -1))
    return grouped(cut.permute(0, 2, 4, 1, 3, 5).flatten(3)), rows, columns


def grouped(x: Tensor) -> Tensor:
    """[..., rows, columns, C] to [..., rows * columns, C], patches of 2x2 one after the other."""
    pairs = x.unflatten(-2, (-1, 2)).unflatten(-4, (-1, 2))  # [..., r, 2, c, 2, C]
    return pairs.transpose(-4, -3).flatten(-5, -2)


def patch_angles(rows: int, columns: int, head_dim: int, device: torch.device) -> Tensor:
    """Angles [N, head_dim / 2] of the patches in their order: half for the row, half for columns.

    float32, as released; ``position * 10000 ** (-2 i / (head_dim / 2))``.
    """
    half = head_dim // 2
    rates = 1.0 / ROPE_THETA ** (
        torch.arange(0, half, 2, device=device, dtype=torch.float32) / half
    )
    row, column = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
    )
    places = grouped(torch.stack([row, column], dim=-1))
    return (places[..., None] * rates).flatten(1)


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate channel i of a head with channel i + head_dim / 2; float32 inside."""
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    first, second = x.float().chunk(2, dim=-1)
    turned = [first * cos - second * sin, first * sin + second * cos]
    return torch.cat(turned, dim=-1).to(x.dtype)
