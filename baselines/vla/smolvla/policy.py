"""SmolVLA as a policy, as lerobot runs it on LIBERO."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from baselines.core.card import Card
from baselines.core.labels import View, separate
from baselines.core.options import FlowOptions, parse
from baselines.core.policy import LearnedPolicy
from baselines.core.robots import LIBERO_LEROBOT
from baselines.core.tokens import StandIn, Tokenize, released
from baselines.vla.smolvla import cost
from baselines.vla.smolvla.config import OPTIONS, PARAMETERS, Options, SmolVLAConfig
from wambench.inference import Variant

if TYPE_CHECKING:
    from torch import Tensor, nn

    from baselines.core.checkpoints.statistics import Statistics
    from baselines.core.inputs import Inputs
    from wambench.attention import Attention
    from wambench.inference import Program

PROMPT_TOKENS = 1  # the newline that ends the prompt
STATE_DIM = 8
REPLAN = 1  # in simulation it decides anew after each action (arXiv:2506.01844, section 4.3)
NORMALISER = "policy_preprocessor_step_5_normalizer_processor.safetensors"


class SmolVLAOptions(FlowOptions):
    """Files of a SmolVLA."""

    statistics: Path | None = Field(
        default=None, description=f"lerobot's {NORMALISER}; by default the one beside checkpoint"
    )
    tokenizer: Path | None = Field(default=None, description="folder of SmolVLM2's tokenizer")


class SmolVLAPolicy(LearnedPolicy):
    """The published SmolVLA."""

    options: SmolVLAOptions

    def __init__(self, card: Card, options: SmolVLAOptions) -> None:
        super().__init__(card, options)
        # It resizes what it is given, and its release (256 px) and other policies' protocols agree
        # in all but the size.
        self.spec = self.spec.model_copy(update={"image_size": None})

    def savings(self) -> Options:
        """What the preset computes beyond need."""
        return OPTIONS[self.options.preset]

    def files(self) -> Mapping[str, tuple[Path | None, str]]:
        """Checkpoint and tokenizer; statistics are looked for beside the checkpoint."""
        options = self.options
        return {
            "checkpoint": (options.checkpoint, "model.safetensors of lerobot 0.4 or later"),
            "tokenizer": (options.tokenizer, "a folder with SmolVLM2's tokenizer"),
        }

    def statistics_file(self) -> Path | None:
        """Of lerobot; none for random weights."""
        checkpoint = self.options.checkpoint
        if self.options.weights == "random" or checkpoint is None:
            return None
        return self.options.statistics or checkpoint.parent / NORMALISER

    def statistics(self) -> Statistics | None:
        """Of state and actions."""
        from baselines.vla.statistics import lerobot_statistics

        path = self.statistics_file()
        return lerobot_statistics(path, STATE_DIM, self.card.robot.action.dim) if path else None

    def build(self) -> nn.Module:
        """Make the model, without memory."""
        from baselines.core.build import on_meta
        from baselines.vla.smolvla.modules import build

        return on_meta(lambda: build(self.card.architecture))

    def fill(self, model: Any, dtype: Any) -> None:
        """Fill the model from a file with lerobot's names."""
        from baselines.core.checkpoints.loading import load_into
        from baselines.vla.smolvla.layout import published_layout

        assert self.options.checkpoint
        load_into(model, self.options.checkpoint, published_layout(self.card.architecture), dtype)

    def program(self, model: Any) -> Program[Any]:
        """Text, vision, prefill, act."""
        from baselines.vla.smolvla.program import program

        return program(model, self.savings())

    def state(self, inputs: Inputs) -> Any:
        """A batch for the stages."""
        import torch

        from baselines.vla.smolvla.images import fitted
        from baselines.vla.smolvla.program import State

        config = self.card.architecture
        missing = config.state_dim - inputs.proprio.shape[1]
        return State(
            images=torch.stack([fitted(i, config.vision.image) for i in inputs.images], dim=1),
            token_ids=inputs.token_ids,
            lengths=inputs.lengths,
            noise=inputs.noise,
            state=torch.nn.functional.pad(inputs.proprio, (0, missing)),
        )

    def cache(self, state: Any) -> Sequence[Tensor]:
        """Keys and values of the prefix, which every step of the expert reads."""
        from baselines.core.attention import tensors

        return tensors(state.prefix.cache)

    def view(self) -> View:
        """Tokens of each camera; LIBERO's images are square, so that none is of padding."""
        side = self.card.architecture.vision.side
        return separate(self.card.robot.cameras, side, side)

    def attention(self, view: View, words: Callable[[str], Sequence[str]]) -> Attention:
        """The expert's."""
        from baselines.vla.smolvla.reading import attention

        return attention(self.card.architecture, view, words, self.watch)

    def flops(self, text_tokens: int) -> Sequence[int]:
        """See :func:`baselines.vla.smolvla.cost.flops`."""
        cameras = len(self.card.robot.cameras)
        return cost.flops(self.card.architecture, self.savings(), text_tokens, cameras)

    def tokenizer(self) -> Tokenize:
        """SmolVLM2's tokens of the instruction, ended by a newline."""
        config = self.card.architecture
        if self.options.tokenizer is None:
            return StandIn(config.vocabulary, PROMPT_TOKENS, config.text_length)
        return released(self.options.tokenizer, config.text_length, _prompt, chat=False)


def _prompt(instruction: str) -> str:
    """An instruction as lerobot ends it."""
    return instruction if instruction.endswith("\n") else instruction + "\n"


def smolvla(**options: Any) -> SmolVLAPolicy:
    """SmolVLA-base's architecture on LIBERO."""
    card = Card(
        name="smolvla",
        about="SmolVLA on LIBERO: a flow-matching action expert reads half a small VLM",
        paradigm="vla",
        package="baselines.vla",
        robot=LIBERO_LEROBOT,
        architecture=SmolVLAConfig(),
        parameters=PARAMETERS,
        replan_steps=REPLAN,
        variants={"libero": Variant(policy="smolvla")},
    )
    return SmolVLAPolicy(card, parse(SmolVLAOptions, "smolvla", options))
