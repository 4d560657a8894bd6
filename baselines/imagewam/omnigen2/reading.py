"""What OmniGen2's action expert reads: text, the image, perhaps a goal, the chunk itself."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.core.labels import ACTION, OTHER, PROPRIO, Labels
from baselines.core.reading import Call
from baselines.imagewam.omnigen2.config import OmniGen2Config


def calls(config: OmniGen2Config, text_tokens: int, labels: Labels) -> Sequence[Call]:
    """Of one flow step.

    Args:
        config: of the model.
        text_tokens: with the padding that was kept.
        labels: of the observation. A goal of noise, or half-denoised, is labelled as imagined.
    """
    words = labels.text(len(labels.words))
    is_cut_off = config.proprio_place == "as_released" and text_tokens > len(words)
    last = OTHER if is_cut_off else PROPRIO  # the first pad takes its place
    goal = [] if config.reads == "prefix" else labels.image(frame=1)
    tokens = [*words, last, *labels.image(), *goal, *[ACTION] * config.horizon]
    return [Call(layer, "all", tokens, range(config.horizon)) for layer in range(config.layers)]
