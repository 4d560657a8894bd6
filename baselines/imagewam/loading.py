"""Fill what all editors have from files of the same kind."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from baselines.core.checkpoints.folders import identity
from baselines.core.checkpoints.loading import fill_from
from baselines.core.checkpoints.reading import read_checkpoint


def fill_text_encoder(encoder: nn.Module, folder: Path, dtype: torch.dtype) -> None:
    """Fill a language model; a head that only repeats the tied embeddings is left where it is."""
    file = read_checkpoint(folder)
    names = identity(encoder)
    ours = {entry.file for entry in names}
    file = file.without("lm_head.weight") if "lm_head.weight" not in ours else file
    fill_from(encoder, file, names, dtype)
