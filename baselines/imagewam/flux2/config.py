"""ImageWAM on FLUX.2 as data: architecture, published sizes, and what its inference may save."""

from __future__ import annotations

import math
from typing import Self

from pydantic import Field, model_validator

from baselines.imagewam.config import LIBERO_SIZES, ROBOTWIN_SIZES, PackedVae, WamConfig
from baselines.imagewam.config import Options as WamOptions
from wambench.contract import Frozen


class VaeConfig(PackedVae):
    """FLUX.2's autoencoder; the defaults are the published one."""

    latent_channels: int = 32


class TextConfig(Frozen):
    """The Qwen3 text encoder; the features are three hidden states side by side."""

    hidden: int
    mlp: int
    layers: int = 36
    heads: int = 32
    kv_heads: int = 8
    head_dim: int = 128
    vocabulary: int = 151936
    tied_embeddings: bool
    read_layers: tuple[int, ...] = Field(default=(9, 18, 27), description="0: the embeddings")

    @property
    def features(self) -> int:
        """Channels of a text token as the editor receives it."""
        return self.hidden * len(self.read_layers)


class Flux2Config(WamConfig):
    """FLUX.2 editor, action expert and geometry. Counts of blocks hold for editor and expert."""

    double_blocks: int = Field(ge=0)
    single_blocks: int = Field(ge=0)
    heads: int
    head_dim: int
    mlp_ratio: float = 3.0
    image_channels: int = Field(default=128, description="channels of one image token")
    token_pixels: int | None = Field(
        default=None,
        description="side of an image token where there is no VAE; None: a token is all its pixels",
    )
    text_features: int
    rope_axes: tuple[int, ...] = Field(
        default=(32, 32, 32, 32), description="channels turned by time, row, column, text position"
    )
    rope_theta: float = 2000.0
    action_mlp_ratio: float = 4.0

    vae: VaeConfig | None = VaeConfig()
    text: TextConfig | None = None

    @property
    def hidden(self) -> int:
        """Width of the editor."""
        return self.heads * self.head_dim

    @property
    def blocks(self) -> int:
        """Layers, and so caches."""
        return self.double_blocks + self.single_blocks

    @property
    def token_grid(self) -> tuple[int, int]:
        """Rows and columns of image tokens."""
        own = self.token_pixels or math.isqrt(self.image_channels // 3)
        side = self.vae.pixels_per_token if self.vae else own
        return self.image_size[0] // side, self.image_size[1] // side

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if sum(self.rope_axes) != self.head_dim or any(axis % 2 for axis in self.rope_axes):
            raise ValueError(
                f"rope_axes {self.rope_axes} must be even and add up to head_dim {self.head_dim}"
            )
        if self.vae and self.vae.token_channels != self.image_channels:
            raise ValueError(
                f"image_channels is {self.image_channels}, the VAE gives {self.vae.token_channels}"
            )
        if self.text and self.text.features != self.text_features:
            raise ValueError(
                f"text_features is {self.text_features}, the encoder gives {self.text.features}"
            )
        side = self.vae.pixels_per_token if self.vae else 1
        if any(length % side for length in self.image_size):
            raise ValueError(f"image_size {self.image_size} is not a multiple of {side} pixels")
        return self


class Options(WamOptions):
    """What inference computes beyond need. None of these changes an action by more than 1e-5."""

    all_text_layers: bool = Field(
        description="run the text encoder beyond the last layer that is read, and its LM head"
    )


RELEASED = Options(pad_text=True, all_text_layers=True, cache_text=False, dead_block=True)
BEST_EXACT = Options(pad_text=False, all_text_layers=False, cache_text=True, dead_block=False)
PRESETS = {"released": RELEASED, "best-exact": BEST_EXACT}

QWEN3_4B = TextConfig(hidden=2560, mlp=9728, tied_embeddings=True)
QWEN3_8B = TextConfig(hidden=4096, mlp=12288, tied_embeddings=False)

_4B = {"double_blocks": 5, "single_blocks": 20, "heads": 24, "head_dim": 128, "text": QWEN3_4B,
       "text_features": 7680}  # fmt: skip
_9B = {"double_blocks": 8, "single_blocks": 24, "heads": 32, "head_dim": 128, "text": QWEN3_8B,
       "text_features": 12288}  # fmt: skip

PUBLISHED = {
    "4b-libero": Flux2Config(**_4B, **LIBERO_SIZES),
    "9b-libero": Flux2Config(**_9B, **LIBERO_SIZES),
    "4b-robotwin": Flux2Config(**_4B, **ROBOTWIN_SIZES),
    "9b-robotwin": Flux2Config(**_9B, **ROBOTWIN_SIZES),
}

# Counted on the built models by a test, so that a listing need not build them.
_SHARED = {"image_encoder": 84_046_115}
_4B_PARAMETERS = {"editor": 3_875_544_576, "text_encoder": 4_022_468_096, **_SHARED}
_9B_PARAMETERS = {"editor": 9_078_581_248, "text_encoder": 8_190_735_360, **_SHARED}
PARAMETERS = {
    "4b-libero": {**_4B_PARAMETERS, "expert": 642_012_416, "proprio_encoder": 69_120},
    "9b-libero": {**_9B_PARAMETERS, "expert": 952_392_704, "proprio_encoder": 110_592},
    "4b-robotwin": {**_4B_PARAMETERS, "expert": 642_026_752, "proprio_encoder": 115_200},
    "9b-robotwin": {**_9B_PARAMETERS, "expert": 952_407_040, "proprio_encoder": 184_320},
}
