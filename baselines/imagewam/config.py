"""What every ImageWAM has, whatever its editor, as data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from pydantic import Field

from wambench.contract import Frozen

TIME_CHANNELS = 256  # sinusoids of a timestep, in all editors and experts


class WamConfig(Frozen, ABC):
    """Geometry and flow; an editor's own configuration adds its architecture.

    Counts of blocks hold for editor and expert alike, for the expert reads layer by layer.
    """

    action_hidden: int = 1024
    action_dim: int
    proprio_dim: int
    horizon: int = 16

    image_size: tuple[int, int] = Field(description="(height, width) of the camera mosaic")
    text_length: int = Field(default=512, description="tokens the released code pads to")
    steps: int = Field(default=10, gt=0, description="Euler steps of the action")
    shift: float = 5.0

    @property
    @abstractmethod
    def blocks(self) -> int:
        """Layers of the expert, each of which reads one layer of the editor."""

    @property
    @abstractmethod
    def token_grid(self) -> tuple[int, int]:
        """Rows and columns of image tokens."""

    @property
    def image_tokens(self) -> int:
        """Tokens of one image."""
        return math.prod(self.token_grid)


class PackedVae(Frozen):
    """An autoencoder whose latents are packed 2x2 into tokens."""

    channels: tuple[int, ...] = Field(
        default=(128, 256, 512, 512), description="of its levels, each half as large"
    )
    layers_per_block: int = 2
    latent_channels: int

    @property
    def token_channels(self) -> int:
        """Channels of one image token."""
        return 4 * self.latent_channels

    @property
    def pixels_per_token(self) -> int:
        """Side of the square of pixels that one token stands for."""
        return 2 ** len(self.channels)


class Options(Frozen):
    """What inference computes beyond need. None of these changes an action by more than 1e-5.

    An editor may add its own.
    """

    pad_text: bool = Field(
        description="keep the padding up to text_length; it is masked, so it changes nothing"
    )
    cache_text: bool = Field(description="encode an instruction once instead of at each replan")
    dead_block: bool = Field(
        description="run the last editor block beyond the keys and values that the expert reads"
    )


LIBERO_SIZES = {"image_size": (224, 448), "action_dim": 7, "proprio_dim": 8}
"""Two 224 px cameras side by side; 7 end-effector deltas from 8 numbers of proprioception."""

ROBOTWIN_SIZES = {"image_size": (288, 256), "action_dim": 14, "proprio_dim": 14}
"""Head camera 192x256 above two wrist cameras 96x128; 14 joint targets."""
