"""What an ImageWAM on Ovis-U1 is, as data: architecture, published sizes, what may be saved."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from baselines.imagewam.config import LIBERO_SIZES, ROBOTWIN_SIZES, PackedVae, WamConfig
from baselines.imagewam.config import Options as WamOptions
from wambench.contract import Frozen


class VaeConfig(PackedVae):
    """SDXL's autoencoder, which Ovis-U1 took over; the defaults are the published one."""

    latent_channels: int = 4
    norm_groups: int = 32
    scale: float = Field(default=0.13025, description="of sampled latents")


class EyeConfig(Frozen):
    """AIMv2 as Ovis-U1 has it, with its visual words; the defaults are the published one."""

    patch: int = 14
    hidden: int = 1024
    heads: int = 8
    layers: int = 24
    inner: int = 2816
    grid: int = Field(default=32, description="rows and columns of the learned positions")
    words: int = Field(default=65536, description="rows of the visual embedding table")
    marks: int = Field(default=4, description="of these rows, those that the head cannot name")
    min_pixels: int = Field(default=200_704, description="448 x 448; smaller pictures are enlarged")
    max_pixels: int | None = Field(default=None, description="larger pictures are shrunk")

    @property
    def merged(self) -> int:
        """Channels of 2x2 patches."""
        return 4 * self.hidden

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Size to which a picture is resized: multiples of two patches, about its own shape.

        The rule is Qwen2-VL's ``smart_resize``: round; too many pixels, round down after shrinking;
        too few, round up after enlarging.
        """
        side, area = 2 * self.patch, height * width
        sizes = [max(side, round(length / side) * side) for length in (height, width)]
        if self.max_pixels is not None and math.prod(sizes) > self.max_pixels:
            ratio = math.sqrt(area / self.max_pixels)
            sizes = [max(side, math.floor(n / ratio / side) * side) for n in (height, width)]
        elif math.prod(sizes) < self.min_pixels:
            ratio = math.sqrt(self.min_pixels / area)
            sizes = [math.ceil(n * ratio / side) * side for n in (height, width)]
        return sizes[0], sizes[1]

    def patches(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches of a picture."""
        tall, wide = self.resized(height, width)
        return tall // self.patch, wide // self.patch


class LanguageConfig(Frozen):
    """Qwen3-1.7B, which reads visual words and the prompt."""

    hidden: int = 2048
    mlp: int = 6144
    layers: int = 28
    heads: int = 16
    kv_heads: int = 8
    head_dim: int = 128
    vocabulary: int = 151_936
    rope_theta: float = 1e6

    @property
    def features(self) -> int:
        """Channels of a token as the editor receives it: two hidden states side by side."""
        return 2 * self.hidden


class ConditionConfig(Frozen):
    """The vision-language model."""

    eye: EyeConfig = EyeConfig()
    language: LanguageConfig = LanguageConfig()
    prefix_tokens: int = Field(default=3, description="text tokens before the picture")


class OvisU1Config(WamConfig):
    """Editor, action expert and geometry. The expert has the editor's blocks and width."""

    double_blocks: int = Field(default=6, ge=1)
    single_blocks: int = Field(default=12, ge=1)
    heads: int = 12
    head_dim: int = 128
    mlp_ratio: float = 4.0
    refiner_heads: int = 24
    refiner_blocks: int = 2
    image_channels: int = Field(default=16, description="channels of one image token")
    text_features: int = 4096
    rope_axes: tuple[int, int, int] = Field(
        default=(16, 56, 56), description="channels turned by time, row, column"
    )
    rope_theta: float = 10_000.0

    action_hidden: int = Field(default=1536, description="as wide as the editor")
    text_length: int = Field(
        default=512, description="tokens of a prompt; longer ones are cut (the release: never)"
    )
    latents: Literal["sampled", "mean"] = Field(
        default="sampled", description="of the current image; released: sampled"
    )
    by_minimum: bool = Field(
        default=True,
        description="a picture without a value below 0 is taken to be in [0, 1], as released",
    )
    masked_goal: bool = Field(
        default=False,
        description="an imagined goal is masked as in training; released: text and source read it",
    )

    vae: VaeConfig = VaeConfig()
    condition: ConditionConfig | None = ConditionConfig()

    @property
    def hidden(self) -> int:
        """Width of editor and expert."""
        return self.heads * self.head_dim

    @property
    def inner(self) -> int:
        """Width inside an MLP."""
        return int(self.hidden * self.mlp_ratio)

    @property
    def blocks(self) -> int:
        """Layers, and so caches."""
        return self.double_blocks + self.single_blocks

    @property
    def token_grid(self) -> tuple[int, int]:
        """Rows and columns of image tokens."""
        side = self.vae.pixels_per_token
        return self.image_size[0] // side, self.image_size[1] // side

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of an image's latents."""
        rows, columns = self.token_grid
        return self.vae.latent_channels, 2 * rows, 2 * columns

    @property
    def seen_grid(self) -> tuple[int, int]:
        """Rows and columns of the picture's tokens in the language model."""
        if self.condition is None:
            return 0, 0
        rows, columns = self.condition.eye.patches(*self.image_size)
        return rows // 2, columns // 2

    def context_tokens(self, text_tokens: int) -> int:
        """Tokens of the language model: text, picture, and a mark on either side of it."""
        picture = math.prod(self.seen_grid) + 2 if self.condition else 0
        return text_tokens + picture

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if sum(self.rope_axes) != self.head_dim or any(axis % 2 for axis in self.rope_axes):
            raise ValueError(
                f"rope_axes {self.rope_axes} must be even and add up to head_dim {self.head_dim}"
            )
        if self.action_hidden != self.hidden:
            raise ValueError(
                f"action_hidden is {self.action_hidden}, and the editor {self.hidden} wide"
            )
        if self.hidden % self.refiner_heads:
            raise ValueError(f"{self.hidden} channels cannot be {self.refiner_heads} refiner_heads")
        if self.vae.token_channels != self.image_channels:
            raise ValueError(
                f"image_channels is {self.image_channels}, the VAE gives {self.vae.token_channels}"
            )
        features = self.condition.language.features if self.condition else self.text_features
        if features != self.text_features:
            raise ValueError(f"text_features is {self.text_features}, the encoder gives {features}")
        side = self.vae.pixels_per_token
        if any(length % side for length in self.image_size):
            raise ValueError(f"image_size {self.image_size} is not a multiple of {side} pixels")
        return self


class Options(WamOptions):
    """What inference computes beyond need. None of these changes an action by more than 1e-5.

    ``pad_text`` and ``cache_text`` are false in both presets: the release pads the texts of a batch
    to the longest of them alone, and its text features depend on the picture.
    """

    language_head: bool = Field(description="run the language model's head, whose logits are lost")


RELEASED = Options(pad_text=False, cache_text=False, dead_block=True, language_head=True)
BEST_EXACT = Options(pad_text=False, cache_text=False, dead_block=False, language_head=False)
PRESETS = {"released": RELEASED, "best-exact": BEST_EXACT}

PUBLISHED = {"libero": OvisU1Config(**LIBERO_SIZES), "robotwin": OvisU1Config(**ROBOTWIN_SIZES)}

# Counted on the built models by a test, so that a listing need not build them.
_SHARED = {
    "editor": 1_127_227_408,
    "image_encoder": 83_653_863,
    "text_encoder": 2_433_327_096,
}
PARAMETERS = {
    "libero": {**_SHARED, "expert": 1_041_423_367, "proprio_encoder": 36_864},
    "robotwin": {**_SHARED, "expert": 1_041_444_878, "proprio_encoder": 61_440},
}
