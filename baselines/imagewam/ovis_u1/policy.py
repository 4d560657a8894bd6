"""ImageWAM on Ovis-U1 as policies, for LIBERO and RoboTwin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from baselines.core.card import Card, wam_variants
from baselines.core.options import parse
from baselines.core.robots import LIBERO, ROBOTWIN
from baselines.core.tokens import StandIn, Tokenize
from baselines.imagewam.ovis_u1 import cost
from baselines.imagewam.ovis_u1.config import PARAMETERS, PRESETS, PUBLISHED
from baselines.imagewam.ovis_u1.prompt import around_picture
from baselines.imagewam.policy import EDITS, ImageWAMPolicy, SampledOptions
from wambench.inference import Variant

if TYPE_CHECKING:
    from torch import nn

    from baselines.core.inputs import Inputs
    from baselines.core.labels import View
    from baselines.imagewam.model import State
    from wambench.attention import Attention

PROMPT_TOKENS = 21  # of marks and prompt around an instruction, for the stand-in tokenizer


class OvisU1Options(SampledOptions):
    """Files of an ImageWAM on Ovis-U1, and three traits of its release."""

    SIZES: ClassVar[Mapping[str, str]] = {
        **SampledOptions.SIZES,
        "by_minimum": "by_minimum",
        "masked_goal": "masked_goal",
    }

    vae: Path | None = Field(
        default=None, description="diffusers folder of Ovis-U1's autoencoder (SDXL's)"
    )
    text_encoder: Path | None = Field(
        default=None, description="folder of Ovis-U1: its vision-language model and tokenizer"
    )
    by_minimum: bool | None = Field(
        default=None,
        description="take a picture without a dark pixel (below 128) for one that is in [0, 1] "
        "already, so that the language model sees it brighter; null: as released, true",
    )
    masked_goal: bool | None = Field(
        default=None,
        description="hide an imagined goal from text and source image, as in training; null: as "
        "released, false",
    )


class OvisU1Policy(ImageWAMPolicy):
    """One published ImageWAM on Ovis-U1."""

    options: OvisU1Options
    presets = PRESETS

    def files(self) -> Mapping[str, tuple[Path | None, str]]:
        """Checkpoint, autoencoder, vision-language model."""
        options = self.options
        return {
            "checkpoint": (options.checkpoint, "model.pt of the ImageWAM release"),
            "vae": (options.vae, "a diffusers folder with Ovis-U1's autoencoder"),
            "text_encoder": (options.text_encoder, "the folder of Ovis-U1-3B with its tokenizer"),
        }

    def build(self) -> nn.Module:
        """Make the model, without memory."""
        from baselines.core.build import on_meta
        from baselines.imagewam.ovis_u1.model import OvisU1WAM

        return on_meta(lambda: OvisU1WAM(self.card.architecture))

    def fill(self, model: Any, dtype: Any) -> None:
        """Fill editor, expert and proprioception from the checkpoint, the rest from its files."""
        from baselines.imagewam.ovis_u1.loading import fill_model

        options = self.options
        assert options.checkpoint and options.vae and options.text_encoder
        fill_model(model, options.checkpoint, options.vae, options.text_encoder, dtype)

    def state(self, inputs: Inputs) -> State:
        """A batch for the stages, with the noise of latents."""
        from baselines.imagewam.noise import latent_noise

        config, state = self.card.architecture, super().state(inputs)
        noise = latent_noise(inputs.own_seeds, config.latent_shape, inputs.noise.device)
        state.latent_noise = noise.to(inputs.proprio.dtype)
        return state

    def flops(self, text_tokens: int) -> Sequence[int]:
        """See :func:`baselines.imagewam.ovis_u1.cost.flops`."""
        steps = self.options.imagine_steps
        return cost.flops(self.card.architecture, self.savings(), text_tokens, steps)

    def tokenizer(self) -> Tokenize:
        """A user's turn of Qwen3; the picture stands behind its first tokens."""
        config = self.card.architecture
        if self.options.text_encoder is None:
            vocabulary = config.condition.language.vocabulary
            return StandIn(vocabulary, PROMPT_TOKENS, config.text_length)
        return around_picture(self.options.text_encoder, config)

    def attention(self, view: View, words: Callable[[str], Sequence[str]]) -> Attention:
        """The expert's, with the second softmax of double blocks."""
        from baselines.imagewam.ovis_u1.reading import PARTS
        from baselines.imagewam.reading import attention

        config = self.card.architecture
        found = attention(config, view, words, self.watch, heads=config.heads, parts=PARTS)
        return dataclasses.replace(found, depths={"image": config.double_blocks})


def _make(name: str, place: str, about: str, /, **options: Any) -> OvisU1Policy:
    card = Card(
        name=name,
        about=about,
        paradigm="imagewam",
        package="baselines.imagewam",
        robot=LIBERO if place == "libero" else ROBOTWIN,
        architecture=PUBLISHED[place],
        parameters=PARAMETERS[place],
        replan_steps=8 if place == "libero" else 16,
        variants=wam_variants(name, Variant(policy="imagewam-ovis-u1-robotwin")),
    )
    return OvisU1Policy(card, parse(OvisU1Options, name, options))


imagewam_ovis_u1 = partial(_make, "imagewam-ovis-u1", "libero", f"Ovis-U1 on LIBERO: {EDITS}")
imagewam_ovis_u1_robotwin = partial(
    _make, "imagewam-ovis-u1-robotwin", "robotwin", f"Ovis-U1 on RoboTwin: {EDITS}"
)
