"""pi0 and pi0.5 as policies, as openpi runs them on LIBERO."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from baselines.core.card import Card
from baselines.core.labels import View, separate
from baselines.core.options import FlowOptions, parse
from baselines.core.policy import LearnedPolicy
from baselines.core.robots import LIBERO_OPENPI, LIBERO_OPENPI_05, Robot
from baselines.core.tokens import StandIn, Tokenize, released
from baselines.vla.pi0 import cost
from baselines.vla.pi0.config import OPTIONS, PARAMETERS, PRESETS, Options
from wambench import UserError
from wambench.inference import Variant

if TYPE_CHECKING:
    from torch import Tensor, nn

    from baselines.core.checkpoints.statistics import Statistics
    from baselines.core.inputs import Inputs
    from wambench.attention import Attention
    from wambench.inference import Program

PROMPT_TOKENS = 2  # BOS and the newline that ends the prompt
STATE_DIM = 8


class Pi0Options(FlowOptions):
    """Files of a pi0."""

    statistics: Path | None = Field(default=None, description="openpi's norm_stats.json")
    tokenizer: Path | None = Field(default=None, description="folder of PaliGemma's tokenizer")


class Pi0Policy(LearnedPolicy):
    """One published pi0."""

    options: Pi0Options

    def savings(self) -> Options:
        """What the preset computes beyond need."""
        return OPTIONS[self.options.preset]

    def files(self) -> Mapping[str, tuple[Path | None, str]]:
        """Checkpoint, statistics, tokenizer."""
        options = self.options
        return {
            "checkpoint": (options.checkpoint, "model.safetensors of openpi or lerobot"),
            "statistics": (options.statistics, "norm_stats.json of the same release"),
            "tokenizer": (options.tokenizer, "a folder with PaliGemma's tokenizer"),
        }

    def statistics_file(self) -> Path | None:
        """openpi's, which must be named."""
        return None if self.options.weights == "random" else self.options.statistics

    def statistics(self) -> Statistics | None:
        """Of state and actions, without their padding."""
        from baselines.vla.statistics import openpi_statistics

        path = self.statistics_file()
        return openpi_statistics(path, STATE_DIM, self.card.robot.action.dim) if path else None

    def build(self) -> nn.Module:
        """Make the model, without memory."""
        from baselines.core.build import on_meta
        from baselines.vla.pi0.modules import build

        return on_meta(lambda: build(self.card.architecture))

    def fill(self, model: Any, dtype: Any) -> None:
        """Fill the model from a file with openpi's or with our own names."""
        from baselines.core.checkpoints.loading import fill_from
        from baselines.core.checkpoints.reading import read_checkpoint
        from baselines.vla.pi0.layout import layout, published_layout

        assert self.options.checkpoint
        file = read_checkpoint(self.options.checkpoint)
        is_published = any(name.startswith("paligemma_with_expert.") for name in file.tensors)
        names = published_layout if is_published else layout
        fill_from(model, file, names(self.card.architecture), dtype)

    def program(self, model: Any) -> Program[Any]:
        """Text, vision, prefill, act."""
        from baselines.vla.pi0.program import program

        return program(model, self.savings())

    def state(self, inputs: Inputs) -> Any:
        """A batch for the stages; the camera slots that the robot lacks are black."""
        import torch

        from baselines.core.inputs import signed
        from baselines.vla.pi0.program import State

        config, dtype = self.card.architecture, inputs.proprio.dtype
        seen = [signed(image, dtype) for image in inputs.images]
        absent = config.camera_slots - len(seen)
        empty = [torch.full_like(seen[0], -1.0)] * absent
        missing = config.state_dim - inputs.proprio.shape[1]
        return State(
            images=torch.stack(seen + empty, dim=1),
            cameras=(True,) * len(seen) + (False,) * absent,
            token_ids=inputs.token_ids,
            lengths=inputs.lengths,
            noise=inputs.noise,
            state=torch.nn.functional.pad(inputs.proprio, (0, missing)),
        )

    def reuse_text(self, state: Any, kept: Sequence[Any]) -> None:
        """Pad to the length that the preset keeps."""
        import torch

        super().reuse_text(state, kept)
        if not self.savings().trim_text:
            missing = self.card.architecture.text_length - state.text.shape[1]
            state.text = torch.nn.functional.pad(state.text, (0, 0, 0, missing))

    def cache(self, state: Any) -> Sequence[Tensor]:
        """Keys and values of the prefix, which every step of the expert reads."""
        from baselines.core.attention import tensors

        return tensors(state.prefix.cache)

    def components(self, model: Any) -> Mapping[str, nn.Module]:
        """The parts that openpi names; transformers' classes nest them otherwise."""
        from torch import nn

        vlm = model.model.vlm
        return {
            "vision": nn.ModuleList([vlm.vision_tower, vlm.multi_modal_projector]),
            "language": vlm.language_model,
            "expert": model.model.dit,
            "embeddings": nn.ModuleList([model.embed_action_time, model.action_out_proj]),
        }

    def view(self) -> View:
        """Tokens of each camera; those of absent ones show nothing."""
        side = self.card.architecture.vision.side
        return separate(self.card.robot.cameras, side, side)

    def attention(self, view: View, words: Callable[[str], Sequence[str]]) -> Attention:
        """The expert's."""
        from baselines.vla.pi0.reading import attention

        return attention(self.card.architecture, view, words, self.watch)

    def flops(self, text_tokens: int) -> Sequence[int]:
        """See :func:`baselines.vla.pi0.cost.flops`."""
        cameras = len(self.card.robot.cameras)
        return cost.flops(self.card.architecture, self.savings(), text_tokens, cameras)

    def tokenizer(self) -> Tokenize:
        """PaliGemma's tokens of the instruction, ended by a newline."""
        config = self.card.architecture
        if self.options.tokenizer is None:
            return StandIn(config.vocabulary, PROMPT_TOKENS, config.text_length)
        return released(self.options.tokenizer, config.text_length, _prompt, chat=False)


def _prompt(instruction: str) -> str:
    """An instruction as openpi cleans it."""
    return instruction.strip().replace("_", " ").replace("\n", " ") + "\n"


def _make(name: str, robot: Robot, replan: int, about: str, /, **options: Any) -> Pi0Policy:
    architecture = PRESETS[name]
    if architecture.state_in_text:
        raise UserError(f"policy {name!r} with its state in the text is not supported; use pi0")
    card = Card(
        name=name,
        about=about,
        paradigm="vla",
        package="baselines.vla",
        robot=robot,
        architecture=architecture,
        parameters=PARAMETERS[name],
        replan_steps=replan,
        variants={"libero": Variant(policy=name)},
    )
    return Pi0Policy(card, parse(Pi0Options, name, options))


_FLOW = "a flow-matching action expert reads a vision-language prefix"
pi0 = partial(_make, "pi0", LIBERO_OPENPI, 5, f"pi0 on LIBERO: {_FLOW}")
pi05 = partial(_make, "pi05", LIBERO_OPENPI_05, 5, f"pi0.5 on LIBERO: {_FLOW}")
