"""ImageWAM: an image editor whose keys and values an action expert reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from baselines.core.attention import KVCache
from baselines.core.labels import Reader
from baselines.imagewam.config import ImageWAMConfig
from baselines.imagewam.editor import make_editor
from baselines.imagewam.expert import ActionExpert
from baselines.imagewam.text import TextFeatures
from baselines.imagewam.vae import ImageTokens


class ImageWAM(nn.Module):
    """All components. VAE and text encoder are absent if the configuration has none."""

    def __init__(self, config: ImageWAMConfig) -> None:
        super().__init__()
        self.config = config
        self.editor = make_editor(config)
        self.expert = ActionExpert(config)
        self.proprio_encoder = nn.Linear(config.proprio_dim, config.text_features)
        self.image_encoder = ImageTokens(config.vae) if config.vae else None
        self.text_encoder = TextFeatures(config.text) if config.text else None

    def trained(self) -> nn.ModuleDict:
        """The components that a checkpoint holds; VAE and text encoder have files of their own."""
        names = ("editor", "expert", "proprio_encoder")
        return nn.ModuleDict({name: getattr(self, name) for name in names})


@dataclass
class State:
    """One inference of a batch: what it is given, and what its stages have computed so far."""

    proprio: Tensor  # [B, proprio_dim], normalised
    noise: Tensor  # [B, H, action_dim], what the action starts from
    lengths: Sequence[int]  # valid text tokens of each sample
    token_ids: Tensor | None = None  # [B, L]; not needed if text is given
    image: Tensor | None = None  # [B, 3, height, width] in [-1, 1]; not needed if tokens are given
    target_noise: Tensor | None = None  # [B, N, C], what an imagined image starts from
    reader: Reader | None = None  # is told what the action reads

    text: Tensor | None = None  # [B, L, text_features]
    tokens: Tensor | None = None  # [B, N, C] of the current image
    context: Tensor | None = None  # [B, L + 1, text_features], text with proprioception
    cache: KVCache = field(default_factory=list)
    action: Tensor | None = None  # [B, H, action_dim]
    target: Tensor | None = None  # [B, N, C], tokens of the imagined image
    target_image: Tensor | None = None  # [B, 3, height, width]
    velocities: list[Tensor] = field(default_factory=list)  # of the action, one per step
