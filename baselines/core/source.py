"""Which source files decide what a policy answers: their hash is part of a cell's key."""

from __future__ import annotations

import functools
import hashlib
from importlib.util import find_spec
from pathlib import Path

ASIDE = frozenset({
    "audit.py", "command.py", "findings.py", "folders.py", "hashing.py", "inspect.py", "reading.py",
    "safetensors_files.py", "torch_files.py", "wrappers.py", "writing.py",  # read and check files
    "card.py", "conditions.py", "cost.py", "facts.py", "labels.py", "machine.py", "vae_cost.py",
    "initialise.py", "loss.py", "replay.py", "source.py",  # tell, count, train and compare
})  # fmt: skip
"""Names of files that take no part in an answer.

They give a policy the tensors of its files or refuse, tell about it, count it or train it. A file
is known by its content in the fingerprint, and a fault in reading one would show in a run's
arithmetic (:mod:`wambench.arithmetic`): mending a message makes no cell another one.
"""


@functools.cache
def source_hash(*packages: str) -> str:
    """Hash of the Python files of some packages that compute, found without importing them."""
    digest = hashlib.blake2b(digest_size=16)
    for package in packages:
        spec = find_spec(package)
        folders = spec.submodule_search_locations if spec else None
        for folder in folders or ():
            for file in sorted(Path(folder).rglob("*.py")):
                if file.name not in ASIDE:
                    digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()
