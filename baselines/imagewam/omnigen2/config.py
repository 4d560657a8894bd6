"""ImageWAM on OmniGen2 as data: architecture, published sizes, what its inference may save."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from baselines.imagewam.config import LIBERO_SIZES, ROBOTWIN_SIZES, Options, PackedVae, WamConfig
from wambench.contract import Frozen

Reads = Literal["prefix", "noise", "half_denoised"]
Place = Literal["as_trained", "as_released"]
TimeOrder = Literal["frequency_first", "scale_first"]
CONDITIONING = 1024  # channels of an embedded timestep, at most


class VaeConfig(PackedVae):
    """FLUX.1's autoencoder (diffusers' ``AutoencoderKL``); the defaults are the published one."""

    latent_channels: int = 16
    norm_groups: int = 32
    shift: float = 0.1159
    scale: float = 0.3611


class TextConfig(Frozen):
    """Qwen2.5-VL's language model; the defaults are the 3B's."""

    hidden: int = 2048
    mlp: int = 11008
    layers: int = 36
    heads: int = 16
    kv_heads: int = 2
    vocabulary: int = 151936
    pad_token: int = Field(default=151643, description="of the tokenizer")
    norm_eps: float = 1e-6
    rope_theta: float = 1e6


class OmniGen2Config(WamConfig):
    """OmniGen2 editor, action expert and geometry."""

    reads: Reads = Field(
        default="prefix",
        description="what the action reads of the goal image. prefix: nothing; noise: pure noise "
        "at timestep 1000 (noise_idm); half_denoised: after half a step, at 500 (cache_idm)",
    )
    layers: int = Field(default=32, gt=0, description="joint layers, and of the expert")
    refiners: int = Field(default=2, description="layers of each of the three refiners")
    hidden: int = 2520
    heads: int = 21
    kv_heads: int = 7
    head_dim: int = 120
    rope_axes: tuple[int, ...] = Field(
        default=(40, 40, 40), description="channels turned by picture, row, column"
    )
    rope_theta: float = 10_000.0
    mlp_multiple: int = Field(default=256, description="an MLP's width is rounded up to it")
    norm_eps: float = 1e-5
    source_pictures: int = Field(default=5, description="rows of the table of source pictures")
    text_features: int = 2048
    text_length: int = Field(default=128, description="tokens the released code pads to")
    image_channels: int = Field(default=64, description="channels of one image token")

    time_scale: float = Field(
        default=1000.0,
        description="OmniGen2 multiplies timesteps by it. ImageWAM feeds 0..1000 where the editor "
        "was pretrained on 0..1, and so its sinusoids see up to a million",
    )
    action_time_scale: float = Field(default=1.0, description="likewise, of the expert")
    time_order: TimeOrder = Field(
        default="frequency_first",
        description="of the float32 products in the sinusoids: (t * frequency) * scale as "
        "released, or (t * scale) * frequency, which is another model at t = 1000",
    )
    proprio_place: Place = Field(
        default="as_released",
        description="where inference puts the proprioception token. as_trained: behind the last "
        "word. as_released: behind the padding, as the released LIBERO and RoboTwin evaluations "
        "do; the joint layers then see the first pad instead of it. Equal where nothing is padded",
    )
    latents: Literal["sampled", "mean"] = Field(
        default="sampled", description="of the current image; the released code samples them"
    )

    vae: VaeConfig | None = VaeConfig()
    text: TextConfig | None = None

    @property
    def blocks(self) -> int:
        """Layers, and so caches."""
        return self.layers

    @property
    def token_grid(self) -> tuple[int, int]:
        """Rows and columns of image tokens."""
        side = self.vae.pixels_per_token if self.vae else 16
        return self.image_size[0] // side, self.image_size[1] // side

    def kept_text(self, lengths: Sequence[int]) -> list[int]:
        """Text tokens of each sample that matter: words, and a pad that stands for proprioception.

        ``lengths``: words of each sample.
        """
        extra = int(self.proprio_place == "as_released")
        return [min(length + extra, self.text_length) for length in lengths]

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Of one image's latents: channels, rows, columns."""
        rows, columns = self.token_grid
        return self.image_channels // 4, 2 * rows, 2 * columns

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if sum(self.rope_axes) != self.head_dim or any(axis % 2 for axis in self.rope_axes):
            raise ValueError(
                f"rope_axes {self.rope_axes} must be even and add up to head_dim {self.head_dim}"
            )
        if self.hidden != self.heads * self.head_dim:
            raise ValueError(f"hidden {self.hidden} is not heads x head_dim")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} is no multiple of kv_heads {self.kv_heads}")
        if self.vae and self.vae.token_channels != self.image_channels:
            raise ValueError(
                f"image_channels is {self.image_channels}, the VAE gives {self.vae.token_channels}"
            )
        if self.text and self.text.hidden != self.text_features:
            raise ValueError(
                f"text_features is {self.text_features}, the encoder gives {self.text.hidden}"
            )
        side = self.vae.pixels_per_token if self.vae else 1
        if any(length % side for length in self.image_size):
            raise ValueError(f"image_size {self.image_size} is not a multiple of {side} pixels")
        return self


def mlp_width(width: int, multiple: int) -> int:
    """Inner width of a block's MLP: four times the block's, rounded up."""
    return -(-4 * width // multiple) * multiple


RELEASED = Options(pad_text=True, cache_text=False, dead_block=True)
BEST_EXACT = Options(pad_text=False, cache_text=True, dead_block=False)
PRESETS = {"released": RELEASED, "best-exact": BEST_EXACT}

_TEXT = TextConfig()
PUBLISHED = {
    "libero": OmniGen2Config(text=_TEXT, **LIBERO_SIZES),
    "robotwin": OmniGen2Config(text=_TEXT, **ROBOTWIN_SIZES),
    "noise-idm": OmniGen2Config(text=_TEXT, reads="noise", **LIBERO_SIZES),
    "cache-idm": OmniGen2Config(text=_TEXT, reads="half_denoised", **LIBERO_SIZES),
}

# Counted on the built models by a test, so that a listing need not build them.
_SHARED = {"editor": 3_967_161_400, "image_encoder": 83_819_683, "text_encoder": 3_085_938_688}
_LIBERO = {**_SHARED, "expert": 759_719_431, "proprio_encoder": 18_432}
PARAMETERS = {
    "libero": _LIBERO,
    "robotwin": {**_SHARED, "expert": 759_733_774, "proprio_encoder": 30_720},
    "noise-idm": _LIBERO,
    "cache-idm": _LIBERO,
}
