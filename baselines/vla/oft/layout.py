"""The released files as data.

A release is one folder: the merged OpenVLA as safetensors, and two files with the action head and
the projector of proprioception, whose keys begin with ``module.`` (they were saved under DDP),
which the reader takes off. Together they are taken as ``{"vla": ..., "action_head": ...,
"proprio_projector": ...}`` without the tensors of :func:`unread`; nothing here merges them.

Keys and shapes of the towers equal those of timm 0.9.16's ``vit_large_patch14_reg4_dinov2`` and
``vit_so400m_patch14_siglip_224``, and with :func:`unread` the towers, the projector and Llama have
as many numbers as the release says. No released file was at hand.
"""

from __future__ import annotations

from collections.abc import Iterator

from baselines.core.checkpoints.layout import Entry, Layout
from baselines.vla.oft.config import OFTConfig, TowerConfig

Shape = tuple[int, ...]
_AFFINE = ("weight", "bias")
_QKV = ("q_proj", "k_proj", "v_proj")

# timm's name of a block's part -> ours, after transformers.
_DINO = {
    "norm1": "norm1",
    "attn.proj": "attention.o_proj",
    "norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_SIGLIP = {
    "norm1": "layer_norm1",
    "attn.proj": "self_attn.out_proj",
    "norm2": "layer_norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
# OpenVLA renames timm's ``gamma``, which transformers would rename when it loads.
_DINO_SCALES = {
    "ls1.scale_factor": "layer_scale1.lambda1",
    "ls2.scale_factor": "layer_scale2.lambda1",
}


def layout(config: OFTConfig) -> Layout:
    """Every tensor of a release; :func:`unread` names those that the model has no use for."""
    return (
        *_dino(config.dino),
        *_siglip(config.siglip),
        *_same("vla.projector", "projector", [f"fc{i}.{a}" for i in (1, 2, 3) for a in _AFFINE]),
        *_language(config),
        *_same("action_head.model", "action_head", _head_names(config)),
        *_same(
            "proprio_projector",
            "proprio_projector",
            [f"fc{i}.{a}" for i in (1, 2) for a in _AFFINE],
        ),
        *(Entry(key, unread=True) for key in unread(config)),
    )


def unread(config: OFTConfig) -> dict[str, Shape]:
    """Tensors of a release that no forward pass reads and no module here holds, with shapes.

    They are the towers' last norms and SigLIP's attention pooling.
    """
    dino, siglip = "vla.vision_backbone.featurizer", "vla.vision_backbone.fused_featurizer"
    hidden, mlp = config.siglip.hidden, config.siglip.mlp
    shapes: dict[str, Shape] = {f"{dino}.norm.{a}": (config.dino.hidden,) for a in _AFFINE}
    shapes |= {f"{siglip}.norm.{a}": (hidden,) for a in _AFFINE}
    shapes[f"{siglip}.attn_pool.latent"] = (1, 1, hidden)
    shapes |= {f"{siglip}.attn_pool.norm.{a}": (hidden,) for a in _AFFINE}
    linears = {
        "q": (hidden, hidden),
        "kv": (2 * hidden, hidden),
        "proj": (hidden, hidden),
        "mlp.fc1": (mlp, hidden),
        "mlp.fc2": (hidden, mlp),
    }
    for name, (rows, columns) in linears.items():
        shapes[f"{siglip}.attn_pool.{name}.weight"] = (rows, columns)
        shapes[f"{siglip}.attn_pool.{name}.bias"] = (rows,)
    return shapes


def _same(file: str, model: str, names: list[str]) -> Iterator[Entry]:
    return (Entry(f"{file}.{name}", (f"{model}.{name}",)) for name in names)


def _dino(config: TowerConfig) -> Iterator[Entry]:
    file = "vla.vision_backbone.featurizer"
    yield Entry(f"{file}.cls_token", ("dino.prefix.0",))
    yield Entry(f"{file}.reg_token", ("dino.prefix.1",))
    yield from _tower(file, "dino", config.layers, "attention", _DINO)
    for i in range(config.layers):
        for theirs, ours in _DINO_SCALES.items():
            yield Entry(f"{file}.blocks.{i}.{theirs}", (f"dino.blocks.{i}.{ours}",))


def _siglip(config: TowerConfig) -> Iterator[Entry]:
    file = "vla.vision_backbone.fused_featurizer"
    return _tower(file, "siglip", config.layers, "self_attn", _SIGLIP)


def _tower(
    file: str, model: str, layers: int, attention: str, parts: dict[str, str]
) -> Iterator[Entry]:
    yield Entry(f"{file}.pos_embed", (f"{model}.positions",))
    for a in _AFFINE:
        yield Entry(f"{file}.patch_embed.proj.{a}", (f"{model}.patches.{a}",))
        for i in range(layers):
            block = f"{model}.blocks.{i}"
            fused = tuple(f"{block}.{attention}.{name}.{a}" for name in _QKV)
            yield Entry(f"{file}.blocks.{i}.attn.qkv.{a}", fused)
            for theirs, ours in parts.items():
                yield Entry(f"{file}.blocks.{i}.{theirs}.{a}", (f"{block}.{ours}.{a}",))


def _language(config: OFTConfig) -> Iterator[Entry]:
    parts = [f"self_attn.{name}" for name in (*_QKV, "o_proj")]
    parts += [f"mlp.{name}" for name in ("gate_proj", "up_proj", "down_proj")]
    parts += ["input_layernorm", "post_attention_layernorm"]
    names = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"]
    for i in range(config.language.layers):
        names += [f"model.layers.{i}.{part}.weight" for part in parts]
    return _same("vla.language_model", "language_model", names)


def _head_names(config: OFTConfig) -> list[str]:
    parts = ["layer_norm1", "fc1", "layer_norm2", "fc2"]
    for i in range(config.head_blocks):
        parts += [f"mlp_resnet_blocks.{i}.ffn.{j}" for j in (0, 1)]
    return [f"{part}.{a}" for part in parts for a in _AFFINE]
