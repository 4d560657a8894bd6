"""What a goal description (BDDL file) says of itself, read without LIBERO's parser."""

from __future__ import annotations

import re
from pathlib import Path


def sentence(file: Path) -> str:
    """The task in words. LIBERO's own suites hand out another one, made of the file's name."""
    return _entry(file, r"\(:language\s+(.*?)\)")


def problem(file: Path) -> str:
    """The class of scenes that the task belongs to, as LIBERO registers it: in small letters."""
    return _entry(file, r"\(problem\s+(\S+?)\s*\)").lower()


def _entry(file: Path, pattern: str) -> str:
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise ValueError(f"{file} has no {pattern}")
    return found[1].strip()
