"""FastWAM-joint: clip and action are denoised together; the action reads the clip in progress."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from baselines.videowam.blocks import Side, embed_time, run_both
from baselines.videowam.config import Options
from baselines.videowam.experts import Sight
from baselines.videowam.modules import FastWam
from baselines.videowam.parts import Parts
from baselines.videowam.state import State
from wambench.inference import Program, Step


def program(model: FastWam, options: Options) -> Program[State]:
    """Alternate one flow step of the video and one of the action.

    The released code runs both in one pass with a mask that hides the action from the video. So do
    we with ``masked_corner``: then ``imagine`` is that pass, and ``act`` is what is left of the
    action, its head. Without it the video runs first and the action reads its keys and values,
    which is the same computation less the masked corner (0.1 % of the published model's).
    """
    parts = _Together(model, options)
    steps = parts.first_steps(with_clip=True)
    if not options.recompute_first_frame:
        steps.append(Step("prefill", parts.prefill_first_frame))
    for index in range(parts.action_schedule.steps):
        if options.masked_corner:
            steps.append(Step("imagine", partial(parts.imagine_both, index=index)))
            steps.append(Step("act", partial(parts.act_on_both, index=index)))
        else:
            imagine = partial(parts.imagine, index=index, schedule=parts.action_schedule, keep=True)
            steps.append(Step("imagine", imagine))
            steps.append(parts.act_step(index))
    return Program(steps)


@dataclass(frozen=True)
class _Together(Parts):
    """The steps in which one pass runs video and action."""

    def imagine_both(self, state: State, index: int) -> None:
        """Run video and action, and move the video; the action's tokens are kept for its head."""
        t = self.action_schedule.time(index, state.video[:1])
        latents, time, rope, sight = self._clip(state, t)
        video, action = self.model.video, self.model.action
        tokens = video.patch_embedding(latents).flatten(2).transpose(1, 2)
        when = embed_time(action.condition_embedder, t[:, None], (1,)).modulation
        text, embedded = self._action_text(state), action.action_encoder(state.action)
        with self._reading(state, index, video_queries=tokens.shape[1]):
            x, state.action_tokens = run_both(
                Side(video.blocks, tokens, time.modulation, sight.text, rope),
                Side(action.blocks, embedded, when, text, state.action_rope),
                sight.past,
                _mask(sight, tokens.shape[1], embedded.shape[1]),
                sight.text_mask,
            )
        self._move_video(state, x, time, index, self.action_schedule)

    def act_on_both(self, state: State, index: int) -> None:
        """Move the action, of whose tokens all but the head has run."""
        self._move_action(state, self.model.action.head(state.action_tokens), index)


def _mask(sight: Sight, video: int, action: int) -> Tensor:
    """[video + action, past + video + action] bool: the action sees all, the video no action."""
    past = sight.past[0].k.shape[1] if sight.past is not None else 0
    device = sight.text[0].k.device
    mask = torch.ones(video + action, past + video + action, dtype=torch.bool, device=device)
    mask[:video, past + video :] = False
    if sight.mask is not None:
        mask[:video, past : past + video] = sight.mask
    return mask
