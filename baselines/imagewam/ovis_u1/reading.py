"""What Ovis-U1's action expert reads in its softmaxes.

``all``: text with the picture that the language model saw, proprioception, the image's tokens and
the chunk itself. ``image``, in double blocks alone: the image's tokens and the chunk.
"""

from __future__ import annotations

from collections.abc import Sequence

from baselines.core.labels import ACTION, OTHER, PROPRIO, Labels
from baselines.core.reading import Call
from baselines.imagewam.ovis_u1.config import OvisU1Config
from wambench.attention import Token

PARTS = ("all", "image")
SEEN = Token("picture")
"""A token of the picture in the language model: it has read its neighbours and the prompt before
it, and its cells are not those of the image's own tokens, so it has no row and no column."""


def calls(config: OvisU1Config, text_tokens: int, labels: Labels) -> Sequence[Call]:
    """Of one flow step.

    Args:
        config: of the model.
        text_tokens: of the language model, with padding, and with picture and marks if it has them.
        labels: of the observation.
    """
    picture = config.context_tokens(0)
    told = labels.text(text_tokens - picture)
    if config.condition:
        at = config.condition.prefix_tokens
        told[at:at] = [OTHER, *[SEEN] * (picture - 2), OTHER]
    actions = [ACTION] * config.horizon
    image, asking = labels.image(), range(config.horizon)
    everything = [*told, PROPRIO, *image, *actions]
    out = []
    for layer in range(config.blocks):
        out.append(Call(layer, "all", everything, asking))
        if layer < config.double_blocks:
            out.append(Call(layer, "image", [*image, *actions], asking))
    return out
