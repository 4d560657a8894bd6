"""All parameters of an OpenVLA-OFT; module names inside the parts are those of the release."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from baselines.vla.oft.config import OFTConfig
from baselines.vla.oft.language import language_model
from baselines.vla.oft.vision import dino_tower, siglip_tower


class Projector(nn.Module):
    """Image features [..., features] to token embeddings [..., hidden]; widens fourfold first."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, 4 * features)
        self.fc2 = nn.Linear(4 * features, hidden)
        self.fc3 = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Project."""
        return self.fc3(F.gelu(self.fc2(F.gelu(self.fc1(x)))))


class ProprioProjector(nn.Module):
    """Proprioception [..., proprio] to one token embedding [..., hidden]."""

    def __init__(self, proprio: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(proprio, hidden)
        self.fc2 = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Project."""
        return self.fc2(F.gelu(self.fc1(x)))


class _Residual(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.ffn = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.ffn(x)


class ActionHead(nn.Module):
    """The hidden states of one action's tokens, side by side, to its numbers."""

    def __init__(self, action_dim: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(action_dim * hidden)
        self.fc1 = nn.Linear(action_dim * hidden, hidden)
        self.mlp_resnet_blocks = nn.ModuleList(_Residual(hidden) for _ in range(blocks))
        self.layer_norm2 = nn.LayerNorm(hidden)
        self.fc2 = nn.Linear(hidden, action_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Actions [B, horizon, dim] from hidden states [B, horizon, dim * hidden]."""
        x = F.relu(self.fc1(self.layer_norm1(x)))
        for block in self.mlp_resnet_blocks:
            x = block(x)
        return self.fc2(self.layer_norm2(x))


class OFT(nn.Module):
    """Two towers, two projectors, a language model and a head; see ``program`` for what they do."""

    def __init__(self, config: OFTConfig) -> None:
        super().__init__()
        hidden = config.language.hidden
        self.config = config
        self.dino = dino_tower(config)
        self.siglip = siglip_tower(config)
        self.projector = Projector(config.features, hidden)
        self.proprio_projector = ProprioProjector(config.proprio_dim, hidden)
        self.language_model = language_model(config.language)
        self.action_head = ActionHead(config.action_dim, hidden, config.head_blocks)
