"""The families whose checkpoints can be replayed, found by what their configurations look like."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from wambench import UserError
from wambench.errors import did_you_mean


@dataclass(frozen=True)
class Family:
    """A name for ``--family`` and the module whose ``replay`` serves it."""

    name: str
    module: str
    marks: frozenset[str]  # fields of a configuration that tell the kind of model
    holds: str  # a tensor that its checkpoints have and no other family's
    modes: tuple[str, ...] = ()  # what tells it from others with the same fields

    def load(self) -> Any:
        """Import the module."""
        return import_module(self.module)


_FLUX2 = frozenset({"double", "single", "axes", "z_channels"})
_FLUX2_HOLDS = "mot.mixtures.video.transformer.txt_in.weight"
_OVIS_U1 = (
    "baselines.imagewam.ovis_u1.replay",
    frozenset({"double", "single", "axes", "vae_groups"}),
    "mot.mixtures.video.transformer.txt_in.cls_token",
)
_OVIS_U1_CONDITION = (
    "baselines.imagewam.ovis_u1.condition_replay",
    frozenset({"visual_words", "v_layers", "l_layers"}),
    "weights.vte.weight",
)
_OMNIGEN2 = (
    "baselines.imagewam.omnigen2.replay",
    frozenset({"refiners", "kv_heads", "time_scale"}),
    "mot.mixtures.video.transformer.image_index_embedding",
)
_WAN = (
    "baselines.videowam.replay",
    frozenset({"layers", "latent_ch", "video_ffn"}),
    "mot.mixtures.video.patch_embedding.weight",
)
FAMILIES = {
    family.name: family
    for family in (
        Family("imagewam-flux2", "baselines.imagewam.flux2.replay", _FLUX2, _FLUX2_HOLDS),
        Family("imagewam-omnigen2", *_OMNIGEN2, ("plain",)),
        Family("imagewam-omnigen2-noise-idm", *_OMNIGEN2, ("noise_idm",)),
        Family("imagewam-omnigen2-cache-idm", *_OMNIGEN2, ("cache_idm",)),
        Family("imagewam-ovis-u1", *_OVIS_U1),
        Family("imagewam-ovis-u1-condition", *_OVIS_U1_CONDITION),
        Family("fastwam-plain", *_WAN, ("uncond", "plain")),
        Family("fastwam-joint", *_WAN, ("joint",)),
        Family("fastwam-idm", *_WAN, ("idm",)),
    )
}


def named(name: str) -> Family:
    """Look a family up; UserError for an unknown one."""
    if name not in FAMILIES:
        raise UserError(f"unknown family {name!r}; {did_you_mean(name, FAMILIES)}")
    return FAMILIES[name]


def recognised(config: Mapping[str, Any], mode: str | None) -> Family:
    """The family that a configuration belongs to; UserError if none or several do.

    Args:
        config: the fields of the architecture.
        mode: what the file says beside them, for models that one checkpoint serves in three ways;
            some say it among the fields, as "variant".
    """
    fits = [family for family in FAMILIES.values() if family.marks <= set(config)]
    if len(fits) > 1:
        told = mode or config.get("variant")
        fits = [family for family in fits if told in family.modes] or fits
    if len(fits) == 1:
        return fits[0]
    names = ", ".join(family.name for family in fits or FAMILIES.values())
    raise UserError(f"the configuration does not tell its family; add --family, one of {names}")


def holding(names: Collection[str], file: Path) -> Family:
    """The family (of several modes: the first) whose checkpoints have such tensors."""
    for family in FAMILIES.values():
        if family.holds in names:
            return family
    known = ", ".join(FAMILIES)
    raise UserError(
        f"{str(file)!r} is no checkpoint of a known family ({known}); its first tensor is "
        f"{min(names)!r}; add --family and --config if it should be one"
    )
