"""ImageWAM on OmniGen2 as policies: LIBERO, RoboTwin, and the two that read a noisy goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from baselines.core.card import Card, wam_variants
from baselines.core.labels import View
from baselines.core.options import parse
from baselines.core.robots import LIBERO, ROBOTWIN
from baselines.core.tokens import WAM_PROMPT, StandIn, Tokenize, released
from baselines.imagewam.omnigen2 import cost
from baselines.imagewam.omnigen2.config import PARAMETERS, PRESETS, PUBLISHED, Place
from baselines.imagewam.policy import EDITS, ImageWAMPolicy, SampledOptions
from wambench.inference import Variant

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from baselines.core.inputs import Inputs
    from baselines.imagewam.model import State
    from wambench.attention import Attention
    from wambench.inference import Program

PROMPT_TOKENS = 16  # of the prompt around an instruction, for the stand-in tokenizer


class OmniGen2Options(SampledOptions):
    """Files of an ImageWAM on OmniGen2, and where its released code departs from its training."""

    SIZES: ClassVar[Mapping[str, str]] = {
        **SampledOptions.SIZES,
        "proprio_place": "proprio_place",
    }

    vae: Path | None = Field(
        default=None, description="diffusers folder of FLUX.1's autoencoder (OmniGen2's vae)"
    )
    text_encoder: Path | None = Field(
        default=None, description="folder with Qwen2.5-VL-3B-Instruct's weights and tokenizer"
    )
    proprio_place: Place | None = Field(
        default=None,
        description="as_released: proprioception behind the text's padding, where the joint layers "
        "do not see it, as the released LIBERO and RoboTwin evaluations do; as_trained: directly "
        "behind the text, as in training; null: as_released",
    )


class OmniGen2Policy(ImageWAMPolicy):
    """One published ImageWAM on OmniGen2."""

    options: OmniGen2Options
    presets = PRESETS

    def files(self) -> Mapping[str, tuple[Path | None, str]]:
        """Checkpoint, autoencoder, text encoder."""
        options = self.options
        encoder = "a folder with Qwen2.5-VL-3B-Instruct and its tokenizer"
        return {
            "checkpoint": (options.checkpoint, "model.pt of the ImageWAM release"),
            "vae": (options.vae, "the diffusers folder of FLUX.1's autoencoder"),
            "text_encoder": (options.text_encoder, encoder),
        }

    def build(self) -> nn.Module:
        """Make the model, without memory."""
        from baselines.core.build import on_meta
        from baselines.imagewam.omnigen2.model import OmniGen2WAM

        return on_meta(lambda: OmniGen2WAM(self.card.architecture))

    def fill(self, model: Any, dtype: Any) -> None:
        """Fill editor, expert and proprioception from the checkpoint, the rest from its files."""
        from baselines.imagewam.omnigen2.loading import fill_model

        options = self.options
        assert options.checkpoint and options.vae and options.text_encoder
        fill_model(model, options.checkpoint, options.vae, options.text_encoder, dtype)

    def program(self, model: Any) -> Program[Any]:
        """Text, vision, (half a step of imagine,) prefill, (imagine,) act, (decode)."""
        from baselines.imagewam.omnigen2.inference import program

        return program(model, self.savings(), self.options.imagine_steps)

    def state(self, inputs: Inputs) -> State:
        """A batch for the stages, with the noise of latents and of a goal that is read."""
        from baselines.imagewam.omnigen2.noise import goal_then_action, of_latents

        state, config = super().state(inputs), self.card.architecture
        device, dtype = inputs.noise.device, inputs.proprio.dtype
        state.latent_noise = of_latents(inputs.own_seeds, config, device).to(dtype)
        if config.reads != "prefix":
            goal, action = goal_then_action(inputs.noise_seeds, config, device)
            state.target_noise, state.noise = goal.to(dtype), action.to(dtype)
        return state

    def keep_text(self, state: Any, row: int) -> Any:
        """Features of the words and of the pad that is read in the place of proprioception."""
        length = self.card.architecture.kept_text(state.lengths)[row]
        return state.text[row, :length].clone()

    def attention(self, view: View, words: Callable[[str], Sequence[str]]) -> Attention:
        """The expert's; a goal that it reads counts as an imagined frame."""
        from baselines.imagewam.reading import attention

        config = self.card.architecture
        frames = int(config.reads != "prefix")
        return attention(config, view, words, self.watch, heads=config.heads, frames=frames)

    def flops(self, text_tokens: int) -> Sequence[int]:
        """See :func:`baselines.imagewam.omnigen2.cost.flops`."""
        steps = self.options.imagine_steps
        return cost.flops(self.card.architecture, self.savings(), text_tokens, steps)

    def tokenizer(self) -> Tokenize:
        """Qwen2.5's tokenizer on the prompt, without a chat template."""
        config = self.card.architecture
        if self.options.text_encoder is None:
            return StandIn(config.text.vocabulary, PROMPT_TOKENS, config.text_length)
        folder = self.options.text_encoder
        return released(folder, config.text_length, WAM_PROMPT.format, chat=False)


def _make(name: str, preset: str, about: str, /, **options: Any) -> OmniGen2Policy:
    is_robotwin = preset == "robotwin"
    variants = wam_variants(name, Variant(policy="imagewam-omnigen2-robotwin"))
    if preset.endswith("idm"):  # with no sibling on RoboTwin
        variants = {place: one for place, one in variants.items() if place != "robotwin"}
    card = Card(
        name=name,
        about=about,
        paradigm="imagewam",
        package="baselines.imagewam",
        robot=ROBOTWIN if is_robotwin else LIBERO,
        architecture=PUBLISHED[preset],
        parameters=PARAMETERS[preset],
        replan_steps=16 if is_robotwin else 8,
        variants=variants,
    )
    return OmniGen2Policy(card, parse(OmniGen2Options, name, options))


imagewam_omnigen2 = partial(_make, "imagewam-omnigen2", "libero", f"OmniGen2 on LIBERO: {EDITS}")
imagewam_omnigen2_robotwin = partial(
    _make, "imagewam-omnigen2-robotwin", "robotwin", f"OmniGen2 on RoboTwin: {EDITS}"
)
imagewam_omnigen2_noise_idm = partial(
    _make,
    "imagewam-omnigen2-noise-idm",
    "noise-idm",
    "variant of imagewam-omnigen2 whose action also reads a goal of pure noise (noise_idm)",
)
imagewam_omnigen2_cache_idm = partial(
    _make,
    "imagewam-omnigen2-cache-idm",
    "cache-idm",
    "variant of imagewam-omnigen2 whose action also reads a half-denoised goal (cache_idm)",
)
