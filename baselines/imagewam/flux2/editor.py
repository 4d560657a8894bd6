"""The image editor: diffusers' FLUX.2 transformer, run so that its keys and values can be read.

The blocks are diffusers' own; the attention processors here replace theirs, because they must
write the cache, take a mask per sample and turn queries and keys exactly as the released code does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from torch import Tensor, nn

from baselines.core.attention import KV, KVCache, attend
from baselines.core.flow import TRAIN_TIMESTEPS, timestep_embedding
from baselines.core.rotary import rotary_table, rotate_pairs
from baselines.imagewam.config import TIME_CHANNELS
from baselines.imagewam.flux2.config import Flux2Config

Rope = tuple[Tensor, Tensor]
NORM_EPS = 1e-6


def make_editor(config: Flux2Config) -> Flux2Transformer2DModel:
    """Build the editor with our attention processors."""
    editor = Flux2Transformer2DModel(
        in_channels=config.image_channels,
        num_layers=config.double_blocks,
        num_single_layers=config.single_blocks,
        attention_head_dim=config.head_dim,
        num_attention_heads=config.heads,
        joint_attention_dim=config.text_features,
        timestep_guidance_channels=TIME_CHANNELS,
        mlp_ratio=config.mlp_ratio,
        axes_dims_rope=config.rope_axes,
        rope_theta=config.rope_theta,
        guidance_embeds=False,
        eps=NORM_EPS,
    )
    for block in editor.transformer_blocks:
        block.attn.set_processor(JointAttention())
    for block in editor.single_transformer_blocks:
        block.attn.set_processor(MergedAttention())
    return editor


def head_norm(x: Tensor, weight: Tensor) -> Tensor:
    """RMS norm of each head's channels; float32 inside, scaled in the model's dtype as released."""
    return F.rms_norm(x.float(), x.shape[-1:], eps=NORM_EPS).to(x.dtype) * weight


def _earlier(past: KVCache | None, record: KVCache | None) -> KV | None:
    """Of the layer that is about to append to ``record``."""
    return None if past is None or record is None else past[len(record)]


class JointAttention:
    """Attention of a double block: text and image have weights of their own and one softmax."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Rope | None = None,
        record: KVCache | None = None,
        past: KVCache | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the image's and the text's update; append this layer's keys and values."""

        def heads(x: Tensor) -> Tensor:
            return x.unflatten(-1, (-1, attn.head_dim))

        image, text = hidden_states, encoder_hidden_states
        q = torch.cat(
            [
                head_norm(heads(attn.add_q_proj(text)), attn.norm_added_q.weight),
                head_norm(heads(attn.to_q(image)), attn.norm_q.weight),
            ],
            dim=1,
        )
        k = torch.cat(
            [
                head_norm(heads(attn.add_k_proj(text)), attn.norm_added_k.weight),
                head_norm(heads(attn.to_k(image)), attn.norm_k.weight),
            ],
            dim=1,
        )
        v = torch.cat([heads(attn.add_v_proj(text)), heads(attn.to_v(image))], dim=1)
        assert image_rotary_emb is not None
        q, k = rotate_pairs(q, image_rotary_emb), rotate_pairs(k, image_rotary_emb)
        earlier = _earlier(past, record)
        if record is not None:
            record.append(KV(k, v))
        out = attend(q, k, v, earlier, attention_mask).flatten(2)
        length = text.shape[1]
        return attn.to_out[0](out[:, length:]), attn.to_add_out(out[:, :length])


class MergedAttention:
    """Attention and MLP of a single block, side by side on the merged stream."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Rope | None = None,
        record: KVCache | None = None,
        past: KVCache | None = None,
    ) -> Tensor:
        """Return the update of the merged stream; append this layer's keys and values."""
        widths = [3 * attn.inner_dim, attn.mlp_mult_factor * attn.mlp_hidden_dim]
        qkv, mlp = attn.to_qkv_mlp_proj(hidden_states).split(widths, dim=-1)
        q, k, v = (x.unflatten(-1, (-1, attn.head_dim)) for x in qkv.chunk(3, dim=-1))
        assert image_rotary_emb is not None
        q = rotate_pairs(head_norm(q, attn.norm_q.weight), image_rotary_emb)
        k = rotate_pairs(head_norm(k, attn.norm_k.weight), image_rotary_emb)
        earlier = _earlier(past, record)
        if record is not None:
            record.append(KV(k, v))
        out = attend(q, k, v, earlier, attention_mask).flatten(2)
        return attn.to_out(torch.cat([out, attn.mlp_act_fn(mlp)], dim=-1))


@dataclass(frozen=True)
class Modulation:
    """What timesteps do to all blocks, shared by their layers and tokens."""

    time: Tensor  # [B, hidden]
    image: Tensor  # [B, 1, 6 * hidden]
    text: Tensor  # [B, 1, 6 * hidden]
    merged: Tensor  # [B, 1, 3 * hidden]


def modulate(editor: Flux2Transformer2DModel, t: Tensor) -> Modulation:
    """Embed timesteps ``t`` [B] in 0..1, in the model's dtype."""
    embedder: Any = editor.time_guidance_embed.timestep_embedder
    time = embedder(timestep_embedding(t * TRAIN_TIMESTEPS, TIME_CHANNELS))
    return Modulation(
        time=time,
        image=editor.double_stream_modulation_img(time)[:, None],
        text=editor.double_stream_modulation_txt(time)[:, None],
        merged=editor.single_stream_modulation(time)[:, None],
    )


def run_editor(
    editor: Flux2Transformer2DModel,
    context: Tensor,
    image: Tensor,
    positions: Tensor,
    modulation: Modulation,
    mask: Tensor | None,
    *,
    past: KVCache | None = None,
    skip_dead: bool = False,
) -> tuple[KVCache, Tensor, Tensor]:
    """One forward pass over [context, image].

    Args:
        editor: the transformer.
        context: [B, L, text_features], text with proprioception.
        image: [B, N, image_channels], the tokens of one or more images.
        positions: [L + N, 4] of all tokens, in the model's dtype.
        modulation: of the timestep, see :func:`modulate`.
        mask: bool [B, 1, L + N or 1, P + L + N], True: may attend; None: all may.
        past: the cache of P earlier tokens, which all tokens may read; the context may then be
            empty (L = 0), as it is part of the cache.
        skip_dead: leave out what only the hidden states after the last block need.

    Returns:
        The cache of all layers (L + N tokens) and the final hidden states of context
        [B, L, hidden] and image [B, N, hidden] (those before the last block with ``skip_dead``).
    """
    config: Any = editor.config
    rope = rotary_table(positions, config.axes_dims_rope, config.rope_theta, positions.dtype)
    cache: KVCache = []
    kwargs = {"attention_mask": mask, "record": cache, "past": past}
    text, image = editor.context_embedder(context), editor.x_embedder(image)
    for double in editor.transformer_blocks:
        text, image = double(image, text, modulation.image, modulation.text, rope, kwargs)
    merged = torch.cat([text, image], dim=1)
    singles = list(editor.single_transformer_blocks)
    skip_dead = skip_dead and bool(singles)
    for single in singles[:-1] if skip_dead else singles:
        merged = single(merged, None, modulation.merged, rope, kwargs)
    if skip_dead:
        cache.append(_keys_only(singles[-1], merged, modulation.merged, rope))
    length = context.shape[1]
    return cache, merged[:, :length], merged[:, length:]


def _keys_only(block: nn.Module, x: Tensor, modulation: Tensor, rope: Rope) -> KV:
    """Keys and values of a single block, computed without its queries, MLP and output."""
    shift, scale, _ = modulation.chunk(3, dim=-1)
    attn: Any = block.attn
    normed = (1 + scale) * block.norm(x) + shift  # type: ignore[operator]
    width = attn.inner_dim
    k, v = nn.functional.linear(normed, attn.to_qkv_mlp_proj.weight[width : 3 * width]).chunk(2, -1)
    k, v = (part.unflatten(-1, (-1, attn.head_dim)) for part in (k, v))
    return KV(rotate_pairs(head_norm(k, attn.norm_k.weight), rope), v)


def predict(editor: Flux2Transformer2DModel, hidden: Tensor, time: Tensor) -> Tensor:
    """Velocity [B, N, image_channels] from final hidden states [B, N, hidden]."""
    return editor.proj_out(editor.norm_out(hidden, time))
