"""All tensors of one inference: what it is given, and what its stages leave behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from baselines.core.attention import KVCache, tensors
from baselines.core.flow import Committed
from baselines.core.labels import Reader
from baselines.videowam.blocks import Rope
from baselines.videowam.experts import Grid


@dataclass
class State:
    """One inference for a batch of B samples; all tensors but ``text_*`` in the model's dtype.

    Attributes:
        proprio: normalised proprioception [B, proprio_dim].
        noise_action: [B, horizon, action_dim].
        noise_video: [B, C, F, h, w]; its first frame is never read. Not needed by plain.
        image: [B, 3, height, width] in -1..1, unless ``first_frame`` is given.
        first_frame: normalised latents [B, C, 1, h, w]; given, or encoded from ``image``.
        text_ids: tokens [B, L], unless ``text_features`` is given or ``text`` is kept.
        text_features: [B, L, text_dim] as the text encoder leaves them.
        text_valid: [B, L] bool, False at pads.
        text_mask: [B, L] bool of text that may be read; None: all of it, pads too, as released.

    Set by a policy whose attention is watched:
        reader: is told what the action reads.

    Set under a clock that goes on:
        committed: actions that the chunk has to begin with.

    The others are results, in the order in which the stages set them:
        text: [B, L, text_dim], zero at pads; it depends on the instruction alone, so a later
            inference may be given it instead of running the text stage.
        context: text and proprioception [B, L + 1, text_dim].
        video_text, action_text: ``context`` as every expert reads it, unless recomputed.
        cross_mask: [B, 1, 1, L + 1], if there is a ``text_mask``.
        grid, clip_mask, video_rope, action_rope: layout of the tokens.
        video, action: the flow's latents and actions; at the end the result.
        first_frame_kv: keys and values of the first frame's tokens.
        video_kv: those that later steps of the action read.
        action_tokens: [B, H, hidden] of the action after a pass of joint, for its head.
        velocity_video, velocity_action: of the last flow step (video: of the frames that ran).
        frames: the decoded clip [B, 3, frames, height, width] in -1..1.
    """

    proprio: Tensor
    noise_action: Tensor
    noise_video: Tensor | None = None
    image: Tensor | None = None
    first_frame: Tensor | None = None
    text_ids: Tensor | None = None
    text_features: Tensor | None = None
    text_valid: Tensor | None = None
    text_mask: Tensor | None = None

    reader: Reader | None = field(init=False, repr=False, default=None)
    committed: Committed | None = field(init=False, repr=False, default=None)
    text: Tensor = field(init=False, repr=False)
    context: Tensor = field(init=False, repr=False)
    video_text: KVCache | None = field(init=False, repr=False, default=None)
    action_text: KVCache | None = field(init=False, repr=False, default=None)
    cross_mask: Tensor | None = field(init=False, repr=False, default=None)
    grid: Grid = field(init=False, repr=False)
    clip_mask: Tensor | None = field(init=False, repr=False, default=None)
    video_rope: Rope = field(init=False, repr=False)
    action_rope: Rope = field(init=False, repr=False)
    video: Tensor = field(init=False, repr=False)
    action: Tensor = field(init=False, repr=False)
    first_frame_kv: KVCache | None = field(init=False, repr=False, default=None)
    video_kv: KVCache = field(init=False, repr=False, default_factory=list)
    action_tokens: Tensor = field(init=False, repr=False)
    velocity_video: Tensor = field(init=False, repr=False)
    velocity_action: Tensor = field(init=False, repr=False)
    frames: Tensor = field(init=False, repr=False)

    def kept(self) -> list[Tensor]:
        """All keys and values that a later step reads again."""
        return tensors(self.first_frame_kv, self.video_kv, self.video_text, self.action_text)
