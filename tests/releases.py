"""Tiny releases on disk, in every file format of the real ones, for tests of the whole policy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from baselines.core.checkpoints.folders import identity
from baselines.core.checkpoints.layout import Layout
from baselines.core.checkpoints.mapping import to_file
from baselines.core.checkpoints.writing import write_released, write_safetensors
from baselines.core.policy import Card, LearnedPolicy
from baselines.core.robots import LIBERO, LIBERO_LEROBOT, LIBERO_OFT, LIBERO_OPENPI
from baselines.imagewam.flux2.config import Flux2Config, TextConfig
from baselines.imagewam.flux2.config import VaeConfig as Flux2Vae
from baselines.imagewam.flux2.layout import layout as imagewam_layout
from baselines.imagewam.flux2.model import Flux2WAM
from baselines.imagewam.flux2.policy import Flux2Options, Flux2Policy
from baselines.imagewam.flux2.vae_layout import vae_layout
from baselines.imagewam.omnigen2.config import OmniGen2Config
from baselines.imagewam.omnigen2.config import TextConfig as QwenConfig
from baselines.imagewam.omnigen2.config import VaeConfig as Flux1Vae
from baselines.imagewam.omnigen2.layout import layout as omnigen2_layout
from baselines.imagewam.omnigen2.model import OmniGen2WAM
from baselines.imagewam.omnigen2.policy import OmniGen2Options, OmniGen2Policy
from baselines.imagewam.ovis_u1.config import ConditionConfig, EyeConfig, OvisU1Config
from baselines.imagewam.ovis_u1.config import LanguageConfig as OvisLanguage
from baselines.imagewam.ovis_u1.config import VaeConfig as OvisVae
from baselines.imagewam.ovis_u1.layout import condition_layout
from baselines.imagewam.ovis_u1.layout import layout as ovis_layout
from baselines.imagewam.ovis_u1.loading import PARTS as OVIS_PARTS
from baselines.imagewam.ovis_u1.model import OvisU1WAM
from baselines.imagewam.ovis_u1.policy import OvisU1Options, OvisU1Policy
from baselines.videowam.config import FastWamConfig, TextEncoderConfig
from baselines.videowam.config import VaeConfig as WanVae
from baselines.videowam.layout import layout as fastwam_layout
from baselines.videowam.modules import make_model
from baselines.videowam.policy import FastWamOptions, FastWamPolicy
from baselines.vla.oft.config import LanguageConfig, OFTConfig, TowerConfig
from baselines.vla.oft.layout import layout as oft_layout
from baselines.vla.oft.model import OFT
from baselines.vla.oft.policy import OftOptions, OftPolicy
from baselines.vla.pi0.config import Pi0Config, Vision
from baselines.vla.pi0.layout import published_layout
from baselines.vla.pi0.modules import build
from baselines.vla.pi0.policy import Pi0Options, Pi0Policy
from baselines.vla.smolvla.config import SmolVLAConfig
from baselines.vla.smolvla.config import Vision as SmolVision
from baselines.vla.smolvla.layout import published_layout as smolvla_layout
from baselines.vla.smolvla.modules import SmolVLA
from baselines.vla.smolvla.policy import SmolVLAOptions, SmolVLAPolicy
from tests.golden_data import randomised
from wambench import Observation

WORDS = [
    "<unk>",
    "<s>",
    "</s>",
    "pick",
    "up",
    "the",
    "black",
    "bowl",
    "and",
    "place",
    "it",
    "stove",
]
SIDE = 28  # pixels of a camera's image; OFT and pi0 cut it into 14-pixel patches
IMAGEWAM = Flux2Config(
    double_blocks=1, single_blocks=2, heads=2, head_dim=16, rope_axes=(4, 4, 4, 4),
    image_channels=16, text_features=24, action_hidden=24, action_dim=7, proprio_dim=8, horizon=6,
    image_size=(32, 64), text_length=40, steps=3,
    vae=Flux2Vae(channels=(32, 32, 32, 32), layers_per_block=1, latent_channels=4),
    text=TextConfig(
        hidden=8, mlp=16, layers=4, heads=2, kv_heads=1, head_dim=8, vocabulary=64,
        tied_embeddings=False, read_layers=(1, 2, 3),
    ),
)  # fmt: skip
OVIS_U1 = OvisU1Config(
    double_blocks=1, single_blocks=2, heads=2, head_dim=16, rope_axes=(4, 6, 6), refiner_heads=4,
    action_hidden=32, text_features=24, action_dim=7, proprio_dim=8, horizon=6,
    image_size=(32, 64), text_length=40, steps=3,
    vae=OvisVae(channels=(16, 16, 16, 16), layers_per_block=1, norm_groups=8),
    condition=ConditionConfig(
        eye=EyeConfig(
            patch=4, hidden=16, heads=2, layers=2, inner=24, grid=4, words=40, min_pixels=2500
        ),
        language=OvisLanguage(
            hidden=12, mlp=16, layers=3, heads=2, kv_heads=1, head_dim=8, vocabulary=64
        ),
        prefix_tokens=4,
    ),
)  # fmt: skip
OMNIGEN2 = OmniGen2Config(
    layers=2, refiners=1, hidden=24, heads=4, kv_heads=2, head_dim=6, rope_axes=(2, 2, 2),
    mlp_multiple=16, text_features=12, image_channels=16, action_hidden=20, action_dim=7,
    proprio_dim=8, horizon=6, image_size=(32, 64), text_length=40, steps=3,
    vae=Flux1Vae(channels=(16, 16, 16, 16), layers_per_block=1, latent_channels=4, norm_groups=8),
    text=QwenConfig(hidden=12, mlp=24, layers=2, heads=2, kv_heads=1, vocabulary=64, pad_token=3),
)  # fmt: skip
FASTWAM = FastWamConfig(
    layers=2, heads=2, head_dim=16, video_ffn=48, latent_channels=4, freq_dim=16, text_dim=24,
    action_hidden=24, action_ffn=32, action_dim=7, proprio_dim=8, horizon=6, replan=3, steps=3,
    image_size=(32, 64), video_frames=9, text_length=40,
    vae=WanVae(
        base_dim=8, decoder_base_dim=8, latents_mean=(0.1,) * 4, latents_std=(1.5,) * 4,
    ),
    text_encoder=TextEncoderConfig(vocab=64, ffn=16, heads=2, head_dim=8, layers=2),
)  # fmt: skip
PI0 = Pi0Config(
    vision=Vision(width=16, mlp=24, layers=2, heads=2, image=SIDE), layers=2, heads=2,
    kv_heads=1, head_dim=8, width=16, mlp=24, expert_width=16, expert_mlp=24, vocabulary=64,
    text_length=40, horizon=6, steps=3,
)  # fmt: skip
SMOLVLA = SmolVLAConfig(
    vision=SmolVision(width=16, mlp=24, layers=2, heads=2, patch=4, image=32, shuffle=2),
    layers=4, heads=4, kv_heads=2, head_dim=8, width=16, mlp=24, expert_width=12, expert_mlp=20,
    vocabulary=64, text_length=40, horizon=6, steps=3,
)  # fmt: skip
OFT_TINY = OFTConfig(
    dino=TowerConfig(
        hidden=16, mlp=32, layers=2, heads=2, prefix=(1, 4), mean=(0.4,) * 3, std=(0.2,) * 3
    ),
    siglip=TowerConfig(hidden=16, mlp=24, layers=2, heads=2, mean=(0.5,) * 3, std=(0.5,) * 3),
    language=LanguageConfig(
        hidden=16, mlp=24, layers=2, heads=2, kv_heads=2, vocabulary=29900
    ),
    image_size=SIDE, cameras=2, proprio_dim=8, action_dim=7, horizon=6, replan=6, text_length=40,
)  # fmt: skip


@dataclass(frozen=True)
class Release:
    """A tiny policy, its files in ``options``, and the model that wrote them."""

    card: Card
    kind: type[LearnedPolicy]
    options_kind: type[Any]
    options: Mapping[str, Any]
    model: nn.Module
    extra: tuple[Any, ...] = ()

    def policy(self, **changes: Any) -> Any:
        options = {"dtype": "float32", "device": "cpu", **self.options, **changes}
        return self.kind(self.card, self.options_kind(**options), *self.extra)


def release(family: str, folder: Path) -> Release:
    """Write one family's release into ``folder``."""
    return MAKERS[family](folder)


def observation(seed: int, instruction: str, size: int) -> Observation:
    """What a LIBERO simulator would show, in noise."""
    random = np.random.default_rng(seed)
    images = {c: random.integers(0, 256, (size, size, 3), np.uint8) for c in LIBERO.cameras}
    proprio = {"eef_pos": 3, "eef_axis_angle": 3, "gripper_qpos": 2}
    return Observation(
        episode=f"e{seed}",
        step=0,
        instruction=instruction,
        noise_seed=seed,
        images=images,
        proprio={name: random.normal(size=dim) for name, dim in proprio.items()},
    )


def _card(name: str, architecture: Any, package: str, side: int, robot: Any = LIBERO) -> Card:
    return Card(
        name=name, about="tiny", paradigm="tiny", package=package,
        robot=replace(robot, image_size=(side, side)), architecture=architecture, parameters={},
        replan_steps=3,
    )  # fmt: skip


def _imagewam(folder: Path) -> Release:
    model = randomised(Flux2WAM(IMAGEWAM), seed=1)
    _released(folder, model.trained(), imagewam_layout(IMAGEWAM))
    vae = to_file(model.image_encoder.state_dict(), vae_layout(IMAGEWAM.vae, ours="vae."))
    write_safetensors(folder / "ae.safetensors", vae, {})
    _transformers(folder / "qwen3", model.text_encoder, chat=True)
    options = {"checkpoint": folder / "model.pt", "vae": folder / "ae.safetensors",
               "text_encoder": folder / "qwen3"}  # fmt: skip
    card = _card("imagewam-4b", IMAGEWAM, "baselines.imagewam", 32)
    return Release(card, Flux2Policy, Flux2Options, options, model)


def _ovis_u1(folder: Path) -> Release:
    model = randomised(OvisU1WAM(OVIS_U1), seed=5)
    _released(folder, model.trained(), ovis_layout(OVIS_U1))
    _diffusers(folder / "vae", model.image_encoder.vae)
    _tokenizer(folder / "ovis-u1", chat=False)
    names = condition_layout(model.text_encoder, OVIS_PARTS)
    tensors = to_file(model.text_encoder.state_dict(), names)
    tensors["llm.lm_head.weight"] = tensors["llm.model.embed_tokens.weight"]
    tensors["visual_generator.some.weight"] = torch.ones(3)  # Yak as Ovis-U1 was released
    write_safetensors(folder / "ovis-u1" / "model.safetensors", tensors, {})
    options = {"checkpoint": folder / "model.pt", "vae": folder / "vae",
               "text_encoder": folder / "ovis-u1"}  # fmt: skip
    card = _card("imagewam-ovis-u1", OVIS_U1, "baselines.imagewam", 32)
    return Release(card, OvisU1Policy, OvisU1Options, options, model)


def _omnigen2(folder: Path) -> Release:
    model = randomised(OmniGen2WAM(OMNIGEN2), seed=6)
    _released(folder, model.trained(), omnigen2_layout(OMNIGEN2))
    _diffusers(folder / "vae", model.image_encoder.vae)
    _transformers(folder / "qwen", model.text_encoder)
    options = {"checkpoint": folder / "model.pt", "vae": folder / "vae",
               "text_encoder": folder / "qwen"}  # fmt: skip
    card = _card("imagewam-omnigen2", OMNIGEN2, "baselines.imagewam", 32)
    return Release(card, OmniGen2Policy, OmniGen2Options, options, model)


def _fastwam(folder: Path) -> Release:
    model = randomised(make_model(FASTWAM), seed=2)
    _released(folder, model.trained(), fastwam_layout(FASTWAM))
    _transformers(folder / "umt5", model.text_encoder, drop="encoder.embed_tokens.weight")
    _diffusers(folder / "vae", model.vae)
    options = {"checkpoint": folder / "model.pt", "vae": folder / "vae",
               "text_encoder": folder / "umt5"}  # fmt: skip
    card = _card("fastwam", FASTWAM, "baselines.videowam", 32)
    return Release(card, FastWamPolicy, FastWamOptions, options, model, ("idm",))


def _pi0(folder: Path) -> Release:
    model = randomised(build(PI0), seed=3)
    tensors = to_file(model.state_dict(), published_layout(PI0))
    write_safetensors(folder / "model.safetensors", tensors, {})
    _tokenizer(folder / "tokenizer", chat=False)
    fields = {name: _numbers(32, seed) for seed, name in enumerate(("mean", "std", "q01", "q99"))}
    stats = {"norm_stats": {"state": fields, "actions": fields}}
    (folder / "norm_stats.json").write_text(json.dumps(stats))
    options = {"checkpoint": folder / "model.safetensors", "tokenizer": folder / "tokenizer",
               "statistics": folder / "norm_stats.json"}  # fmt: skip
    card = _card("pi0", PI0, "baselines.vla", SIDE, LIBERO_OPENPI)
    return Release(card, Pi0Policy, Pi0Options, options, model)


def _smolvla(folder: Path) -> Release:
    model = randomised(SmolVLA(SMOLVLA), seed=7)
    tensors = to_file(model.state_dict(), smolvla_layout(SMOLVLA))
    write_safetensors(folder / "model.safetensors", tensors, {})
    _tokenizer(folder / "tokenizer", chat=False)
    parts = {"observation.state": 8, "action": 7}
    stats = {
        f"{part}.{name}": torch.tensor(_numbers(dims, seed))
        for part, dims in parts.items() for seed, name in enumerate(("mean", "std"))
    }  # fmt: skip
    write_safetensors(folder / "statistics.safetensors", stats, {})
    options = {
        "checkpoint": folder / "model.safetensors",
        "statistics": folder / "statistics.safetensors",
        "tokenizer": folder / "tokenizer",
    }
    card = _card("smolvla", SMOLVLA, "baselines.vla", SIDE, LIBERO_LEROBOT)
    return Release(card, SmolVLAPolicy, SmolVLAOptions, options, model)


def _oft(folder: Path) -> Release:
    model = randomised(OFT(OFT_TINY), seed=4)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in to_file(model.state_dict(), oft_layout(OFT_TINY)).items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor.clone()
    _tokenizer(folder, chat=False)
    write_safetensors(folder / "model.safetensors", parts.pop("vla"), {})
    for part, tensors in parts.items():  # as DDP saves them
        tensors = {f"module.{name}": tensor for name, tensor in tensors.items()}
        torch.save(tensors, folder / f"{part}--1000_checkpoint.pt")
    fields = {name: _numbers(7, seed) for seed, name in enumerate(("mean", "std", "q01", "q99"))}
    proprio = {name: _numbers(8, seed) for seed, name in enumerate(("mean", "std", "q01", "q99"))}
    stats = {"libero": {"action": fields | {"mask": [True] * 6 + [False]}, "proprio": proprio}}
    (folder / "dataset_statistics.json").write_text(json.dumps(stats))
    card = _card("openvla-oft", OFT_TINY, "baselines.vla", SIDE, LIBERO_OFT)
    return Release(card, OftPolicy, OftOptions, {"checkpoint": folder}, model)


MAKERS = {
    "imagewam": _imagewam,
    "omnigen2": _omnigen2,
    "ovis_u1": _ovis_u1,
    "fastwam": _fastwam,
    "pi0": _pi0,
    "smolvla": _smolvla,
    "oft": _oft,
}


def _numbers(count: int, seed: int) -> list[float]:
    """Statistics that are in order: mean 0, 1; std 2; q01 -1.5; q99 1.5, each a little uneven."""
    base = (0.1, 2.0, -1.5, 1.5)[seed]
    return [base * (1 + 0.01 * index) for index in range(count)]


def _released(folder: Path, model: nn.Module, layout: Layout) -> None:
    write_released(folder / "model.pt", model.state_dict(), layout, 7, torch.float32)
    fields = {"min": -1.5, "max": 1.5, "mean": 0.1, "std": 2.0, "q01": -1.4, "q99": 1.4}

    def group(dims: int) -> dict[str, Any]:
        return {"default": {f"global_{name}": [value] * dims for name, value in fields.items()}}

    stats = {"state": group(8), "action": group(7), "num_episodes": 1, "num_transition": 1}
    (folder / "dataset_stats.json").write_text(json.dumps(stats))


def _transformers(folder: Path, model: nn.Module, *, chat: bool = False, drop: str = "") -> None:
    _tokenizer(folder, chat=chat)
    tensors = to_file(model.state_dict(), identity(model))
    tensors.pop(drop, None)
    write_safetensors(folder / "model.safetensors", tensors, {})


def _diffusers(folder: Path, model: nn.Module) -> None:
    folder.mkdir()
    write_safetensors(folder / "diffusion_pytorch_model.safetensors", model.state_dict(), {})


def _tokenizer(folder: Path, *, chat: bool) -> None:
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", pad_token="</s>")
    if chat:
        tokenizer.chat_template = (
            "{% for turn in messages %}{{ turn.content }} {% endfor %}"
            "{% if add_generation_prompt and not enable_thinking %}now{% endif %}"
        )
    folder.mkdir(exist_ok=True)
    tokenizer.save_pretrained(folder)
