"""What pi0's action expert reads: images, text, (pi0) the state, and the chunk itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from baselines.core.labels import ACTION, OTHER, PROPRIO, Labels, View, Watch
from baselines.core.reading import Call
from baselines.vla.pi0.config import Pi0Config
from wambench.attention import Attention


def calls(
    config: Pi0Config, slots: Sequence[bool], text_tokens: int, lead: int, labels: Labels
) -> Sequence[Call]:
    """Of one Euler step.

    Args:
        config: of the model.
        slots: whether there is a camera, for every camera slot that is computed.
        text_tokens: with the padding that is computed.
        lead: tokens before the actions in the suffix; the state's is cached where it is not there.
        labels: of the observation.
    """
    size, images = config.vision.tokens, iter(labels.image())
    seen = [next(images) if is_there else OTHER for is_there in slots for _ in range(size)]
    state = [PROPRIO] if config.variant == "pi0" else []
    tokens = [*seen, *labels.text(text_tokens), *state, *[ACTION] * config.horizon]
    actions = range(config.horizon)
    return [Call(layer, "all", tokens, actions, start=lead) for layer in range(config.layers)]


def attention(
    config: Pi0Config, view: View, words: Callable[[str], Sequence[str]], watch: Watch
) -> Attention:
    """What a policy of this architecture shows."""
    return Attention(
        cameras=view.cameras,
        frames=0,
        words=words,
        layers=config.layers,
        heads=config.heads,
        steps=config.steps,
        actions=config.horizon,
        parts=("all",),
        watch=watch.watch,
    )
