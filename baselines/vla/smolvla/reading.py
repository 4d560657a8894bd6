"""What SmolVLA's action expert reads.

A layer here is two of the expert, one after the other: ``self`` reads images, text, state and the
chunk itself, ``cross`` the same without the chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from baselines.core.labels import ACTION, PROPRIO, Labels, View, Watch
from baselines.core.reading import Call
from baselines.vla.smolvla.config import SmolVLAConfig, crosses
from wambench.attention import Attention


def calls(config: SmolVLAConfig, text_tokens: int, labels: Labels) -> Sequence[Call]:
    """Of one Euler step; ``text_tokens``: with the padding that is computed."""
    prefix = [*labels.image(), *labels.text(text_tokens), PROPRIO]
    tokens = [*prefix, *[ACTION] * config.horizon]
    actions = range(config.horizon)
    return [
        Call(layer // 2, "cross", prefix, actions)
        if crosses(layer)
        else Call(layer // 2, "self", tokens, actions)
        for layer in range(config.layers)
    ]


def attention(
    config: SmolVLAConfig, view: View, words: Callable[[str], Sequence[str]], watch: Watch
) -> Attention:
    """What a policy of this architecture shows."""
    return Attention(
        cameras=view.cameras,
        frames=0,
        words=words,
        layers=(config.layers + 1) // 2,
        heads=config.heads,
        steps=config.steps,
        actions=config.horizon,
        parts=("self", "cross"),
        watch=watch.watch,
        depths={"cross": config.layers // 2},
    )
