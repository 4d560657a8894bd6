"""What an OpenVLA-OFT is, as data: architecture, the published size, what inference may save."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from wambench.contract import Frozen

PROMPT = "In: What action should the robot take to {instruction}?\nOut:"
"""What the tokenizer gets, with the instruction in lower case; BOS is put before it."""

LAST_PROMPT_TOKEN = 29871
"""The lone "▁" that ends every prompt; the released code appends it where the tokenizer did not."""

CROP_SIDE = 0.9**0.5
"""Share of an image's height and width that the evaluation looks at: 90 % of its area, which is
what the random crops of the training keep."""

STOP_TOKEN = 2
"""Llama's ``</s>``, which follows the action tokens as it did in training."""


class TowerConfig(Frozen):
    """One vision transformer without its last norm and pooling, which OFT never reads."""

    hidden: int
    mlp: int
    layers: int = Field(gt=1, description="all of the original; features are the last but one's")
    heads: int
    prefix: tuple[int, ...] = Field(
        default=(), description="token counts of the learned groups before the patches (class, ...)"
    )
    mean: tuple[float, float, float] = Field(description="subtracted from RGB in [0, 1]")
    std: tuple[float, float, float]


class LanguageConfig(Frozen):
    """Llama 2."""

    hidden: int
    mlp: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    # OpenVLA's config.json names no epsilon, so the default of transformers' LlamaConfig holds and
    # not the 1e-5 of Llama 2's own file.
    norm_eps: float = 1e-6
    rope_theta: float = 10000.0

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden // self.heads


class OFTConfig(Frozen):
    """Towers, language model, geometry and action chunk."""

    dino: TowerConfig
    siglip: TowerConfig
    language: LanguageConfig
    image_size: int = Field(default=224, description="side of the square images in pixels")
    patch: int = 14
    cameras: int = Field(gt=0)
    proprio_dim: int
    action_dim: int
    horizon: int
    replan: int
    text_length: int = Field(default=128, description="longest prompt; nothing is padded to it")
    head_blocks: int = Field(default=2, description="residual blocks of the action head")

    @property
    def side(self) -> int:
        """Rows, and columns, of an image's tokens."""
        return self.image_size // self.patch

    @property
    def patches(self) -> int:
        """Tokens of one image."""
        return self.side**2

    @property
    def features(self) -> int:
        """Channels of an image token: those of both towers side by side."""
        return self.dino.hidden + self.siglip.hidden

    @property
    def observed_tokens(self) -> int:
        """Tokens between BOS and the prompt: all image tokens and one of proprioception."""
        return self.cameras * self.patches + 1

    @property
    def action_tokens(self) -> int:
        """Placeholders, one for each number of the chunk."""
        return self.horizon * self.action_dim

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.image_size % self.patch:
            raise ValueError(f"image_size {self.image_size} is not a multiple of {self.patch} px")
        if self.dino.mlp % self.dino.hidden:
            raise ValueError(f"dino.mlp {self.dino.mlp} is not a multiple of {self.dino.hidden}")
        if self.replan > self.horizon:
            raise ValueError(f"replan {self.replan} exceeds the horizon {self.horizon}")
        return self


class Options(Frozen):
    """What inference computes beyond need. None of these changes an action by more than 1e-5."""

    camera_by_camera: bool = Field(description="run the towers once per image, not once per batch")
    last_vision_block: bool = Field(
        description="run the last block of both towers; the block before it gives the features"
    )
    unread_rows: bool = Field(
        description="run all tokens through the last Llama block beyond its keys and values, "
        "though the head reads action tokens only"
    )
    lm_head: bool = Field(description="compute the logits of all tokens, which nobody reads")
    cache_text: bool = Field(description="look up an instruction once instead of at each replan")


RELEASED = Options(
    camera_by_camera=True, last_vision_block=True, unread_rows=True, lm_head=True, cache_text=False
)
BEST_EXACT = Options(
    camera_by_camera=False,
    last_vision_block=False,
    unread_rows=False,
    lm_head=False,
    cache_text=True,
)
PRESETS = {"released": RELEASED, "best-exact": BEST_EXACT}

DINOV2_L = TowerConfig(
    hidden=1024,
    mlp=4096,
    layers=24,
    heads=16,
    prefix=(1, 4),  # the class token, four registers
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
SIGLIP_SO400M = TowerConfig(
    hidden=1152, mlp=4304, layers=27, heads=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
)
LLAMA2_7B = LanguageConfig(
    hidden=4096, mlp=11008, layers=32, heads=32, kv_heads=32, vocabulary=32064
)

# Third person and wrist camera; 7 end-effector deltas from 8 numbers of proprioception.
OFT_LIBERO = OFTConfig(
    dino=DINOV2_L,
    siglip=SIGLIP_SO400M,
    language=LLAMA2_7B,
    cameras=2,
    proprio_dim=8,
    action_dim=7,
    horizon=8,
    replan=8,
)

# Counted on the built model by a test, so that a listing need not build it.
PARAMETERS = {
    "dino": 303_228_928,
    "siglip": 412_440_048,
    "projector": 71_385_600,
    "proprio_projector": 16_818_176,
    "language_model": 6_738_939_904,
    "action_head": 151_117_831,
}
