"""What a policy of this paradigm shows of its attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from baselines.core.labels import View, Watch
from baselines.imagewam.config import WamConfig
from wambench.attention import Attention


def attention(
    config: WamConfig,
    view: View,
    words: Callable[[str], Sequence[str]],
    watch: Watch,
    *,
    heads: int,
    frames: int = 0,
    parts: Sequence[str] = ("all",),
) -> Attention:
    """What a policy of this architecture shows.

    Args:
        config: the architecture.
        view: see :func:`baselines.core.labels.in_one_picture`.
        words: how its tokenizer spells an instruction.
        watch: of the policy.
        heads: of the queries.
        frames: imagined images that an action reads; none in the released models.
        parts: of a layer, where it has several softmaxes.
    """
    return Attention(
        cameras=view.cameras,
        frames=frames,
        words=words,
        layers=config.blocks,
        heads=heads,
        steps=config.steps,
        actions=config.horizon,
        parts=tuple(parts),
        watch=watch.watch,
    )
