"""What is kept of the probabilities of one inference: few numbers, whatever the model's size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wambench.attention import Attention, Token

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]
VALUE_BYTES = 4


class Sizes(NamedTuple):
    """Entries along each axis."""

    steps: int
    layers: int
    heads: int
    actions: int

    def values(self, keys: int) -> int:
        """Numbers in ``mean``, ``maximum``, ``by_head`` and ``rollout`` of :class:`Read`."""
        each = self.steps * self.layers
        return keys * (2 * each * self.actions + each * self.heads + self.steps * self.actions)


def fitting(sizes: Sizes, keys: int, limit_bytes: int) -> Sizes:
    """The largest sizes within a limit: the longest axis is halved until it is met."""
    while sizes.values(keys) * VALUE_BYTES > limit_bytes and max(sizes) > 1:
        longest = sizes.index(max(sizes))
        sizes = Sizes(*(-(-n // 2) if i == longest else n for i, n in enumerate(sizes)))
    return sizes


def bins(count: int, into: int) -> NDArray[np.intp]:
    """The bin [count] of each index: neighbours together, bins as even as can be."""
    return np.arange(count) * into // count


@dataclass(frozen=True)
class Read:
    """What action tokens read in one part of the layers, in one inference.

    S, L, H and A count steps, layers, heads and actions. Where a model is so large that all of them
    would not fit, an entry stands for a few neighbours, those of :func:`bins`: their mean (in
    ``maximum``: their maximum).

    Attributes:
        tokens: K, what was read. The tokens of kind ``other`` are one at the end, unless all is
            kept.
        mean: [S, L, A, K], over heads. Rows sum to 1.
        maximum: [S, L, A, K], over heads.
        by_head: [S, L, H, K], mean over actions. Rows sum to 1.
        rollout: [S, A, K], what reaches an action's last state in this stream of tokens, also by
            way of other actions: attention rollout (Abnar & Zuidema 2020, arXiv:2005.00928, with
            half of every layer passing by) over the layers of one step. It follows the action
            tokens alone; what is not of the stream counts where it is read. None where actions do
            not read each other, or are several tokens each: in a bidirectional model all tokens
            move at every layer, and what the others read is not told.
        full: [steps, layers, heads, actions, K] of everything, if that was asked for. Rows sum to
            1.
    """

    tokens: Sequence[Token]
    mean: Floats
    maximum: Floats
    by_head: Floats
    rollout: Floats | None
    full: Floats | None

    @property
    def bytes(self) -> int:
        """Size of all numbers."""
        arrays = (self.mean, self.maximum, self.by_head, self.rollout, self.full)
        return sum(array.nbytes for array in arrays if array is not None)


@dataclass(frozen=True)
class Captured:
    """One inference: part of :attr:`wambench.attention.Attention.parts` -> what it read."""

    parts: Mapping[str, Read]

    @property
    def bytes_per_step(self) -> int:
        """Size of what is kept each time that the policy is asked."""
        return sum(read.bytes for read in self.parts.values())


class Reduction:
    """Makes the :class:`Read` of one part while its probabilities come in."""

    def __init__(
        self, attention: Attention, tokens: Sequence[Token], *, full: bool, limit_bytes: int
    ) -> None:
        """``tokens``: of all keys; ``full``: keep everything, ``other`` tokens one by one too."""
        kinds = [token.kind for token in tokens]
        self.merged = [] if full else [i for i, kind in enumerate(kinds) if kind == "other"]
        self.kept = sorted(set(range(len(tokens))) - set(self.merged))
        self.tokens = [tokens[i] for i in self.kept] + [Token("other")] * bool(self.merged)
        keys = len(self.tokens)
        every = Sizes(attention.steps, attention.layers, attention.heads, attention.actions)
        fits = fitting(every, keys, limit_bytes)
        self._bins = [bins(*pair) for pair in zip(every, fits, strict=True)]
        self._mean = np.zeros((fits.steps, fits.layers, fits.actions, keys), np.float32)
        self._maximum = np.zeros_like(self._mean)
        self._by_head = np.zeros((fits.steps, fits.layers, fits.heads, keys), np.float32)
        self._full = np.zeros((*every, keys), np.float32) if full else None
        own = [i for i, token in enumerate(self.tokens) if token.kind == "action"]
        is_stream = own == list(range(own[0], own[0] + every.actions)) if own else False
        self._own = slice(own[0], own[-1] + 1) if is_stream else None
        # What has reached each action [steps, actions, keys] by way of the layers so far.
        self._flow = np.zeros((every.steps, every.actions, keys if is_stream else 0), np.float32)
        if is_stream:
            self._flow[:, :, self._own] = np.eye(every.actions)

    def add(self, places: Sequence[tuple[int, int]], p: Tensor) -> None:
        """Take some softmaxes.

        Args:
            places: N pairs of step and layer, in the order in which they were computed.
            p: [N, heads, actions, columns], float32; columns are those of ``tokens``.
        """
        steps, layers, heads, actions = self._bins
        mean, maximum, by_head = (x.cpu().numpy() for x in (p.mean(1), p.amax(1), p.mean(2)))
        added = binned(np.add, mean, actions), binned(np.add, by_head, heads)
        highest = binned(np.maximum, maximum, actions)
        for i, (step, layer) in enumerate(places):
            at = steps[step], layers[layer]
            self._mean[at] += added[0][i]
            self._by_head[at] += added[1][i]
            np.maximum(self._maximum[at], highest[i], out=self._maximum[at])
            if self._full is not None:
                self._full[step, layer] = p[i].cpu().numpy()
        if self._own is not None:
            self._pass_on(places, mean, self._own)

    def _pass_on(self, places: Sequence[tuple[int, int]], mean: Floats, own: slice) -> None:
        """Let each layer pass on to each action what has reached the others.

        Steps know nothing of each other, so that one layer of all of them is passed on at once.
        """
        by_layer: dict[int, list[int]] = {}
        for i, (_, layer) in enumerate(places):
            by_layer.setdefault(layer, []).append(i)
        for layer in sorted(by_layer):
            steps = [places[i][0] for i in by_layer[layer]]
            read, flow = mean[by_layer[layer]], self._flow[steps]
            flow += read[:, :, own] @ flow
            read[:, :, own] = 0
            self._flow[steps] = 0.5 * (flow + read)

    def finish(self) -> Read:
        """When all has come in."""
        steps, layers, heads, actions = (np.bincount(one).astype(np.float32) for one in self._bins)
        each = steps[:, None, None, None] * layers[:, None, None]
        return Read(
            tokens=self.tokens,
            mean=self._mean / (each * actions[:, None]),
            maximum=self._maximum,
            by_head=self._by_head / (each * heads[:, None]),
            rollout=self._rollout(),
            full=self._full,
        )

    def _rollout(self) -> Floats | None:
        if self._own is None:
            return None
        summed = binned(np.add, self._flow, self._bins[3])
        summed = binned(np.add, summed[None], self._bins[0])[0]
        steps, actions = np.bincount(self._bins[0]), np.bincount(self._bins[3])
        return (summed / (steps[:, None, None] * actions[:, None])).astype(np.float32)


def binned(combine: np.ufunc, x: Floats, bin_of: NDArray[np.intp]) -> Floats:
    """Entries along axis 1 of ``x`` [N, count, ...] combined by bins [count]."""
    count = bin_of[-1] + 1
    if count == len(bin_of):
        return x
    first = np.searchsorted(bin_of, np.arange(count))
    return combine.reduceat(x, first, axis=1)
