"""Nano presets as data: the sizes at which each paradigm is trained on a CPU.

All see two 64 px cameras in equal squares, the same words and proprioception, and predict the
same 16 actions; experts are equally wide and deep. Sizes of the backbones are chosen so that all
have the same number of parameters (within 5 %, a test counts them). As at published size, VLAs read
the pixels of a patch, and world-action models the latents of an autoencoder that is not trained
with them (:mod:`baselines.nano.codec`).

Version 1 cut a camera into 4 x 4 squares, version 2 cuts it into 8 x 8 and looks twice as often.
Weights of version 1 are still run, since those of version 2 began with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from baselines.imagewam.flux2.config import Flux2Config
from baselines.videowam.config import FastWamConfig, Mode
from baselines.vla.oft.config import LanguageConfig, OFTConfig, TowerConfig
from baselines.vla.pi0.config import Pi0Config, Vision
from wambench.contract import Frozen

SIDE = 64  # pixels of a camera's image
PATCHES = {1: 16, 2: 8}  # version -> pixels of a token
LATENT_CHANNELS = 48  # of a square, where a model predicts images: half of the models' width
WORDS = 96  # rows of the word table; LIBERO's instructions have fewer words
TEXT_LENGTH = 24  # words; LIBERO's longest instruction has 19
HORIZON = 16
REPLAN = {1: 8, 2: 4}  # version -> actions of a chunk that are executed
STEPS = 5  # of every flow
VERSION = max(PATCHES)  # that is trained; raised whenever a preset may act otherwise
SHIPPED = 1  # that is run if none is named

Goal = Literal["noise", "half_denoised"]
Kind = Literal["imagewam", "fastwam", "pi0", "oft"]


class NanoConfig(Frozen):
    """One nano policy.

    Attributes:
        kind: which family's classes.
        architecture: the family's own configuration.
        future: frames after the present one that training shows, evenly spaced up to the horizon.
        parameters: component -> number of parameters; a test counts them.
        mode: of a FastWAM.
        reads: the goal image that an ImageWAM's action reads too; None: none.
        version: files of version 1 do not tell theirs.
    """

    name: str
    about: str
    kind: Kind
    architecture: Flux2Config | FastWamConfig | Pi0Config | OFTConfig
    future: int
    parameters: Mapping[str, int]
    mode: Mode | None = None
    reads: Goal | None = None
    version: int = 1

    @property
    def patch(self) -> int:
        """Pixels of a token's side."""
        return PATCHES[self.version]

    @property
    def replan(self) -> int:
        """Actions of a chunk that are executed."""
        return REPLAN[self.version]


_WAM = {
    "action_dim": 7,
    "proprio_dim": 8,
    "horizon": HORIZON,
    "image_size": (SIDE, 2 * SIDE),
    "text_length": TEXT_LENGTH,
    "steps": STEPS,
    "action_hidden": 64,
}


def _imagewam(patch: int) -> Flux2Config:
    return Flux2Config(
        double_blocks=1,
        single_blocks=3,
        mlp_ratio=3.25,
        heads=3,
        head_dim=32,
        rope_axes=(8, 8, 8, 8),
        image_channels=LATENT_CHANNELS,
        token_pixels=patch,
        text_features=64,
        vae=None,
        **_WAM,
    )


def _fastwam(patch: int, replan: int) -> FastWamConfig:
    return FastWamConfig(
        layers=4,
        heads=3,
        head_dim=32,
        video_ffn=544,
        latent_channels=LATENT_CHANNELS,
        patch=(1, 1, 1),  # the autoencoder's squares are as large as tokens
        freq_dim=64,
        text_dim=64,
        action_ffn=256,
        replan=replan,
        video_frames=3,
        vae_spatial=patch,
        vae_temporal=1,
        **_WAM,
    )


def _pi0(patch: int) -> Pi0Config:
    return Pi0Config(
        vision=Vision(width=96, mlp=288, heads=3, layers=1, patch=patch, image=SIDE),
        layers=4,
        heads=3,
        kv_heads=3,
        head_dim=32,
        width=96,
        mlp=560,
        expert_width=64,
        expert_mlp=256,
        vocabulary=WORDS,
        action_dim=7,
        state_dim=8,
        text_length=TEXT_LENGTH,
        camera_slots=2,
        horizon=HORIZON,
        steps=STEPS,
    )


def _oft(patch: int, replan: int) -> OFTConfig:
    tower = {
        "hidden": 48,
        "mlp": 144,
        "layers": 2,
        "heads": 2,
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
    }
    return OFTConfig(
        dino=TowerConfig(prefix=(1,), **tower),
        siglip=TowerConfig(**tower),
        language=LanguageConfig(
            hidden=96, mlp=512, layers=5, heads=3, kv_heads=3, vocabulary=WORDS
        ),
        image_size=SIDE,
        patch=patch,
        cameras=2,
        proprio_dim=8,
        action_dim=7,
        horizon=HORIZON,
        replan=replan,
        text_length=TEXT_LENGTH,
    )


def _presets(version: int) -> Mapping[str, NanoConfig]:
    patch = PATCHES[version]
    square, squares = 3 * patch**2, (SIDE // patch) ** 2  # numbers of one; squares of a camera
    shared = {
        "codec": square * (1 + 2 * LATENT_CHANNELS), "words": WORDS * 64, "proprio_encoder": 576
    }  # fmt: skip
    eyes = (square + squares) * 96  # of a VLA: pixels and places to tokens
    imagewam: dict[str, Any] = {
        "kind": "imagewam",
        "architecture": _imagewam(patch),
        "parameters": {"editor": 839_744, "expert": 361_664, **shared},
        "future": 1,
        "version": version,
    }
    fastwam: dict[str, Any] = {
        "kind": "fastwam",
        "architecture": _fastwam(patch, REPLAN[version]),
        "parameters": {"video": 819_472, "action": 377_927, **shared},
        "future": 2,
        "version": version,
    }
    return {
        preset.name: preset
        for preset in (
            NanoConfig(
                name="nano-imagewam",
                about="an image editor's cache is read by an action expert",
                **imagewam,
            ),
            NanoConfig(
                name="nano-imagewam-noise-idm",
                about="an image editor's cache of a goal of pure noise is read too",
                **imagewam,
                reads="noise",
            ),
            NanoConfig(
                name="nano-imagewam-cache-idm",
                about="an image editor's cache of a half-denoised goal is read too",
                **imagewam,
                reads="half_denoised",
            ),
            NanoConfig(
                name="nano-fastwam",
                about="a video model that imagines nothing",
                **fastwam,
                mode="plain",
            ),
            NanoConfig(
                name="nano-fastwam-joint",
                about="video and action are denoised together",
                **fastwam,
                mode="joint",
            ),
            NanoConfig(
                name="nano-fastwam-idm",
                about="the video is denoised first, then the action is read off it",
                **fastwam,
                mode="idm",
            ),
            NanoConfig(
                name="nano-pi0",
                about="a flow-matching action expert reads a vision-language prefix",
                kind="pi0",
                version=version,
                architecture=_pi0(patch),
                parameters={"vla": 1_221_159 + eyes},
                future=0,
            ),
            NanoConfig(
                name="nano-oft",
                about="all actions of a chunk are regressed in one pass",
                kind="oft",
                version=version,
                architecture=_oft(patch, REPLAN[version]),
                parameters={"vla": 1_215_415 + eyes},
                future=0,
            ),
        )
    }


VERSIONS: Mapping[int, Mapping[str, NanoConfig]] = {
    version: _presets(version) for version in PATCHES
}
NANO = VERSIONS[VERSION]


def architecture_of(preset: NanoConfig) -> Any:
    """The family's configuration, for code that knows the family."""
    return preset.architecture
