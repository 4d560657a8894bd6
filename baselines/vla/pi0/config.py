"""Sizes of pi0 and pi0.5, the published presets, and which exact savings are on. No torch here."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from wambench.contract import Frozen


class Vision(Frozen):
    """The SigLIP image encoder; the defaults are So400m/14 at 224 px."""

    width: PositiveInt = 1152
    mlp: PositiveInt = 4304
    heads: PositiveInt = 16
    layers: PositiveInt = 27
    patch: PositiveInt = 14
    image: PositiveInt = 224

    @property
    def side(self) -> int:
        """Rows, and columns, of an image's tokens."""
        return self.image // self.patch

    @property
    def tokens(self) -> int:
        """Tokens of one image."""
        return self.side**2


class Pi0Config(Frozen):
    """Architecture; the defaults are pi0.

    The expert reads the language model's keys and values layer by layer, so that layers, heads and
    head dimension belong to both.

    Attributes:
        variant: ``pi0`` feeds the time with the actions and the robot state as a token; ``pi05``
            feeds the time through the expert's norms and has no state token.
        state_in_text: the prompt spells out the robot state (binned numbers), so that the text
            changes with every observation. The policy writes the prompt, the model only has to know
            whether it may be kept. Never true of pi0.
        text_length: to which the tokeniser pads.
        camera_slots: images of every sample, absent cameras included.
        horizon: actions of one chunk.
        steps: Euler steps, evenly spaced.
    """

    variant: Literal["pi0", "pi05"] = "pi0"
    vision: Vision = Vision()
    layers: PositiveInt = 18
    heads: PositiveInt = 8
    kv_heads: PositiveInt = 1
    head_dim: PositiveInt = 256
    width: PositiveInt = 2048
    mlp: PositiveInt = 16384
    expert_width: PositiveInt = 1024
    expert_mlp: PositiveInt = 4096
    vocabulary: PositiveInt = 257152
    action_dim: PositiveInt = 32
    state_dim: PositiveInt = 32
    state_in_text: bool = False
    text_length: PositiveInt = 48
    camera_slots: PositiveInt = 3
    horizon: PositiveInt = 50
    steps: PositiveInt = 10


PRESETS: dict[str, Pi0Config] = {
    "pi0": Pi0Config(),
    # openpi's pi05_libero: horizon 10 and discrete_state_input=False, so no state at all.
    "pi05": Pi0Config(variant="pi05", text_length=200, horizon=10),
}
"""The published models as they run on LIBERO: two cameras, the third slot an absent one."""


class Options(Frozen):
    """Savings that leave the actions as they are; all off is what the authors' code computes.

    Attributes:
        skip_absent_cameras: do not encode the empty images of absent cameras nor run their tokens
            through the language model. They are masked, and positions count real tokens only.
        trim_text: cut the text to the longest one of the batch, for the same reason.
        skip_dead_block: of the language model's last layer, compute the keys and values only;
            nothing reads its output.
        drop_full_masks: pass no mask where it would hide nothing, which frees the choice of kernel.
        state_once: the state token sees neither actions nor time, so its keys and values are those
            of the first step (pi0 only).
        modulate_once: the first step computes the norms' scales, shifts and gates of all steps, so
            that their weights are read once (pi0.5 only).
    """

    skip_absent_cameras: bool = False
    trim_text: bool = False
    skip_dead_block: bool = False
    drop_full_masks: bool = False
    state_once: bool = False
    modulate_once: bool = False


RELEASED = Options()
BEST_EXACT = Options(
    skip_absent_cameras=True,
    trim_text=True,
    skip_dead_block=True,
    drop_full_masks=True,
    state_once=True,
    modulate_once=True,
)

OPTIONS = {"released": RELEASED, "best-exact": BEST_EXACT}

# Counted on the built models by a test, so that a listing need not build them.
_SHARED = {"vision": 414_803_696, "language": 2_508_531_712}
PARAMETERS = {
    "pi0": {**_SHARED, "expert": 574_788_608, "embeddings": 3_248_160},
    "pi05": {**_SHARED, "expert": 427_932_672, "embeddings": 2_165_792},
}
