"""Sizes of SmolVLA, the published preset, and which exact savings are on. No torch here."""

from __future__ import annotations

from pydantic import PositiveInt

from wambench.contract import Frozen


class Vision(Frozen):
    """The image encoder; the defaults are SigLIP B/16 at 512 px, as SmolVLM2-500M has it.

    ``shuffle`` x ``shuffle`` patches become one token of the language model.
    """

    width: PositiveInt = 768
    mlp: PositiveInt = 3072
    heads: PositiveInt = 12
    layers: PositiveInt = 12
    patch: PositiveInt = 16
    image: PositiveInt = 512
    shuffle: PositiveInt = 4

    @property
    def patches(self) -> int:
        """Patches of one image."""
        return (self.image // self.patch) ** 2

    @property
    def side(self) -> int:
        """Rows, and columns, of an image's tokens."""
        return self.image // self.patch // self.shuffle

    @property
    def tokens(self) -> int:
        """Tokens of one image."""
        return self.side**2


class SmolVLAConfig(Frozen):
    """Architecture; the defaults are SmolVLA-base.

    Sizes of the vision-language model are those of SmolVLM2-500M-Video-Instruct's configuration,
    of whose 32 layers the first 16 are kept. All others are the defaults of lerobot 0.4.4
    (policies/smolvla/configuration_smolvla.py). The expert has as many layers, heads and channels
    of a head as the language model, 0.75 times its width, and an MLP of 8/3 times its own width,
    rounded up to a multiple of 256 (smolvlm_with_expert.py).

    Attributes:
        layers: of the language model, and of the expert, whose even layers (from 0) attend to the
            cache and to the chunk and whose odd ones (:func:`crosses`) to the cache alone.
        text_length: at which the tokeniser cuts; nothing is padded beyond the longest of a batch.
        horizon: actions of one chunk.
        steps: Euler steps, evenly spaced.
    """

    vision: Vision = Vision()
    layers: PositiveInt = 16
    heads: PositiveInt = 15
    kv_heads: PositiveInt = 5
    head_dim: PositiveInt = 64
    width: PositiveInt = 960
    mlp: PositiveInt = 2560
    expert_width: PositiveInt = 720
    expert_mlp: PositiveInt = 2048
    vocabulary: PositiveInt = 49280
    action_dim: PositiveInt = 32
    state_dim: PositiveInt = 32
    text_length: PositiveInt = 48
    horizon: PositiveInt = 50
    steps: PositiveInt = 10


def crosses(layer: int) -> bool:
    """Whether this layer of the expert reads the cache alone (``self_attn_every_n_layers`` 2)."""
    return layer % 2 == 1


class Options(Frozen):
    """Savings that leave the actions as they are; all off is what the authors' code computes.

    Attributes:
        skip_dead_block: of the language model's last layer, compute the keys and values only;
            nothing reads its output.
        cross_once: what the expert's odd layers make of the cache depends on no action and no time;
            compute it once and not in every step.
        drop_full_masks: pass no mask where it would hide nothing, which frees the choice of kernel.
    """

    skip_dead_block: bool = False
    cross_once: bool = False
    drop_full_masks: bool = False


RELEASED = Options()
BEST_EXACT = Options(skip_dead_block=True, cross_once=True, drop_full_masks=True)

OPTIONS = {"released": RELEASED, "best-exact": BEST_EXACT}

# Counted on the built model by a test, so that a listing need not build it. All together are the
# 450,046,176 that lerobot counts when it begins to train SmolVLA-base; expert and embeddings are
# the 99,880,992 that it then trains.
PARAMETERS = {
    "vision": 98_229_504,
    "language": 204_626_880,
    "head": 47_308_800,
    "expert": 98_245_840,
    "embeddings": 1_635_152,
}
