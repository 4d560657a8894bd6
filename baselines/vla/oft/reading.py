"""What OpenVLA-OFT's action tokens read in the language model: everything, both ways.

Their keys are those of the placeholders. Their queries are one token earlier: as a next token is
read off the token before it, the first action number asks from the last token of the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from baselines.core.labels import ACTION, OTHER, PROPRIO, Labels, View, Watch
from baselines.core.reading import Call
from baselines.vla.oft.config import OFTConfig
from wambench.attention import Attention


def calls(config: OFTConfig, start: int, unread_rows: bool, labels: Labels) -> Sequence[Call]:
    """Of the one pass; each action asks in ``action_dim`` rows.

    Args:
        config: of the model.
        start: the token that the first action number is read off.
        unread_rows: whether all tokens ask in the last layer too, and not those of actions alone.
        labels: of the observation.
    """
    text = labels.text(len(labels.words))
    behind = [*[ACTION] * config.action_tokens, OTHER]  # the placeholders and the stop
    tokens = [*text[:1], *labels.image(), PROPRIO, *text[1:], *behind]
    actions = [number // config.action_dim for number in range(config.action_tokens)]
    last = config.language.layers - 1
    return [
        Call(layer, "all", tokens, actions, start if layer < last or unread_rows else 0)
        for layer in range(config.language.layers)
    ]


def attention(
    config: OFTConfig, view: View, words: Callable[[str], Sequence[str]], watch: Watch
) -> Attention:
    """What a policy of this architecture shows; a regression has one step."""
    return Attention(
        cameras=view.cameras,
        frames=0,
        words=words,
        layers=config.language.layers,
        heads=config.language.heads,
        steps=1,
        actions=config.horizon,
        parts=("all",),
        watch=watch.watch,
    )
