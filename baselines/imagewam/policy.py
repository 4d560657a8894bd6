"""ImageWAM as policies: the published sizes for LIBERO and RoboTwin, and the imagining ablation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from baselines.core.card import Card, wam_variants
from baselines.core.labels import View
from baselines.core.options import WamOptions, parse
from baselines.core.policy import LearnedPolicy
from baselines.core.robots import LIBERO, ROBOTWIN
from baselines.core.tokens import WAM_PROMPT, StandIn, Tokenize, released
from baselines.imagewam import cost
from baselines.imagewam.config import PARAMETERS, PRESETS, PUBLISHED, Options
from wambench.inference import Variant

if TYPE_CHECKING:
    from torch import Tensor, nn

    from baselines.core.inputs import Inputs
    from wambench.attention import Attention
    from wambench.inference import Program

PROMPT_TOKENS = 25  # of prompt and chat template around an instruction, for the stand-in tokenizer


class ImageWAMOptions(WamOptions):
    """Files of an ImageWAM and how often it imagines."""

    vae: Path | None = Field(
        default=None, description="FLUX.2's autoencoder: ae.safetensors or a diffusers folder"
    )
    text_encoder: Path | None = Field(
        default=None, description="folder with Qwen3's weights and tokenizer"
    )
    imagine_steps: int = Field(
        default=0, ge=0, description="denoise and decode the goal image; the action ignores it"
    )


class ImageWAMPolicy(LearnedPolicy):
    """One published ImageWAM."""

    options: ImageWAMOptions

    def savings(self) -> Options:
        """What the preset computes beyond need."""
        return PRESETS[self.options.preset]

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
        from baselines.imagewam.model import ImageWAM

        return on_meta(lambda: ImageWAM(self.card.architecture))

    def fill(self, model: Any, dtype: Any) -> None:
        """Fill editor, expert and proprioception from the checkpoint, the rest from its files."""
        from baselines.imagewam.loading import fill_model

        options = self.options
        assert options.checkpoint and options.vae and options.text_encoder
        fill_model(model, options.checkpoint, options.vae, options.text_encoder, dtype)

    def program(self, model: Any) -> Program[Any]:
        """Text, vision, prefill, (imagine,) act, (decode)."""
        from baselines.imagewam.inference import program

        return program(model, self.savings(), self.options.imagine_steps)

    def state(self, inputs: Inputs) -> Any:
        """A batch for the stages."""
        from baselines.core.inputs import batch_noise, signed
        from baselines.imagewam.model import State

        config, dtype = self.card.architecture, inputs.proprio.dtype
        state = State(
            proprio=inputs.proprio,
            noise=inputs.noise.to(dtype),
            lengths=inputs.lengths,
            token_ids=inputs.token_ids,
            image=signed(inputs.picture, dtype),
        )
        if self.options.imagine_steps:
            shape = (config.image_tokens, config.image_channels)
            noise = batch_noise(inputs.noise_seeds, shape, inputs.noise.device)
            state.target_noise = noise.to(dtype)
        return state

    def cache(self, state: Any) -> Sequence[Tensor]:
        """The editor's, which every step of the expert reads."""
        from baselines.core.attention import tensors

        return tensors(state.cache)

    def view(self) -> View:
        """Tokens of the picture of all cameras."""
        return self.card.robot.view(self.card.architecture.token_grid)

    def attention(self, view: View, words: Callable[[str], Sequence[str]]) -> Attention:
        """The expert's."""
        from baselines.imagewam.reading import attention

        return attention(self.card.architecture, view, words, self.watch)

    def flops(self, text_tokens: int) -> Sequence[int]:
        """See :func:`baselines.imagewam.cost.flops`."""
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
) -> ImageWAMPolicy:
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
    return ImageWAMPolicy(card, parse(ImageWAMOptions, name, {**defaults, **options}))


_EDITS = "one prefill of an image editor; the action expert reads its cache"
imagewam_4b = partial(_make, "imagewam-4b", "4b-libero", f"FLUX.2 klein 4B on LIBERO: {_EDITS}", {})
imagewam_9b = partial(_make, "imagewam-9b", "9b-libero", f"FLUX.2 klein 9B on LIBERO: {_EDITS}", {})
imagewam_4b_robotwin = partial(
    _make, "imagewam-4b-robotwin", "4b-robotwin", f"FLUX.2 klein 4B on RoboTwin: {_EDITS}", {}
)
imagewam_9b_robotwin = partial(
    _make, "imagewam-9b-robotwin", "9b-robotwin", f"FLUX.2 klein 9B on RoboTwin: {_EDITS}", {}
)
imagewam_4b_imagine = partial(
    _make,
    "imagewam-4b-imagine",
    "4b-libero",
    "ablation of imagewam-4b that denoises the goal image in 10 steps and decodes it",
    {"imagine_steps": 10},
)
