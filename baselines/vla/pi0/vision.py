"""SigLIP and the projector into the language model, over transformers' parameters."""

from __future__ import annotations

from torch import Tensor

from baselines.core.attention import attend
from baselines.vla.pi0.gemma import Part


def image_tokens(vlm: Part, images: Tensor) -> Tensor:
    """Tokens of images, in the width of the language model.

    Unlike text embeddings they are not multiplied by ``sqrt(width)``: PaliGemma divides them by it
    before Gemma multiplies, and the reference codes leave out both.

    Args:
        vlm: a ``PaliGemmaModel``.
        images: [N, 3, H, W] in [-1, 1], any float dtype.

    Returns:
        [N, tokens, width] in the dtype of the parameters.
    """
    return vlm.multi_modal_projector(encoded(vlm.vision_tower, images))


def encoded(tower: Part, images: Tensor) -> Tensor:
    """Normed output [N, patches, width] of a SigLIP, in the dtype of the parameters.

    Args:
        tower: a vision transformer of transformers, whose positions are those of whole images.
        images: [N, 3, H, W] in [-1, 1], any float dtype.
    """
    patches, table = tower.embeddings.patch_embedding, tower.embeddings.position_embedding.weight
    x = patches(images.to(table.dtype)).flatten(2).transpose(1, 2) + table
    for layer in tower.encoder.layers:
        x = x + _attention(layer.self_attn, layer.layer_norm1(x))
        x = x + layer.mlp(layer.layer_norm2(x))
    return tower.post_layernorm(x)


def _attention(part: Part, x: Tensor) -> Tensor:
    q, k, v = (
        projection(x).unflatten(-1, (-1, part.head_dim))
        for projection in (part.q_proj, part.k_proj, part.v_proj)
    )
    return part.out_proj(attend(q, k, v).flatten(2))
