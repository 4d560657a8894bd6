"""Names of the tensors in checkpoints of SmolVLA."""

from __future__ import annotations

from baselines.core.build import on_meta
from baselines.core.checkpoints.layout import Entry, Layout
from baselines.vla.smolvla.config import SmolVLAConfig
from baselines.vla.smolvla.modules import build

_PUBLISHED = {
    "vision.tower.": "model.vlm_with_expert.vlm.model.vision_model.",
    "vision.connector.": "model.vlm_with_expert.vlm.model.connector.",
    "language.": "model.vlm_with_expert.vlm.model.text_model.",
    "head.": "model.vlm_with_expert.vlm.lm_head.",
    "expert.": "model.vlm_with_expert.lm_expert.",
    "embeddings.": "model.",
}
"""Model prefix -> prefix in files of lerobot."""


def published_layout(config: SmolVLAConfig) -> Layout:
    """Files of lerobot from 0.4 on; older ones hold statistics too and have to be migrated."""
    names = on_meta(lambda: build(config)).state_dict()
    return tuple(Entry(_published(name), (name,)) for name in names)


def _published(name: str) -> str:
    ours = next(prefix for prefix in _PUBLISHED if name.startswith(prefix))
    return _PUBLISHED[ours] + name.removeprefix(ours)
