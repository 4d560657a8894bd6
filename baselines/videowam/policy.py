"""FastWAM as policies: plain, joint and idm, for LIBERO and RoboTwin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PositiveInt

from baselines.core.card import Card, wam_variants
from baselines.core.labels import View
from baselines.core.options import WamOptions, parse
from baselines.core.policy import LearnedPolicy
from baselines.core.robots import LIBERO, ROBOTWIN_LARGE
from baselines.core.tokens import WAM_PROMPT, StandIn, Tokenize, released
from baselines.videowam import cost
from baselines.videowam.config import OPTIONS, PARAMETERS, PRESETS, Mode, Options
from wambench import UserError
from wambench.inference import Variant

if TYPE_CHECKING:
    from torch import Tensor, nn

    from baselines.core.inputs import Inputs
    from wambench.attention import Attention
    from wambench.inference import Program

PROMPT_TOKENS = 16  # of the prompt around an instruction, for the stand-in tokenizer

IMAGINING: Mapping[str, tuple[Mode, ...]] = {
    "video_steps": ("idm",),
    "video_frames": ("joint", "idm"),
}
"""Options that only some modes have a use for."""


class FastWamOptions(WamOptions):
    """Files of a FastWAM and what it imagines.

    Its text's padding is visible to the model, so another ``text_length`` changes the actions.
    """

    SIZES: ClassVar[Mapping[str, str]] = {
        **WamOptions.SIZES,
        "video_steps": "video_steps",
        "video_frames": "video_frames",
    }

    vae: Path | None = Field(default=None, description="diffusers folder of Wan2.2's VAE")
    text_encoder: Path | None = Field(
        default=None, description="transformers folder of UMT5-XXL's encoder and tokenizer"
    )
    video_steps: PositiveInt | None = Field(
        default=None, description="flow steps of the clip (idm only); null: as many as the action's"
    )
    video_frames: PositiveInt | None = Field(
        default=None,
        description="frames of the clip, the current one first (joint and idm only); null: as "
        "released",
    )


class FastWamPolicy(LearnedPolicy):
    """One published FastWAM in one mode."""

    options: FastWamOptions

    def __init__(self, card: Card, options: FastWamOptions, mode: Mode) -> None:
        for option, modes in IMAGINING.items():
            if getattr(options, option) is not None and mode not in modes:
                raise UserError(
                    f"policy {card.name!r} is {mode} and has no use for {option} "
                    f"{getattr(options, option)}; leave it out, or use {' or '.join(modes)}"
                )
        super().__init__(card, options)
        self.mode = mode

    def savings(self) -> Options:
        """What the preset computes beyond need."""
        return OPTIONS[self.options.preset]

    def files(self) -> Mapping[str, tuple[Path | None, str]]:
        """Checkpoint, autoencoder, text encoder."""
        options = self.options
        return {
            "checkpoint": (options.checkpoint, "the .pt of the FastWAM release"),
            "vae": (options.vae, "the vae folder of Wan2.2-TI2V-5B-Diffusers"),
            "text_encoder": (options.text_encoder, "a folder with UMT5-XXL and its tokenizer"),
        }

    def build(self) -> nn.Module:
        """Make the model, without memory."""
        from baselines.core.build import on_meta
        from baselines.videowam.modules import make_model

        return on_meta(lambda: make_model(self.card.architecture))

    def fill(self, model: Any, dtype: Any) -> None:
        """Fill both experts from the checkpoint, the rest from its files."""
        from baselines.videowam.loading import fill_model

        options = self.options
        assert options.checkpoint and options.vae and options.text_encoder
        fill_model(model, options.checkpoint, options.vae, options.text_encoder, dtype)

    def program(self, model: Any) -> Program[Any]:
        """The mode's stages."""
        from baselines.videowam.modes import PROGRAMS

        return PROGRAMS[self.mode](model, self.savings())

    def state(self, inputs: Inputs) -> Any:
        """A batch for the stages; video and action noise come from equal seeds, as released."""
        import torch

        from baselines.core.inputs import batch_noise, signed
        from baselines.videowam.state import State

        dtype, device = inputs.proprio.dtype, inputs.proprio.device
        clip = self.card.architecture.latent_shape
        position = torch.arange(inputs.token_ids.shape[1], device=device)[None]
        return State(
            proprio=inputs.proprio,
            noise_action=inputs.noise.to(dtype),
            noise_video=batch_noise(inputs.noise_seeds, clip, device).to(dtype),
            image=signed(inputs.picture, dtype),
            text_ids=inputs.token_ids,
            text_valid=position < torch.tensor(inputs.lengths, device=device)[:, None],
        )

    def keep_text(self, state: Any, row: int) -> Any:
        """Features with their zeroed padding, which the model reads."""
        return state.text[row].clone()

    def reuse_text(self, state: Any, kept: Sequence[Any]) -> None:
        """All are of one length."""
        import torch

        state.text = torch.stack(list(kept))

    def cache(self, state: Any) -> Sequence[Tensor]:
        """The video's keys and values, and those of text and first frame where they are kept."""
        return state.kept()

    def view(self) -> View:
        """Tokens of the picture of all cameras."""
        return self.card.robot.view(self.card.architecture.token_grid)

    def attention(self, view: View, words: Callable[[str], Sequence[str]]) -> Attention:
        """The action expert's."""
        from baselines.videowam.reading import attention

        return attention(self.card.architecture, self.mode, view, words, self.watch)

    def flops(self, text_tokens: int) -> Sequence[int]:
        """See :func:`baselines.videowam.cost.flops`."""
        return cost.flops(self.card.architecture, self.savings(), self.mode)

    def tokenizer(self) -> Tokenize:
        """UMT5's tokenizer on the prompt."""
        config = self.card.architecture
        if self.options.text_encoder is None:
            return StandIn(config.text_encoder.vocab, PROMPT_TOKENS, config.text_length)
        return released(
            self.options.text_encoder, config.text_length, WAM_PROMPT.format, chat=False
        )


def _make(name: str, preset: str, mode: Mode, about: str, /, **options: Any) -> FastWamPolicy:
    card = Card(
        name=name,
        about=about,
        paradigm="videowam",
        package="baselines.videowam",
        robot=LIBERO if preset == "libero" else ROBOTWIN_LARGE,
        architecture=PRESETS[preset],
        parameters=PARAMETERS[preset],
        replan_steps=PRESETS[preset].replan,
        variants=wam_variants(name, Variant(policy=f"{name.removesuffix('-robotwin')}-robotwin")),
    )
    return FastWamPolicy(card, parse(FastWamOptions, name, options), mode)


_PLAIN = "no imagination: the action reads the current frame alone"
_JOINT = "video and action are denoised together"
_IDM = "the video is denoised first, then the action is read off it"
fastwam = partial(_make, "fastwam", "libero", "plain", f"Wan2.2 5B on LIBERO, {_PLAIN}")
fastwam_joint = partial(_make, "fastwam-joint", "libero", "joint", f"Wan2.2 5B on LIBERO, {_JOINT}")
fastwam_idm = partial(_make, "fastwam-idm", "libero", "idm", f"Wan2.2 5B on LIBERO, {_IDM}")
fastwam_robotwin = partial(
    _make, "fastwam-robotwin", "robotwin", "plain", f"Wan2.2 5B on RoboTwin, {_PLAIN}"
)
fastwam_joint_robotwin = partial(
    _make, "fastwam-joint-robotwin", "robotwin", "joint", f"Wan2.2 5B on RoboTwin, {_JOINT}"
)
fastwam_idm_robotwin = partial(
    _make, "fastwam-idm-robotwin", "robotwin", "idm", f"Wan2.2 5B on RoboTwin, {_IDM}"
)
