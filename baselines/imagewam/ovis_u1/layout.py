"""The released ImageWAM on Ovis-U1; names are the model's own, every block of the editor twice."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from baselines.core.build import on_meta
from baselines.core.checkpoints.folders import identity
from baselines.core.checkpoints.layout import Entry, Layout
from baselines.imagewam.ovis_u1.config import OvisU1Config
from baselines.imagewam.ovis_u1.editor import Yak
from baselines.imagewam.ovis_u1.expert import ActionExpert

VIDEO = "mot.mixtures.video."
ACTION = "mot.mixtures.action."


def layout(config: OvisU1Config) -> Layout:
    """``model.pt``: editor, its blocks once more, expert, proprioception encoder."""
    editor = _below(on_meta(lambda: Yak(config)), "editor.", VIDEO + "transformer.")
    aliases = tuple(
        Entry(entry.file.replace(".transformer.", "."), alias_of=entry.file)
        for entry in editor
        if entry.file.startswith((VIDEO + "transformer.double_", VIDEO + "transformer.single_"))
    )
    expert = _below(on_meta(lambda: ActionExpert(config)), "expert.", ACTION)
    proprio = tuple(Entry(n, (n,)) for n in ("proprio_encoder.weight", "proprio_encoder.bias"))
    return editor + aliases + expert + proprio


def _below(module: nn.Module, ours: str, theirs: str) -> Layout:
    """A module's tensors: below ``ours`` in the model, below ``theirs`` in the file."""
    return tuple(Entry(theirs + entry.file, (ours + entry.file,)) for entry in identity(module))


def condition_layout(encoder: nn.Module, parts: Mapping[str, str]) -> Layout:
    """The vision-language model; ``parts``: beginning of our names -> that of the file's."""
    out = []
    for name in encoder.state_dict():
        ours = next(part for part in parts if name.startswith(part))
        out.append(Entry(parts[ours] + name.removeprefix(ours), (name,)))
    return tuple(out)
