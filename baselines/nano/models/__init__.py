"""One nano model per family, all behind :class:`baselines.nano.models.base.NanoModel`."""

from __future__ import annotations

from baselines.nano.config import Kind, NanoConfig
from baselines.nano.models.base import NanoModel
from baselines.nano.models.fastwam import NanoFastWam
from baselines.nano.models.imagewam import NanoImageWAM
from baselines.nano.models.oft import NanoOft
from baselines.nano.models.pi0 import NanoPi0

KINDS: dict[Kind, type[NanoModel]] = {
    "imagewam": NanoImageWAM,
    "fastwam": NanoFastWam,
    "pi0": NanoPi0,
    "oft": NanoOft,
}


def make(config: NanoConfig) -> NanoModel:
    """Build a nano model with its initial weights, drawn from torch's global generator."""
    return KINDS[config.kind](config)
