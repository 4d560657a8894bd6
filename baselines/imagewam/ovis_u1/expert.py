"""The action expert: a second Yak whose every layer reads the editor's cache of that layer.

Its double blocks have a text half that no forward pass uses: the released code builds it, starts it
from the editor and saves it, so that a quarter of the parameters are dead.
"""

from __future__ import annotations

from torch import Tensor, nn

from baselines.core.attention import KVCache
from baselines.imagewam.config import TIME_CHANNELS
from baselines.imagewam.ovis_u1.blocks import DoubleBlock, Masks, SingleBlock, earlier
from baselines.imagewam.ovis_u1.config import OvisU1Config
from baselines.imagewam.ovis_u1.modulation import Head, VectorMlp, time_features
from baselines.imagewam.ovis_u1.packing import action_positions, rope_of


class ActionExpert(nn.Module):
    """Predicts the velocity of an action chunk from the editor's cache."""

    def __init__(self, config: OvisU1Config) -> None:
        super().__init__()
        sizes = (config.hidden, config.heads, config.inner)
        self.rope = (config.rope_axes, config.rope_theta)
        self.action_encoder = nn.Linear(config.action_dim, config.hidden)
        self.time_in = VectorMlp(TIME_CHANNELS, config.hidden)
        self.double_blocks = nn.ModuleList(DoubleBlock(*sizes) for _ in range(config.double_blocks))
        self.single_blocks = nn.ModuleList(SingleBlock(*sizes) for _ in range(config.single_blocks))
        self.head = Head(config.hidden, config.action_dim)

    def forward(self, action: Tensor, t: Tensor, cache: KVCache, masks: Masks) -> Tensor:
        """Velocity (noise - action).

        Args:
            action: noisy actions [B, H, action_dim].
            t: [B] timesteps in 0..1, in the model's dtype.
            cache: the editor's, P tokens of text and image or N of the image alone.
            masks: bool [B, 1, 1, P + H] and [B, 1, 1, N + H]; None: all may be read.

        Returns:
            [B, H, action_dim].
        """
        rope = rope_of(action_positions(action.shape[1], action.device), *self.rope)
        vec = self.time_in(time_features(t))
        x = self.action_encoder(action)
        place = 0
        for double in self.double_blocks:
            _, x, _ = double(None, x, vec, rope, masks, earlier(cache, place))
            place += 2
        for single, past in zip(self.single_blocks, cache[place:], strict=True):
            x, _ = single(x, vec, rope, masks.joint, past)
        return self.head(x, vec)
