"""Pictures that another command drew, made small enough for a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

WIDTH = 1100  # pixels


@dataclass(frozen=True)
class Figure:
    """One picture of the page; ``words`` says what it shows."""

    name: str
    words: str
    width: int
    height: int
    uri: str


def embedded(
    files: Iterable[tuple[Path, str]], budget_bytes: int
) -> tuple[list[Figure], list[str]]:
    """Small copies of files in order, and the names of those that did not fit or cannot be read.

    Args:
        files: each with what it shows, in words.
        budget_bytes: of all copies together, as they stand in the page.
    """
    shown: list[Figure] = []
    left: list[str] = []
    room = budget_bytes
    for file, words in files:
        try:
            with Image.open(file) as picture:
                small = picture.convert("RGB")
        except OSError:
            left.append(file.name)
            continue
        small.thumbnail((WIDTH, 4 * WIDTH))
        out = io.BytesIO()
        small.save(out, "WEBP", quality=80, method=4)
        uri = f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"
        if len(uri) > room:
            left.append(file.name)
            continue
        room -= len(uri)
        shown.append(Figure(file.stem, words, small.width, small.height, uri))
    return shown, left
