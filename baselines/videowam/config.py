"""FastWAM's architecture as data: every size of the model, its published presets, its options.

Sizes are those of yuantianyuan01/FastWAM at 45d8e14 and of Wan2.2-TI2V-5B.
"""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from wambench.contract import Frozen

Mode = Literal["plain", "joint", "idm"]
"""What the action expert sees: the current frame only (``plain``), a clip that is denoised
together with the action (``joint``), or a clip that was denoised before it (``idm``)."""


class VaeConfig(Frozen):
    """Sizes of diffusers' ``AutoencoderKLWan`` in its residual form; defaults are Wan2.2's."""

    base_dim: int = 160
    decoder_base_dim: int = 256
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    temporal_downsample: tuple[bool, ...] = (False, True, True)
    patch: int = 2
    latents_mean: tuple[float, ...] = Field(repr=False)
    latents_std: tuple[float, ...] = Field(repr=False)


class TextEncoderConfig(Frozen):
    """Sizes of transformers' ``UMT5EncoderModel``; defaults are UMT5-XXL's."""

    vocab: int = 256384
    ffn: int = 10240
    heads: int = 64
    head_dim: int = 64
    layers: int = 24


class FastWamConfig(Frozen):
    """All sizes of one FastWAM; the three modes share them and the weights.

    Attributes:
        layers: blocks of the video DiT and of the action expert, which read each other pairwise.
        heads: attention heads of both experts.
        head_dim: channels per head of both; their attention is ``heads * head_dim`` wide.
        patch: latent frames, rows and columns of one video token.
        freq_dim: channels of the sinusoids of a timestep.
        text_dim: channels of the text encoder's output, and of the proprioception token.
        horizon: actions in a chunk; ``replan`` of them are executed.
        steps: flow steps of the action (in joint also of the video).
        video_steps: flow steps of the imagined video in idm; None: as ``steps``.
        image_size: height and width in pixels of all cameras in one picture.
        video_frames: frames of the clip, the current one first (every fourth environment step).
        vae: None where a model is only fed latents, as ``text_encoder`` None where it is fed
            text features.
    """

    layers: int = Field(gt=0)
    heads: int = Field(gt=0)
    head_dim: int = Field(gt=0, multiple_of=2)
    video_ffn: int
    latent_channels: int
    patch: tuple[int, int, int] = (1, 2, 2)
    freq_dim: int = Field(gt=0, multiple_of=2)
    text_dim: int
    eps: float = 1e-6
    action_hidden: int
    action_ffn: int
    action_dim: int
    proprio_dim: int
    horizon: int
    replan: int
    steps: int = Field(default=10, gt=0)
    video_steps: int | None = None
    shift: float = 5.0
    image_size: tuple[int, int]
    video_frames: int
    vae_spatial: int = 16
    vae_temporal: int = 4
    text_length: int
    vae: VaeConfig | None = None
    text_encoder: TextEncoderConfig | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.patch[0] != 1:
            raise ValueError("patch must be 1 in time: the first frame is a token group of its own")
        for pixels, patch in zip(self.image_size, self.patch[1:], strict=True):
            if pixels % (self.vae_spatial * patch):
                raise ValueError(f"image side {pixels}: no multiple of {self.vae_spatial * patch}")
        if (self.video_frames - 1) % self.vae_temporal:
            raise ValueError(f"video_frames must be 1 + a multiple of {self.vae_temporal}")
        if self.vae is not None and len(self.vae.latents_mean) != self.latent_channels:
            raise ValueError("vae.latents_mean must hold one value per latent channel")
        return self

    @property
    def latent_frames(self) -> int:
        """Frames of the clip's latents."""
        return 1 + (self.video_frames - 1) // self.vae_temporal

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """Channels, frames, rows and columns of the clip's latents."""
        rows, columns = (side // self.vae_spatial for side in self.image_size)
        return self.latent_channels, self.latent_frames, rows, columns

    @property
    def token_grid(self) -> tuple[int, int]:
        """Rows and columns of the video tokens of one latent frame."""
        _, _, rows, columns = self.latent_shape
        return rows // self.patch[1], columns // self.patch[2]

    @property
    def frame_tokens(self) -> int:
        """Video tokens of one latent frame."""
        return math.prod(self.token_grid)


class Options(Frozen):
    """What inference recomputes or computes in vain; no choice changes the actions.

    Attributes:
        decode_video: idm decodes the imagined clip although only the action is wanted.
        recompute_text: the text MLP and the cross-attention keys and values are computed at every
            pass of an expert; otherwise once per inference (one token is the proprioception).
        recompute_first_frame: joint and idm run the current frame's tokens at every pass although
            nothing they see changes; otherwise their keys and values are computed once.
        time_per_token: the timestep MLP runs for every video token; otherwise once per timestep.
        skip_dead_block: passes that only fill a cache end at the keys and values of the last block.
        cache_text: the text encoder runs when the instruction changes; otherwise at every replan.
        masked_corner: joint sends video and action through one attention per layer, whose corner
            of video queries and action keys is computed and masked; otherwise the video runs first
            and the action reads its keys and values.

    Text is never trimmed: its zeroed pads are visible to the cross-attention.
    """

    decode_video: bool
    recompute_text: bool
    recompute_first_frame: bool
    time_per_token: bool
    skip_dead_block: bool
    cache_text: bool
    masked_corner: bool


RELEASED = Options(
    decode_video=True,
    recompute_text=True,
    recompute_first_frame=True,
    time_per_token=True,
    skip_dead_block=False,
    cache_text=False,
    masked_corner=True,
)
"""What the authors' code computes."""

BEST_EXACT = Options(
    decode_video=False,
    recompute_text=False,
    recompute_first_frame=False,
    time_per_token=False,
    skip_dead_block=True,
    cache_text=True,
    masked_corner=False,
)
"""Every saving that leaves the actions (and the imagined latents) as they are."""

OPTIONS = {"released": RELEASED, "best-exact": BEST_EXACT}

# Wan-AI/Wan2.2-TI2V-5B-Diffusers, vae/config.json
_WAN22_MEAN = (
    *(-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542),
    *(0.2813, 0.0891, 0.1570, -0.0098, 0.0375, -0.1825, -0.2246, -0.1207, -0.0698, 0.5109),
    *(0.2665, -0.2108, -0.2158, 0.2502, -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899),
    *(-0.2799, -0.1230, -0.0313, -0.1649, 0.0117, 0.0723, -0.2839, -0.2083, -0.0520, 0.3748),
    *(0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667),
)
_WAN22_STD = (
    *(0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344),
    *(0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804),
    *(0.5833, 1.4146, 0.8986, 0.5659, 0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999),
    *(0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887),
    *(0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744),
)

LIBERO = FastWamConfig(
    layers=30,
    heads=24,
    head_dim=128,
    video_ffn=14336,
    latent_channels=48,
    freq_dim=256,
    text_dim=4096,
    action_hidden=1024,
    action_ffn=4096,
    action_dim=7,
    proprio_dim=8,
    horizon=32,
    replan=10,
    image_size=(224, 448),  # two cameras of 224 x 224 side by side
    video_frames=9,
    text_length=128,
    vae=VaeConfig(latents_mean=_WAN22_MEAN, latents_std=_WAN22_STD),
    text_encoder=TextEncoderConfig(),
)

ROBOTWIN = LIBERO.model_copy(
    update={
        "action_dim": 14,
        "proprio_dim": 14,
        "replan": 24,
        "image_size": (384, 320),  # a head camera of 256 x 320 over two wrist cameras of 128 x 160
    }
)

PRESETS = {"libero": LIBERO, "robotwin": ROBOTWIN}

# Counted on the built models by a test, so that a listing need not build them.
_SHARED = {"video": 4_999_787_712, "vae": 704_688_668, "text_encoder": 5_680_910_336}
PARAMETERS = {
    "libero": {**_SHARED, "action": 1_020_886_023, "proprio_encoder": 36_864},
    "robotwin": {**_SHARED, "action": 1_020_900_366, "proprio_encoder": 61_440},
}
