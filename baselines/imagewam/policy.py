"""What the policies of all editors share; each editor's package makes its own of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from baselines.core.labels import View
from baselines.core.options import WamOptions
from baselines.core.policy import LearnedPolicy

if TYPE_CHECKING:
    from torch import Tensor

    from baselines.core.inputs import Inputs
    from baselines.imagewam.model import State
    from wambench.attention import Attention
    from wambench.inference import Program


class ImageWAMOptions(WamOptions):
    """Files of an ImageWAM and how often it imagines."""

    vae: Path | None = Field(default=None, description="the image editor's autoencoder")
    text_encoder: Path | None = Field(
        default=None, description="folder with the text encoder's weights and tokenizer"
    )
    imagine_steps: int = Field(
        default=0, ge=0, description="denoise and decode the goal image; the action ignores it"
    )


EDITS = "one prefill of an image editor; the action expert reads its cache"


class SampledOptions(ImageWAMOptions):
    """Of an editor whose autoencoder samples its latents."""

    SIZES: ClassVar[Mapping[str, str]] = {**ImageWAMOptions.SIZES, "latents": "latents"}

    latents: Literal["sampled", "mean"] | None = Field(
        default=None,
        description="of the current image. sampled: as released, with noise of the cell's own "
        "(the released code draws it from torch's global generator); mean: without; null: sampled",
    )


class ImageWAMPolicy(LearnedPolicy):
    """One published ImageWAM. An editor adds ``files, build, fill, flops, tokenizer``.

    ``presets``: name -> what it computes beyond need.
    """

    options: ImageWAMOptions
    presets: ClassVar[Mapping[str, Any]]

    def savings(self) -> Any:
        """What the preset computes beyond need."""
        return self.presets[self.options.preset]

    def program(self, model: Any) -> Program[Any]:
        """Text, vision, prefill, (imagine,) act, (decode)."""
        from baselines.imagewam.inference import program

        return program(model, self.savings(), self.options.imagine_steps)

    def state(self, inputs: Inputs) -> State:
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

        config = self.card.architecture
        return attention(config, view, words, self.watch, heads=config.heads)
