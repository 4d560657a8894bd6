"""Run Ovis-U1's condition encoder on stored pictures and token ids.

Its weights stand beside the inputs or in a file of their own: no ImageWAM checkpoint holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Size, Tensor, nn

from baselines.core.build import on_meta
from baselines.core.checkpoints.layout import Layout
from baselines.core.checkpoints.loading import fill_from
from baselines.core.checkpoints.reading import read_checkpoint
from baselines.imagewam.ovis_u1.condition import Condition
from baselines.imagewam.ovis_u1.config import PRESETS, ConditionConfig, EyeConfig, LanguageConfig
from baselines.imagewam.ovis_u1.layout import condition_layout
from baselines.imagewam.packing import valid_mask
from wambench import UserError

_PARTS = {"visual.": "weights.visual.", "vte.": "weights.vte.", "llm.": "weights.llm.model."}


def config_from_json(config: Mapping[str, Any], prefix_tokens: int) -> ConditionConfig:
    """The encoder that a golden's ``config`` describes; KeyError names a field."""
    return ConditionConfig(
        eye=EyeConfig(
            patch=config["patch"],
            hidden=config["v_hidden"],
            heads=config["v_heads"],
            layers=config["v_layers"],
            inner=config["v_ffn"],
            grid=config["v_grid"],
            words=config["visual_words"],
            min_pixels=config["min_pixels"],
            max_pixels=config["max_pixels"],
        ),
        language=LanguageConfig(
            hidden=config["l_hidden"],
            mlp=config["l_ffn"],
            layers=config["l_layers"],
            heads=config["l_heads"],
            kv_heads=config["l_kv_heads"],
            head_dim=config["l_head_dim"],
            vocabulary=config["l_vocab"],
            rope_theta=config["l_theta"],
        ),
        prefix_tokens=prefix_tokens,
    )


def expected(
    shapes: Mapping[str, Size], config: Mapping[str, Any] | None
) -> tuple[Layout, nn.Module]:
    """Layout of its weights and the encoder they fill, on meta."""
    if config is None:
        raise UserError("a condition encoder needs --config, whose sizes its shapes do not tell")
    model = on_meta(lambda: Condition(config_from_json(config, 0)))
    return condition_layout(model, _PARTS), model


def replay(
    checkpoint: Path,
    inputs: Mapping[str, Tensor],
    config: Mapping[str, Any],
    family: str,
    preset: str,
) -> dict[str, Tensor]:
    """Load, run, and name the results as the golden does.

    Args:
        checkpoint: a file with ``weights.{visual,vte,llm}.*``, which may be the inputs' own.
        inputs: ``in.image`` [B, 3, H, W], ``in.prefix_ids`` [P], ``in.suffix_ids`` [B, L] and
            ``in.suffix_mask``.
        config: the golden's ``config``.
        family: ``imagewam-ovis-u1-condition``.
        preset: ``released`` or ``best-exact``.

    Returns:
        ``out.text_hidden_states`` [B, T, features], 0 at padding, ``out.text_attention_mask``,
        ``mid.inputs_embeds`` [B, T, hidden], ``mid.sI.words`` [N, words].
    """
    prefix, suffix = inputs["in.prefix_ids"], inputs["in.suffix_ids"]
    model = on_meta(lambda: Condition(config_from_json(config, len(prefix))))
    file = read_checkpoint(checkpoint)
    others = [key for key in file.tensors if not key.startswith("weights.")]
    fill_from(model, file.without(*others), condition_layout(model, _PARTS), torch.float32)

    image, size = inputs["in.image"].float(), len(suffix)
    ids = torch.cat([prefix.expand(size, -1), suffix], dim=1)
    lengths = [len(prefix) + int(count) for count in inputs["in.suffix_mask"].bool().sum(dim=1)]
    head = PRESETS[preset].language_head
    with torch.no_grad():
        words = model.words(image, by_minimum=True)
        embeds = model.embed(words, ids)
        features = model(image, ids, lengths, by_minimum=True, language_head=head)
    extra = features.shape[1] - ids.shape[1]
    valid = valid_mask([length + extra for length in lengths], features.shape[1], features.device)
    if valid is None:
        valid = torch.ones(features.shape[:2], dtype=torch.bool)
    return {
        "out.text_hidden_states": features * valid[..., None],
        "out.text_attention_mask": valid,
        "mid.inputs_embeds": embeds,
        **{f"mid.s{row}.words": words[row] for row in range(size)},
    }
