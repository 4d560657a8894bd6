"""Fill a model from a checkpoint, or refuse in one line and leave the model as it was."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from baselines.core.build import fill
from baselines.core.checkpoints.audit import audit
from baselines.core.checkpoints.findings import Audit
from baselines.core.checkpoints.layout import Layout
from baselines.core.checkpoints.mapping import to_model
from baselines.core.checkpoints.reading import CheckpointFile, read_checkpoint
from wambench.errors import UserError


def load_into(model: nn.Module, path: Path, layout: Layout, dtype: torch.dtype) -> Audit:
    """Read, audit and fill; see :func:`fill_from`."""
    return fill_from(model, read_checkpoint(path), layout, dtype)


def fill_from(model: nn.Module, file: CheckpointFile, layout: Layout, dtype: torch.dtype) -> Audit:
    """Give ``model`` (usually on meta) all weights of an open checkpoint, in ``dtype``.

    Tensors that already have ``dtype`` and are not swapped stay mapped from the file: they cost
    memory when they are used, and the file must not be written to while the process lives.

    Raises:
        UserError: the audit found a problem; the model is untouched.
        ValueError: layout and model do not fit each other.
    """
    state = model.state_dict()
    shapes = {name: tensor.shape for name, tensor in state.items()}
    integers = {name for name, tensor in state.items() if not tensor.is_floating_point()}
    found = audit(file, layout, shapes, integers)
    if problem := found.problem():
        raise UserError(problem)
    fill(model, to_model(file.tensors, layout), dtype)
    return found
