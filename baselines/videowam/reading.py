"""What FastWAM's action expert reads in the two softmaxes of each of its layers.

``self``: the frames (the present one, and imagined ones in joint and idm) and the chunk itself;
``text``: the text with its zeroed pads, which are visible as released, and proprioception.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from baselines.core.labels import ACTION, PROPRIO, Labels, View, Watch
from baselines.core.reading import Call
from baselines.videowam.config import FastWamConfig, Mode
from wambench.attention import Attention


def calls(
    config: FastWamConfig,
    frames: int,
    text_tokens: int,
    labels: Labels,
    *,
    video_queries: int | None = None,
) -> Sequence[Call | None]:
    """Of one flow step.

    Args:
        config: of the model.
        frames: of the clip, the present one included.
        text_tokens: with padding, without proprioception.
        labels: of the observation.
        video_queries: video tokens that ask together with the actions, in a pass of both experts;
            None: the action expert runs alone.
    """
    actions = range(config.horizon)
    clip = [token for frame in range(frames) for token in labels.image(frame)]
    seen, told = [*clip, *[ACTION] * config.horizon], [*labels.text(text_tokens), PROPRIO]
    out: list[Call | None] = []
    for layer in range(config.layers):
        out.append(Call(layer, "self", seen, actions, start=video_queries or 0))
        if video_queries is not None:
            out.append(None)  # the video reads its text
        out.append(Call(layer, "text", told, actions))
    return out


def attention(
    config: FastWamConfig,
    mode: Mode,
    view: View,
    words: Callable[[str], Sequence[str]],
    watch: Watch,
) -> Attention:
    """What a policy of this architecture and mode shows."""
    return Attention(
        cameras=view.cameras,
        frames=0 if mode == "plain" else config.latent_frames - 1,
        words=words,
        layers=config.layers,
        heads=config.heads,
        steps=config.steps,
        actions=config.horizon,
        parts=("self", "text"),
        watch=watch.watch,
    )
