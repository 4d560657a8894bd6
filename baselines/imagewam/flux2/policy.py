"""ImageWAM on FLUX.2 as policies: sizes for LIBERO and RoboTwin, and the imagining ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from baselines.core.card import Card, wam_variants
from baselines.core.options import parse
from baselines.core.robots import LIBERO, ROBOTWIN
from baselines.core.tokens import WAM_PROMPT, StandIn, Tokenize, released
from baselines.imagewam.flux2 import cost
from baselines.imagewam.flux2.config import PARAMETERS, PRESETS, PUBLISHED
from baselines.imagewam.policy import EDITS, ImageWAMOptions, ImageWAMPolicy
from wambench.inference import Variant

if TYPE_CHECKING:
    from torch import nn

PROMPT_TOKENS = 25  # of prompt and chat template around an instruction, for the stand-in tokenizer


class Flux2Options(ImageWAMOptions):
    """Files of an ImageWAM on FLUX.2."""

    vae: Path | None = Field(
        default=None, description="FLUX.2's autoencoder: ae.safetensors or a diffusers folder"
    )
    text_encoder: Path | None = Field(
        default=None, description="folder with Qwen3's weights and tokenizer"
    )


class Flux2Policy(ImageWAMPolicy):
    """One published ImageWAM on FLUX.2."""

    options: Flux2Options
    presets = PRESETS

    def files(self) -> Mapping[str, tuple[Path | None, str]]:
        """Checkpoint, autoencoder, text encoder."""
        options = self.options
        encoder = "Qwen3-4B" if "4b" in self.card.name else "Qwen3-8B"
        return {
            "checkpoint": (options.checkpoint, "model.pt of the ImageWAM release"),
            "vae": (options.vae, "FLUX.2's ae.safetensors or its diffusers folder"),
            "text_encoder": (options.text_encoder, f"a folder with {encoder} and its tokenizer"),
        }

    def build(self) -> nn.Module:
        """Make the model, without memory."""
        from baselines.core.build import on_meta
        from baselines.imagewam.flux2.model import Flux2WAM

        return on_meta(lambda: Flux2WAM(self.card.architecture))

    def fill(self, model: Any, dtype: Any) -> None:
        """Fill editor, expert and proprioception from the checkpoint, the rest from its files."""
        from baselines.imagewam.flux2.loading import fill_model

        options = self.options
        assert options.checkpoint and options.vae and options.text_encoder
        fill_model(model, options.checkpoint, options.vae, options.text_encoder, dtype)

    def flops(self, text_tokens: int) -> Sequence[int]:
        """See :func:`baselines.imagewam.flux2.cost.flops`."""
        steps = self.options.imagine_steps
        return cost.flops(self.card.architecture, self.savings(), text_tokens, steps)

    def tokenizer(self) -> Tokenize:
        """Qwen3's chat template around the prompt."""
        config = self.card.architecture
        if self.options.text_encoder is None:
            return StandIn(config.text.vocabulary, PROMPT_TOKENS, config.text_length)
        return released(self.options.text_encoder, config.text_length, WAM_PROMPT.format, chat=True)


def _make(
    name: str, preset: str, about: str, defaults: Mapping[str, Any], /, **options: Any
) -> Flux2Policy:
    size, place = preset.split("-")
    card = Card(
        name=name,
        about=about,
        paradigm="imagewam",
        package="baselines.imagewam",
        robot=LIBERO if place == "libero" else ROBOTWIN,
        architecture=PUBLISHED[preset],
        parameters=PARAMETERS[preset],
        replan_steps=12 if place == "libero" else 16,
        variants=wam_variants(name, Variant(policy=f"imagewam-{size}-robotwin", options=defaults)),
    )
    return Flux2Policy(card, parse(Flux2Options, name, {**defaults, **options}))


imagewam_4b = partial(_make, "imagewam-4b", "4b-libero", f"FLUX.2 klein 4B on LIBERO: {EDITS}", {})
imagewam_9b = partial(_make, "imagewam-9b", "9b-libero", f"FLUX.2 klein 9B on LIBERO: {EDITS}", {})
imagewam_4b_robotwin = partial(
    _make, "imagewam-4b-robotwin", "4b-robotwin", f"FLUX.2 klein 4B on RoboTwin: {EDITS}", {}
)
imagewam_9b_robotwin = partial(
    _make, "imagewam-9b-robotwin", "9b-robotwin", f"FLUX.2 klein 9B on RoboTwin: {EDITS}", {}
)
imagewam_4b_imagine = partial(
    _make,
    "imagewam-4b-imagine",
    "4b-libero",
    "ablation of imagewam-4b that denoises the goal image in 10 steps and decodes it",
    {"imagine_steps": 10},
)
