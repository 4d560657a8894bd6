"""The released ImageWAM on FLUX.2: names of the BFL code against those of diffusers."""

from __future__ import annotations

from collections.abc import Iterator

from baselines.core.checkpoints.layout import Entry, Layout
from baselines.imagewam.flux2.config import Flux2Config

_TOP = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_guidance_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_guidance_embed.timestep_embedder.linear_2",
    "double_stream_modulation_img.lin": "double_stream_modulation_img.linear",
    "double_stream_modulation_txt.lin": "double_stream_modulation_txt.linear",
    "single_stream_modulation.lin": "single_stream_modulation.linear",
    "final_layer.linear": "proj_out",
}
_DOUBLE = {
    "img_attn.qkv.weight": ("attn.to_q.weight", "attn.to_k.weight", "attn.to_v.weight"),
    "img_attn.norm.query_norm.scale": ("attn.norm_q.weight",),
    "img_attn.norm.key_norm.scale": ("attn.norm_k.weight",),
    "img_attn.proj.weight": ("attn.to_out.0.weight",),
    "img_mlp.0.weight": ("ff.linear_in.weight",),
    "img_mlp.2.weight": ("ff.linear_out.weight",),
    "txt_attn.qkv.weight": (
        "attn.add_q_proj.weight",
        "attn.add_k_proj.weight",
        "attn.add_v_proj.weight",
    ),
    "txt_attn.norm.query_norm.scale": ("attn.norm_added_q.weight",),
    "txt_attn.norm.key_norm.scale": ("attn.norm_added_k.weight",),
    "txt_attn.proj.weight": ("attn.to_add_out.weight",),
    "txt_mlp.0.weight": ("ff_context.linear_in.weight",),
    "txt_mlp.2.weight": ("ff_context.linear_out.weight",),
}
_SINGLE = {
    "linear1.weight": ("attn.to_qkv_mlp_proj.weight",),
    "linear2.weight": ("attn.to_out.weight",),
    "norm.query_norm.scale": ("attn.norm_q.weight",),
    "norm.key_norm.scale": ("attn.norm_k.weight",),
}


def layout(config: Flux2Config) -> Layout:
    """``model.pt``: every block of the editor twice, the expert, the proprioception encoder."""
    video = "mot.mixtures.video."
    editor = tuple(editor_layout(config, video + "transformer."))
    aliases = tuple(
        Entry(entry.file.replace(".transformer.", "."), alias_of=entry.file)
        for entry in editor
        if "_blocks." in entry.file
    )
    expert = tuple(Entry("mot.mixtures.action." + n, ("expert." + n,)) for n in _expert(config))
    proprio = tuple(Entry(n, (n,)) for n in ("proprio_encoder.weight", "proprio_encoder.bias"))
    return editor + aliases + expert + proprio


def editor_layout(config: Flux2Config, prefix: str) -> Iterator[Entry]:
    """The FLUX.2 transformer as Black Forest Labs name it, below ``prefix``."""
    for file, model in _TOP.items():
        yield Entry(f"{prefix}{file}.weight", (f"editor.{model}.weight",))
    yield Entry(
        f"{prefix}final_layer.adaLN_modulation.1.weight",
        ("editor.norm_out.linear.weight",),
        swap_halves=True,
    )
    for kind, ours, count, names in (
        ("double_blocks", "transformer_blocks", config.double_blocks, _DOUBLE),
        ("single_blocks", "single_transformer_blocks", config.single_blocks, _SINGLE),
    ):
        for index in range(count):
            for file, parts in names.items():
                yield Entry(
                    f"{prefix}{kind}.{index}.{file}",
                    tuple(f"editor.{ours}.{index}.{part}" for part in parts),
                )


def _expert(config: Flux2Config) -> Iterator[str]:
    """Names of the expert's tensors, ours and the file's alike."""
    yield from ("action_encoder.weight", "action_encoder.bias")
    yield from ("time_in.in_layer.weight", "time_in.out_layer.weight")
    yield from ("double_stream_modulation_img.lin.weight", "single_stream_modulation.lin.weight")
    yield from ("head.linear.weight", "head.adaLN_modulation.1.weight")
    for index in range(config.double_blocks):
        yield from (f"double_blocks.{index}.{n}" for n in _DOUBLE if n.startswith("img_"))
    for index in range(config.single_blocks):
        yield from (f"single_blocks.{index}.{n}" for n in _SINGLE)
