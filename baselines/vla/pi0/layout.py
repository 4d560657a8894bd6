"""Names of the tensors in checkpoints of pi0 and pi0.5."""

from __future__ import annotations

from baselines.core.build import on_meta
from baselines.core.checkpoints.layout import Entry, Layout
from baselines.vla.pi0.config import Pi0Config
from baselines.vla.pi0.modules import build

# Model prefix, prefix in published files. The first that fits counts. A language model's head is
# tied to its embedding, and the files hold the head only, also where the model never uses it.
_PUBLISHED = (
    ("model.vlm.language_model.embed_tokens.", "paligemma_with_expert.paligemma.lm_head."),
    ("model.dit.embed_tokens.", "paligemma_with_expert.gemma_expert.lm_head."),
    ("model.vlm.vision_tower.", "paligemma_with_expert.paligemma.model.vision_tower.vision_model."),
    ("model.vlm.", "paligemma_with_expert.paligemma.model."),
    ("model.dit.", "paligemma_with_expert.gemma_expert.model."),
    ("embed_action_time.", ""),
    ("action_out_proj.", "action_out_proj."),
)


def layout(config: Pi0Config) -> Layout:
    """A plain state dict: every tensor under its own name, none shared."""
    return tuple(Entry(name, (name,)) for name in _names(config))


def published_layout(config: Pi0Config) -> Layout:
    """Files of openpi's PyTorch code and of lerobot, which transformers reads for pi0 as well.

    Those of pi0.5 may hold one more tensor, the unused head of the expert.
    """
    entries = tuple(Entry(_published(name), (name,)) for name in _names(config))
    head = "paligemma_with_expert.gemma_expert.lm_head.weight"
    held = {entry.file for entry in entries}
    return entries if head in held else (*entries, Entry(head, unread=True))


def _names(config: Pi0Config) -> list[str]:
    return list(on_meta(lambda: build(config)).state_dict())


def _published(name: str) -> str:
    ours, theirs = next(pair for pair in _PUBLISHED if name.startswith(pair[0]))
    return theirs + name.removeprefix(ours)
