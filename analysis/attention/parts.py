"""Results of the long parts of a study, kept so that a study that was interrupted goes on."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wambench.errors import UserError


class Parts:
    """What was computed before is read again: results by a hash of all they depend on."""

    def __init__(self, out: Path) -> None:
        self._parts = out / "parts"
        try:
            self._parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write to {str(out)!r}: {error.strerror}; choose another --out"
            ) from None

    def once(self, what: str, key: Any, compute: Callable[[], Any]) -> Any:
        """The result of ``compute``, kept under a name that the text of ``key`` determines."""
        digest = hashlib.blake2b(repr([what, key]).encode(), digest_size=12).hexdigest()
        file = self._parts / f"{what}-{digest}.pickle"
        if file.exists():
            return pickle.loads(file.read_bytes())
        result = compute()
        part = file.with_suffix(".part")
        part.write_bytes(pickle.dumps(result))
        part.replace(file)
        return result
