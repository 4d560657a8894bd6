"""FLOPs of the nano policies: their families' closed forms at nano size."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.core.cost import linear
from baselines.imagewam.flux2 import config as imagewam
from baselines.imagewam.flux2 import cost as imagewam_cost
from baselines.nano.config import LATENT_CHANNELS, NanoConfig, architecture_of
from baselines.nano.vocabulary import words_of
from baselines.videowam import config as videowam
from baselines.videowam import cost as videowam_cost
from baselines.vla.oft import config as oft
from baselines.vla.oft import cost as oft_cost
from baselines.vla.pi0 import config as pi0
from baselines.vla.pi0 import cost as pi0_cost


def flops(config: NanoConfig, instruction: str) -> Sequence[int]:
    """One integer per step of the policy's program; all leave out what they need not compute."""
    sizes, words = architecture_of(config), len(words_of(instruction))
    if config.kind == "imagewam":
        text, vision, prefill, *acts = imagewam_cost.flops(sizes, imagewam.BEST_EXACT, words)
        vision += _codec(sizes.image_tokens, config.patch)
        if config.reads is None:
            return [text, vision, prefill, *acts]
        image, past = sizes.image_tokens, words + 1 + sizes.image_tokens
        half = imagewam_cost.behind(sizes, past, image) + imagewam_cost.editor_head(sizes, image)
        goal = imagewam_cost.behind(sizes, past, image, skip_dead=True)
        act = imagewam_cost.expert(sizes, past + image)
        halves = [half] * (config.reads == "half_denoised")
        return [text, vision, prefill, *halves, goal, *[act] * sizes.steps]
    if config.kind == "fastwam":
        assert config.mode is not None
        text, vision, *rest = videowam_cost.flops(sizes, videowam.BEST_EXACT, config.mode)
        return [text, vision + _codec(sizes.frame_tokens, config.patch), *rest]
    if config.kind == "pi0":
        return pi0_cost.flops(sizes, pi0.BEST_EXACT, words, sizes.camera_slots)
    return oft_cost.flops(sizes, oft.BEST_EXACT, words)


def _codec(squares: int, side: int) -> int:
    """The linear autoencoder of so many squares of ``side`` pixels."""
    return linear(squares, 3 * side**2, LATENT_CHANNELS)
