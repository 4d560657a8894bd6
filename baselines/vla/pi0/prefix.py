"""The cached prefix (images and text) and what tokens after it may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.core.attention import KVCache, joined, repeated


def visible_tokens(
    cameras: Sequence[bool],
    image_tokens: int,
    lengths: Sequence[int],
    text_tokens: int,
    device: torch.device,
) -> Tensor:
    """Which prefix tokens are real: bool [B, images * image_tokens + text_tokens].

    Built by filling slices, so that it runs on meta tensors and inside a CUDA graph.

    Args:
        cameras: per image, whether it has a camera.
        image_tokens: of one image.
        lengths: real text tokens of every sample.
        text_tokens: of the padded text.
        device: of the result.
    """
    images = len(cameras) * image_tokens
    shape = (len(lengths), images + text_tokens)
    visible = torch.ones(shape, dtype=torch.bool, device=device)
    for slot, present in enumerate(cameras):
        if not present:
            visible[:, slot * image_tokens : (slot + 1) * image_tokens] = False
    for sample, length in enumerate(lengths):
        visible[sample, images + length :] = False
    return visible


@dataclass(frozen=True)
class Prefix:
    """Keys and values of P tokens.

    Attributes:
        cache: per layer.
        visible: bool [B, P]: the tokens that may be read, at whose number the positions after the
            prefix start. None: all.
    """

    cache: KVCache
    visible: Tensor | None

    def positions(self, count: int) -> Tensor:
        """Positions [B or 1, count] of the tokens that follow."""
        after = torch.arange(count, device=self.cache[0].k.device)[None]
        if self.visible is None:
            return after + self.cache[0].k.shape[1]
        return after + self.visible.sum(dim=1, keepdim=True)

    def mask(self, count: int, lead: int) -> Tensor | None:
        """Mask of ``count`` tokens that follow, of which the first ``lead`` do not see the rest.

        Returns:
            bool [B or 1, 1, count, P + count]; None if nothing is hidden.
        """
        if self.visible is None and lead == 0:
            return None
        own = torch.ones(count, count, dtype=torch.bool, device=self.cache[0].k.device)
        own[:lead, lead:] = False
        return self.followed(own)

    def followed(self, own: Tensor) -> Tensor:
        """Mask of tokens that follow, see the prefix, and each other as ``own`` [T, T] says.

        Returns:
            bool [B or 1, 1, T, P + T].
        """
        past = self.visible
        if past is None:
            shape = (1, self.cache[0].k.shape[1])
            past = torch.ones(shape, dtype=torch.bool, device=self.cache[0].k.device)
        batch, count = past.shape[0], len(own)
        rows = [past[:, None].expand(-1, count, -1), own[None].expand(batch, -1, -1)]
        return torch.cat(rows, dim=2)[:, None]

    def repeated(self, times: int) -> Prefix:
        """The prefix of a batch in which every sample stands so many times in a row."""
        visible = self.visible
        if visible is not None:
            visible = visible.repeat_interleave(times, dim=0)
        return Prefix(repeated(self.cache, times), visible)

    def extended(self, cache: KVCache) -> Prefix:
        """This prefix followed by the tokens of ``cache``, which all may see."""
        visible = self.visible
        if visible is not None:
            more = visible.new_ones(visible.shape[0], cache[0].k.shape[1])
            visible = torch.cat([visible, more], dim=1)
        return Prefix(joined([self.cache, cache]), visible)
