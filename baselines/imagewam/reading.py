"""What ImageWAM's action expert reads: text with proprioception, the image, the chunk itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from baselines.core.labels import ACTION, PROPRIO, Labels, View, Watch
from baselines.core.reading import Call
from baselines.imagewam.config import ImageWAMConfig
from wambench.attention import Attention


def calls(config: ImageWAMConfig, text_tokens: int, labels: Labels) -> Sequence[Call]:
    """Of one flow step.

    Args:
        config: of the model.
        text_tokens: with padding; proprioception stands before the padding.
        labels: of the observation.
    """
    text, count = labels.text(text_tokens), len(labels.words)
    context = [*text[:count], PROPRIO, *text[count:]]
    tokens = [*context, *labels.image(), *[ACTION] * config.horizon]
    return [Call(layer, "all", tokens, range(config.horizon)) for layer in range(config.blocks)]


def attention(
    config: ImageWAMConfig, view: View, words: Callable[[str], Sequence[str]], watch: Watch
) -> Attention:
    """What a policy of this architecture shows; no imagined goal is ever read by an action."""
    return Attention(
        cameras=view.cameras,
        frames=0,
        words=words,
        layers=config.blocks,
        heads=config.heads,
        steps=config.steps,
        actions=config.horizon,
        parts=("all",),
        watch=watch.watch,
    )
