"""OpenVLA-OFT as a policy, as its authors run it on LIBERO."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from baselines.core.card import Card
from baselines.core.labels import View, separate
from baselines.core.options import RunOptions, parse
from baselines.core.policy import LearnedPolicy
from baselines.core.robots import LIBERO_OFT
from baselines.core.tokens import StandIn, Tokenize, released
from baselines.vla.oft import cost
from baselines.vla.oft.config import (
    CROP_SIDE,
    LAST_PROMPT_TOKEN,
    OFT_LIBERO,
    PARAMETERS,
    PRESETS,
    PROMPT,
    Options,
)
from wambench.inference import Variant

if TYPE_CHECKING:
    from torch import nn

    from baselines.core.checkpoints.statistics import Statistics
    from baselines.core.inputs import Inputs
    from wambench.attention import Attention
    from wambench.inference import Program

PROMPT_TOKENS = 20  # of the question around an instruction, for the stand-in tokenizer
STATISTICS = "dataset_statistics.json"


class OftOptions(RunOptions):
    """Files of an OpenVLA-OFT and its image crop."""

    checkpoint: Path | None = Field(
        default=None, description="the release's folder: shards, two .pt files, tokenizer"
    )
    centre_crop: bool = Field(
        default=True, description="look at the middle 90 % of each image, as the release does"
    )


class OftPolicy(LearnedPolicy):
    """The published OpenVLA-OFT."""

    options: OftOptions
    flows = False

    def savings(self) -> Options:
        """What the preset computes beyond need."""
        return PRESETS[self.options.preset]

    def files(self) -> Mapping[str, tuple[Path | None, str]]:
        """One folder."""
        what = "the folder of a release, with action_head and proprio_projector .pt files"
        return {"checkpoint": (self.options.checkpoint, what)}

    def statistics_file(self) -> Path | None:
        """In the folder, unless named."""
        if self.options.weights == "random" or self.options.checkpoint is None:
            return None
        return self.options.statistics or self.options.checkpoint / STATISTICS

    def statistics(self) -> Statistics | None:
        """Of proprioception and actions."""
        from baselines.vla.statistics import oft_statistics

        path, config = self.statistics_file(), self.card.architecture
        return oft_statistics(path, config.proprio_dim, config.action_dim) if path else None

    def build(self) -> nn.Module:
        """Make the model, without memory."""
        from baselines.core.build import on_meta
        from baselines.vla.oft.model import OFT

        return on_meta(lambda: OFT(self.card.architecture))

    def fill(self, model: Any, dtype: Any) -> None:
        """Fill the model from the release's folder."""
        from baselines.vla.oft.loading import fill_model

        assert self.options.checkpoint
        fill_model(model, self.options.checkpoint, dtype)

    def program(self, model: Any) -> Program[Any]:
        """Text, vision, prefill, act."""
        from baselines.vla.oft.program import program

        return program(model, self.savings())

    def state(self, inputs: Inputs) -> Any:
        """A batch for the stages."""
        import torch

        from baselines.vla.oft.images import centre_cropped
        from baselines.vla.oft.program import State

        images = torch.stack([image.float() / 255.0 for image in inputs.images], dim=1)
        if self.options.centre_crop:
            images = centre_cropped(images)
        return State(
            images=images,
            token_ids=inputs.token_ids,
            lengths=inputs.lengths,
            proprio=inputs.proprio.clamp(-1.0, 1.0),
        )

    def noise_shape(self) -> tuple[int, int]:
        """A regression draws none."""
        return 0, self.card.architecture.action_dim

    def view(self) -> View:
        """Tokens of each camera, of the middle of its image if that is looked at."""
        side = self.card.architecture.side
        margin = (1 - CROP_SIDE) / 2 if self.options.centre_crop else 0.0
        return separate(self.card.robot.cameras, side, side, margin)

    def attention(self, view: View, words: Callable[[str], Sequence[str]]) -> Attention:
        """The language model's."""
        from baselines.vla.oft.reading import attention

        return attention(self.card.architecture, view, words, self.watch)

    def flops(self, text_tokens: int) -> Sequence[int]:
        """See :func:`baselines.vla.oft.cost.flops`."""
        return cost.flops(self.card.architecture, self.savings(), text_tokens)

    def tokenizer(self) -> Tokenize:
        """Llama's tokens of the question, with the empty token that ends every prompt."""
        config = self.card.architecture
        if self.options.checkpoint is None:
            return StandIn(config.language.vocabulary, PROMPT_TOKENS, config.text_length)
        return _Ended(released(self.options.checkpoint, config.text_length, _prompt, chat=False))


@dataclass(frozen=True)
class _Ended:
    """A tokenizer whose texts end with one more token."""

    tokenize: Tokenize

    def __call__(self, instruction: str) -> Sequence[int]:
        return [*self.tokenize(instruction), LAST_PROMPT_TOKEN]

    def spelled(self, instruction: str) -> Sequence[str]:
        return [*self.tokenize.spelled(instruction), "▁"]


def _prompt(instruction: str) -> str:
    return PROMPT.format(instruction=instruction.lower())


def openvla_oft(**options: Any) -> OftPolicy:
    """The policy."""
    card = Card(
        name="openvla-oft",
        about="OpenVLA-OFT 7B on LIBERO: all actions of a chunk regressed in one pass",
        paradigm="vla",
        package="baselines.vla",
        robot=LIBERO_OFT,
        architecture=OFT_LIBERO,
        parameters=PARAMETERS,
        replan_steps=OFT_LIBERO.replan,
        variants={"libero": Variant(policy="openvla-oft")},
    )
    return OftPolicy(card, parse(OftOptions, card.name, options))
