"""What FLUX.2's action expert reads: text with proprioception, the image, the chunk itself."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.core.labels import ACTION, PROPRIO, Labels
from baselines.core.reading import Call
from baselines.imagewam.flux2.config import Flux2Config


def calls(
    config: Flux2Config, text_tokens: int, labels: Labels, *, goal: bool = False
) -> Sequence[Call]:
    """Of one flow step.

    Args:
        config: of the model.
        text_tokens: with padding; proprioception stands before the padding.
        labels: of the observation.
        goal: whether it reads a goal image too, behind the source.
    """
    text, count = labels.text(text_tokens), len(labels.words)
    context = [*text[:count], PROPRIO, *text[count:]]
    seen = [*labels.image(), *(labels.image(frame=1) if goal else ())]
    tokens = [*context, *seen, *[ACTION] * config.horizon]
    return [Call(layer, "all", tokens, range(config.horizon)) for layer in range(config.blocks)]
