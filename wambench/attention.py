"""What the action tokens of a policy read: the contract between policies and attention maps.

Nothing here imports torch. A policy tells queries and keys, not probabilities, so that its own
kernel computes its output as ever, and whoever listens decides how much of a map to compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

TokenKind = Literal["text", "image", "picture", "imagined", "proprio", "action", "other"]
"""``picture``: what a language model made of the cameras, beside image tokens of the policy's own;
no cell of a :class:`Grid`. ``action``: the action tokens themselves. ``other``: what holds nothing
of the observation (a begin or stop mark, marks of a chat, padding, an absent camera)."""


class Token(NamedTuple):
    """What one key of a softmax stands for.

    ``name``: the word of text (as the tokenizer spells it), the camera of an image. ``frame``: 0 is
    the present, imagined frames count from 1. ``row`` and ``column`` are those of the camera's own
    :class:`Grid`, -1 where there is none.
    """

    kind: TokenKind
    name: str = ""
    frame: int = 0
    row: int = -1
    column: int = -1


class Grid(NamedTuple):
    """Where the tokens of one camera lie on its image, in the orientation the policy sees.

    The grid's edges are fractions of the image's height and width: 0, 0, 1, 1 unless the policy
    looks at a crop of the image, or cuts its tokens across the border between two cameras.
    """

    rows: int
    columns: int
    top: float = 0.0
    left: float = 0.0
    bottom: float = 1.0
    right: float = 1.0


@dataclass(frozen=True)
class Reading:
    """What action tokens ask of one softmax, told before the policy's own attention computes it.

    The probabilities are ``softmax(queries . keys * head_dim ** -0.5)`` over the keys that ``mask``
    allows. All tensors are the policy's own: change nothing.

    Attributes:
        step: of the flow, from 0; 0 where there is none.
        layer: from 0.
        part: which softmax of the layer, one of :attr:`Attention.parts`.
        queries: [1, Q, heads, head_dim], of action tokens alone.
        actions: index in the chunk of the action that each of the Q rows belongs to, in order, and
            as many rows for each.
        keys: [1, K, kv_heads, head_dim]; ``heads`` is a multiple of ``kv_heads``, and neighbouring
            heads share their keys.
        mask: bool, broadcastable to [1, heads, Q, K], True: may be read. None: all may.
        tokens: what the K keys stand for.
    """

    step: int
    layer: int
    part: str
    queries: Any
    actions: Sequence[int]
    keys: Any
    mask: Any
    tokens: Sequence[Token]


Listen = Callable[[Reading], None]


@dataclass(frozen=True)
class Attention:
    """What a policy shows of its attention.

    Attributes:
        cameras: camera -> its grid, in the order the policy takes them.
        frames: imagined frames that actions read; their tokens lie as those of the present one.
        words: an instruction -> one string for each of its text tokens, "" for one that is no text.
        layers: whose softmaxes are told.
        heads: of every softmax.
        steps: of the flow; 1 where there is none.
        actions: of a chunk.
        parts: the softmaxes of a layer, in the order in which they run: ``all`` where there is one,
            ``self`` (frames and actions) and ``text`` (text and proprioception) where there are
            two, ``self`` and ``cross`` (all but actions) where layers take turns and two count as
            one, or ``all`` and ``image`` (image tokens and actions).
        watch: while its context is open, every inference *begun* there tells its readings, in the
            order in which they are computed. It raises ValueError for a batch of several.
        depths: part -> how many layers have it, the first ones; all, if it is not named.
    """

    cameras: Mapping[str, Grid]
    frames: int
    words: Callable[[str], Sequence[str]]
    layers: int
    heads: int
    steps: int
    actions: int
    parts: tuple[str, ...]
    watch: Callable[[Listen], AbstractContextManager[None]]
    depths: Mapping[str, int] = field(default_factory=dict)

    def depth(self, part: str) -> int:
        """Layers that have a part."""
        return self.depths.get(part, self.layers)
