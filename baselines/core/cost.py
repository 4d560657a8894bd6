"""Arithmetic of closed forms: FLOPs of the parts that all models are made of, as exact integers.

One multiply-add is 2 FLOPs. Matrix products, convolutions and attention count, and attention counts
in full whatever its mask hides. Norms, activations, softmax, rotary embeddings, biases and table
look-ups do not. That is the convention of torch's ``FlopCounterMode``, which a test compares with.
"""

from __future__ import annotations

import itertools


def linear(rows: int, inputs: int, outputs: int) -> int:
    """A matrix of weights [outputs, inputs] applied to so many rows."""
    return 2 * rows * inputs * outputs


def mlp(rows: int, *widths: int) -> int:
    """Linear maps one after the other, from the first width to the last."""
    return sum(linear(rows, *pair) for pair in itertools.pairwise(widths))


def gated_mlp(rows: int, width: int, hidden: int) -> int:
    """Gate and up projection to ``hidden``, their product projected back."""
    return linear(rows, width, 2 * hidden) + linear(rows, hidden, width)


def attention(queries: int, keys: int, width: int) -> int:
    """Scores and weighted sum, of all heads together ``width`` channels."""
    return 2 * linear(queries, keys, width)


def convolution(positions: int, inputs: int, outputs: int, points: int) -> int:
    """A kernel of so many points (27 for 3x3x3) at so many output positions."""
    return linear(positions, points * inputs, outputs)


def vision_block(tokens: int, width: int, hidden: int) -> int:
    """A block of a vision transformer: attention of all tokens, MLP without a gate."""
    projections = 4 * linear(tokens, width, width)
    return projections + attention(tokens, tokens, width) + mlp(tokens, width, hidden, width)


def language_block(
    asking: int,
    own: int,
    past: int,
    *,
    width: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    hidden: int,
) -> int:
    """A block of a Llama, Gemma or Qwen: grouped attention over ``[past | own]``, gated MLP.

    Args:
        asking: tokens whose output is wanted.
        own: tokens whose keys and values are computed.
        past: tokens whose keys and values are there already.
        width: of the residual stream.
        heads: of the queries.
        kv_heads: of the keys and values, repeated to as many as there are queries'.
        head_dim: channels of a head.
        hidden: of the MLP.
    """
    wide = heads * head_dim
    return (
        linear(asking, width, wide)
        + keys_values(own, width, kv_heads * head_dim)
        + attention(asking, past + own, wide)
        + linear(asking, wide, width)
        + gated_mlp(asking, width, hidden)
    )


def keys_values(rows: int, inputs: int, width: int) -> int:
    """The projections to keys and to values, each ``width`` channels."""
    return 2 * linear(rows, inputs, width)
