"""The released checkpoint of ImageWAM on OmniGen2: our names are the file's."""

from __future__ import annotations

from baselines.core.build import on_meta
from baselines.core.checkpoints.folders import identity
from baselines.core.checkpoints.layout import Entry, Layout
from baselines.imagewam.omnigen2.config import OmniGen2Config
from baselines.imagewam.omnigen2.model import OmniGen2WAM

VIDEO = "mot.mixtures.video."
ACTION = "mot.mixtures.action."


def layout(config: OmniGen2Config) -> Layout:
    """``model.pt``: every joint layer of the editor twice, expert, proprioception encoder."""
    model = on_meta(lambda: OmniGen2WAM(config.model_copy(update={"vae": None, "text": None})))
    names = identity(model.trained())
    editor, expert, proprio = (
        tuple(entry for entry in names if entry.file.startswith(part))
        for part in ("editor.", "expert.", "proprio_encoder.")
    )
    video = _renamed(editor, "editor.", VIDEO + "transformer.")
    layers = VIDEO + "transformer.layers."
    aliases = tuple(
        Entry(VIDEO + "blocks." + entry.file.removeprefix(layers), alias_of=entry.file)
        for entry in video
        if entry.file.startswith(layers)
    )
    return video + aliases + _renamed(expert, "expert.", ACTION) + proprio


def _renamed(entries: Layout, old: str, new: str) -> Layout:
    return tuple(Entry(new + entry.file.removeprefix(old), entry.model) for entry in entries)
