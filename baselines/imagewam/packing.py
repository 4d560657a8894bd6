"""The packing contract of all editors: proprioception is a token of the text; pads are masked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pack_context(text: Tensor, lengths: Sequence[int], proprio: Tensor) -> Tensor:
    """Put each sample's proprioception token directly behind its last text token.

    Args:
        text: [B, L, D], padded on the right.
        lengths: valid text tokens of each sample.
        proprio: [B, D].

    Returns:
        [B, L + 1, D]; the padding moves back by one.
    """
    size = text.shape[1] + 1
    position = torch.arange(size, device=text.device)[None]
    count = column(lengths, text.device)
    source = (position - (position > count).long()).clamp(max=size - 2)
    moved = text.gather(1, source[..., None].expand(-1, -1, text.shape[2]))
    return torch.where((position == count)[..., None], proprio[:, None], moved)


def valid_mask(counts: Sequence[int], size: int, device: torch.device) -> Tensor | None:
    """Which of ``size`` positions are below each sample's count, bool [B, size]; None if all are.

    None matters: attention without a mask may use faster kernels.
    """
    if all(count == size for count in counts):
        return None
    return torch.arange(size, device=device)[None] < column(counts, device)


def column(counts: Sequence[int], device: torch.device) -> Tensor:
    """Counts as a column [B, 1]; one that all share is filled in there and not copied to it."""
    if min(counts) == max(counts):
        return torch.full((len(counts), 1), counts[0], device=device)
    return torch.tensor(counts, device=device)[:, None]


def readable(context: Tensor | None, others: int) -> Tensor | None:
    """Mask [B, 1, 1, L + others] over keys: valid context and everything behind it."""
    if context is None:
        return None
    rest = context.new_ones(context.shape[0], others)
    return torch.cat([context, rest], dim=1)[:, None, None]


def editing_mask(context: Tensor | None, source: int, target: int, like: Tensor) -> Tensor:
    """Mask of [context, source, target]: only the target's rows may read the target.

    Args:
        context: valid context tokens [B, L], or None with ``like`` giving L.
        source: image tokens of the current image.
        target: image tokens of the goal image.
        like: the packed context [B, L, D].

    Returns:
        bool [B or 1, 1, L + source + target, L + source + target].
    """
    prefix = like.shape[1] + source
    rows = torch.arange(prefix + target, device=like.device) >= prefix
    allowed = rows[:, None] | ~rows[None]
    keys = readable(context, source + target)
    return allowed[None, None] if keys is None else allowed & keys
