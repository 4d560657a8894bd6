"""Where OmniGen2's tokens stand: text, source and goal of every sample without padding between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.imagewam.packing import column, pack_context, valid_mask

Table = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Context:
    """Text with proprioception, as the context refiner takes it.

    ``counts``: so many leading tokens of each sample go on to the joint layers.
    """

    tokens: Tensor  # [B, L + 1, text_features]
    counts: Sequence[int]
    valid: Tensor | None  # bool [B, L + 1], which tokens may be read; None: all


def packed(text: Tensor, lengths: Sequence[int], proprio: Tensor) -> Context:
    """Proprioception directly behind the last word, as in training."""
    counts = [length + 1 for length in lengths]
    valid = valid_mask(counts, text.shape[1] + 1, text.device)
    return Context(pack_context(text, lengths, proprio), counts, valid)


def appended(text: Tensor, lengths: Sequence[int], proprio: Tensor) -> Context:
    """Proprioception behind the padding: read in the refiner, cut off by ``counts``."""
    tokens = torch.cat([text, proprio[:, None]], dim=1)
    valid = valid_mask(lengths, text.shape[1], text.device)
    if valid is not None:
        valid = torch.cat([valid, valid.new_ones(len(lengths), 1)], dim=1)
    return Context(tokens, [length + 1 for length in lengths], valid)


def context_positions(counts: Sequence[int], size: int, device: torch.device) -> Tensor:
    """Positions [B, size, 3] of text tokens: (k, k, k)."""
    index = torch.arange(size, device=device)
    return index[None, :, None].expand(len(counts), -1, 3)


def image_positions(
    counts: Sequence[int], grid: tuple[int, int], number: int, device: torch.device
) -> Tensor:
    """Positions [B, N, 3] of a picture's tokens: (first, row, column).

    ``first`` is the number of text tokens before the source (``number`` 0); the goal (1) stands
    behind the longer side of the source.
    """
    rows, columns = (torch.arange(n, device=device) for n in grid)
    down, right = (axis.flatten() for axis in torch.meshgrid(rows, columns, indexing="ij"))
    first = column(counts, device) + number * max(grid)
    parts = (part.expand(len(counts), len(down)) for part in (first, down, right))
    return torch.stack(list(parts), dim=-1)


def table(positions: Tensor, dims: Sequence[int], theta: float) -> Table:
    """Cosines and sines [..., head_dim / 2] of positions [..., axes], float64 as released."""
    angles = []
    for axis, dim in enumerate(dims):
        exponent = torch.arange(0, dim, 2, dtype=torch.float64, device=positions.device) / dim
        angles.append(positions[..., axis, None].double() * (1.0 / theta**exponent))
    angle = torch.cat(angles, dim=-1)
    return angle.cos(), angle.sin()


def behind(counts: Sequence[int], text: Tensor, images: Tensor) -> Tensor:
    """Join leading text tokens with image tokens; zeros at the end of shorter samples.

    Args:
        counts: text tokens of each sample.
        text: [B, L, D].
        images: [B, N, D].

    Returns:
        [B, max(counts) + N, D].
    """
    if min(counts) == max(counts):
        return torch.cat([text[:, : counts[0]], images], dim=1)
    size, device = max(counts) + images.shape[1], text.device
    place = torch.arange(size, device=device)[None]
    count = column(counts, device)
    source = torch.where(place < count, place, place - count + text.shape[1])
    is_padding = place >= count + images.shape[1]
    both = torch.cat([text, images], dim=1)
    index = source.masked_fill(is_padding, 0)[..., None].expand(-1, -1, both.shape[2])
    return both.gather(1, index).masked_fill(is_padding[..., None], 0)


def tail(counts: Sequence[int], joint: Tensor, start: int, length: int) -> Tensor:
    """``length`` tokens of every sample that begin ``start`` behind its text: [B, length, D]."""
    if min(counts) == max(counts):
        return joint[:, counts[0] + start : counts[0] + start + length]
    place = torch.arange(start, start + length, device=joint.device)[None]
    index = place + column(counts, joint.device)
    return joint.gather(1, index[..., None].expand(-1, -1, joint.shape[2]))


def joint_mask(
    counts: Sequence[int], source: int, target: int, device: torch.device
) -> Tensor | None:
    """Who reads whom in the joint layers: only the goal reads the goal, nobody reads padding.

    Returns:
        bool [B or 1, 1, S or 1, S], or None if all may read all.
    """
    size = max(counts) + source + target
    total = valid_mask([count + source + target for count in counts], size, device)
    keys = None if total is None else total[:, None, None]
    if not target:
        return keys
    place = torch.arange(size, device=device)[None]
    is_goal = place >= column(counts, device) + source
    allowed = (is_goal[:, :, None] | ~is_goal[:, None])[:, None]
    return allowed if keys is None else allowed & keys
