"""The layout of FastWAM's released checkpoints: their names beside those of diffusers."""

from __future__ import annotations

from baselines.core.checkpoints.layout import Entry, Layout
from baselines.videowam.config import FastWamConfig

_BOTH = {
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
}
_VIDEO = _BOTH | {"patch_embedding": "patch_embedding", "head.head": "proj_out"}
_ACTION = _BOTH | {"action_encoder": "action_encoder", "head": "head"}

# Their norm3 sits before the cross-attention, where diffusers counts it as the second.
_BLOCK = {"norm3": "norm2", "ffn.0": "ffn.net.0.proj", "ffn.2": "ffn.net.2"}
_ATTENTIONS = {"self_attn": "attn1", "cross_attn": "attn2"}
_PROJECTIONS = {"q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0"}
_NORMS = ("norm_q", "norm_k")

FILE_ROOT = "mot.mixtures"


def layout(config: FastWamConfig) -> Layout:
    """Every tensor of a checkpoint; plain, joint and idm do not differ.

    VAE and text encoder are not in it.
    """
    entries = [
        *_linear("proprio_encoder", "proprio_encoder"),
        Entry(f"{FILE_ROOT}.video.head.modulation", ("video.scale_shift_table",)),
    ]
    for expert, names in (("video", _VIDEO), ("action", _ACTION)):
        root = f"{FILE_ROOT}.{expert}"
        for theirs, ours in names.items():
            entries += _linear(f"{root}.{theirs}", f"{expert}.{ours}")
        for layer in range(config.layers):
            entries += _block(f"{root}.blocks.{layer}", f"{expert}.blocks.{layer}")
    return tuple(entries)


def _linear(theirs: str, ours: str) -> list[Entry]:
    return [Entry(f"{theirs}.{part}", (f"{ours}.{part}",)) for part in ("weight", "bias")]


def _block(theirs: str, ours: str) -> list[Entry]:
    entries = [Entry(f"{theirs}.modulation", (f"{ours}.scale_shift_table",))]
    for name, own in _BLOCK.items():
        entries += _linear(f"{theirs}.{name}", f"{ours}.{own}")
    for name, own in _ATTENTIONS.items():
        for projection, own_projection in _PROJECTIONS.items():
            entries += _linear(f"{theirs}.{name}.{projection}", f"{ours}.{own}.{own_projection}")
        entries += [
            Entry(f"{theirs}.{name}.{norm}.weight", (f"{ours}.{own}.{norm}.weight",))
            for norm in _NORMS
        ]
    return entries
