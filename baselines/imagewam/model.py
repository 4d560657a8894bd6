"""What an editor must be able to do for ImageWAM, and the state of one inference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from baselines.core.attention import KVCache
from baselines.core.flow import Committed
from baselines.core.labels import Reader
from baselines.core.reading import Calls


@dataclass
class State:
    """One inference of a batch: what it is given, and what its stages have computed so far.

    N and C are the tokens of one image and their channels, as the editor takes them.
    """

    proprio: Tensor  # [B, proprio_dim], normalised
    noise: Tensor  # [B, H, action_dim], what the action starts from
    lengths: Sequence[int]  # valid text tokens of each sample
    token_ids: Tensor | None = None  # [B, L]; not needed if text is given
    image: Tensor | None = None  # [B, 3, height, width] in [-1, 1]; not needed if tokens are given
    latent_noise: Tensor | None = None  # [B, c, h, w], of an autoencoder that samples its latents
    target_noise: Tensor | None = None  # [B, N, C], what an imagined image starts from
    reader: Reader | None = None  # is told what the action reads
    committed: Committed | None = None  # actions that the chunk has to begin with

    text: Tensor | None = None  # [B, L, text_features]
    tokens: Tensor | None = None  # [B, N, C] of the current image
    context: Tensor | None = None  # [B, L + 1, text_features], text with proprioception
    cache: KVCache = field(default_factory=list)  # what the expert reads, in its own order
    cached: Tensor | None = None  # bool [B, P], which tokens of the cache count; None: all
    action: Tensor | None = None  # [B, H, action_dim]
    target: Tensor | None = None  # [B, N, C], tokens of the imagined image
    target_image: Tensor | None = None  # [B, 3, height, width]
    velocities: list[Tensor] = field(default_factory=list)  # of the action, one per step


class ImageWAM(nn.Module, ABC):
    """All components of a model; every editor's package has its own subclass.

    A subclass makes the five components in ``__init__``; autoencoder and text encoder may be None.
    The stages of :mod:`baselines.imagewam.inference` call its methods in the order in which they
    stand here. Timesteps are in 0..1000 (1000: noise), [B], in the model's dtype; what an
    editor makes of them is its own affair. Velocities are ``noise - data``.
    """

    editor: Any
    expert: Any
    proprio_encoder: nn.Linear
    image_encoder: Any
    text_encoder: Any

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def trained(self) -> nn.ModuleDict:
        """The components that a checkpoint holds; the others have files of their own."""
        names = ("editor", "expert", "proprio_encoder")
        return nn.ModuleDict({name: getattr(self, name) for name in names})

    @abstractmethod
    def read_text(self, state: State, options: Any) -> Tensor:
        """Text features [B, L, F] of ``state.token_ids`` (or of given ``state.text``), trimmed."""

    @abstractmethod
    def see(self, state: State) -> Tensor:
        """Tokens [B, N, C] of ``state.image``."""

    @abstractmethod
    def prefill(self, state: State, options: Any) -> None:
        """Fill ``context``, ``cache`` and ``cached`` from ``text``, ``proprio`` and ``tokens``."""

    @abstractmethod
    def edit(self, state: State, timestep: Tensor) -> Tensor:
        """Velocity [B, N, C] of the imagined image ``state.target``."""

    @abstractmethod
    def act(self, state: State, timestep: Tensor) -> Tensor:
        """Velocity [B, H, A] of ``state.action`` from the cache."""

    @abstractmethod
    def decode(self, tokens: Tensor) -> Tensor:
        """Image [B, 3, height, width] in [-1, 1] of tokens [B, N, C]."""

    @abstractmethod
    def calls(self, state: State) -> Calls:
        """What the keys of every softmax in :meth:`act` stand for, in their order."""
