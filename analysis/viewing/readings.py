"""What policies read, laid over frames where a study below the folder shows this very moment.

A study (``wambench attention``) plays one episode of the scripted expert and draws what each of its
policies reads there. It speaks of a stored episode only where the pictures are the same: always if
that is the expert's own, at its first step for any policy on the same cell.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from analysis.attention.folder import MANIFEST, PAGE
from analysis.viewing.drawing import QUALITY
from wambench.cells import Cell
from wambench.errors import UserError

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
COARSE = 32  # to so many pixels a side both pictures are brought before they are compared
SAME = 40
"""Of 255. In LIBERO a moment drawn at 128 and at 256 pixels differs by 29 at most, a moving arm's
next control step by 46 or more."""
DAMAGE = (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError)


@dataclass(frozen=True)
class Study:
    """A study that drew an episode.

    Attributes:
        id: its path below the folder that is viewed.
        place: suite, task, initial state and seed of the episode.
        command: that made it.
        data: what its page draws, see :func:`analysis.attention.page.render`.
    """

    id: str
    place: tuple[str, str, int, int]
    command: str
    data: Mapping[str, Any]

    @property
    def readers(self) -> Sequence[str]:
        """Its policies."""
        return [policy["name"] for policy in self.data["policies"]]

    def decision(self, step: int) -> int:
        """The control step of the decision under which this one is; raises UserError beyond."""
        steps = [one for one in self.data["steps"] if one <= step]
        apart = self.data["steps"][1] - self.data["steps"][0] if len(self.data["steps"]) > 1 else 1
        if not steps or step >= steps[-1] + apart:
            raise UserError("the study does not go as far as this step")
        return int(steps[-1])

    def shows(self, frame: bytes, camera: str, decision: int) -> bool:
        """Whether its picture of a decision is this frame."""
        source = self.data["pictures"][camera][self.data["steps"].index(decision)]
        picture = base64.b64decode(source.partition(",")[2])
        one, other = (_coarse(content) for content in (picture, frame))
        return bool(np.abs(one - other).max() <= SAME)

    def over(self, frame: bytes, reader: str, camera: str, decision: int) -> bytes:
        """A frame (JPEG) under what a policy read at a decision: means over layers and heads."""
        policy = next(one for one in self.data["policies"] if one["name"] == reader)
        levels = np.frombuffer(base64.b64decode(policy["levels"]), np.uint8)
        levels = levels.reshape(len(self.data["steps"]), policy["layers"] + 1, -1)
        of_mean = levels[self.data["steps"].index(decision), 0]  # heads + 1, tokens
        at = 0
        for name, grid in policy["cameras"].items():
            tokens = grid["rows"] * grid["columns"]
            if name == camera:
                chosen = of_mean[at : at + tokens].reshape(grid["rows"], grid["columns"])
                return _painted(frame, chosen, grid["edges"], self.data["colours"])
            at += tokens
        raise UserError(f"{reader} does not look through {camera}")


def _coarse(content: bytes) -> NDArray[np.int64]:
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    return np.asarray(picture.resize((COARSE, COARSE), Image.Resampling.BOX), np.int64)


def _painted(
    frame: bytes,
    levels: NDArray[np.uint8],
    edges: Sequence[float],
    colours: Sequence[Sequence[int]],
) -> bytes:
    picture = np.asarray(Image.open(io.BytesIO(frame)), np.float64).copy()
    height, width = picture.shape[:2]
    top, left, bottom, right = edges
    lines, columns = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    inside = np.ix_((lines >= top) & (lines < bottom), (columns >= left) & (columns < right))
    row = ((lines[inside[0].ravel()] - top) / (bottom - top) * levels.shape[0]).astype(int)
    column = ((columns[inside[1].ravel()] - left) / (right - left) * levels.shape[1]).astype(int)
    paint = np.asarray(colours, np.float64)[levels[np.ix_(row, column)]]
    alpha = paint[..., 3:] / 100
    picture[inside] = (1 - alpha) * picture[inside] + alpha * paint[..., :3]
    file = io.BytesIO()
    Image.fromarray(picture.round().astype(np.uint8)).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


class Studies:
    """The studies below a folder. Thread-safe; a page is read once for each of its versions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[tuple[int, int], Study | None]] = {}
        self._lock = threading.Lock()

    def of(self, cell: Cell) -> Sequence[Study]:
        """Those that drew an episode on this cell's task, initial state and seed."""
        pages = sorted(self._folder.rglob(PAGE))
        found = [self._read(page) for page in pages]
        return [study for study in found if study is not None and study.place == _place(cell)]

    def get(self, cell: Cell, name: str, reader: str) -> Study:
        """The study of this id; UserError if none is, or none of this cell and reader."""
        known = self._known.get(name)
        chosen = self.of(cell) if known is None else [known[1]]
        wanted = (name, _place(cell))
        for study in chosen:
            if study and (study.id, study.place) == wanted and reader in study.readers:
                return study
        raise UserError(f"no study {name!r} of this cell in which {reader!r} reads")

    def _read(self, page: Path) -> Study | None:
        """None for a page of another origin or version, or of a study that is not finished."""
        name = page.parent.relative_to(self._folder).as_posix()
        with self._lock:
            try:
                status = page.stat()
                version = status.st_mtime_ns, status.st_size
                known = self._known.get(name)
                if known is None or known[0] != version:
                    known = self._known[name] = version, _study(name, page)
                return known[1]
            except OSError:
                return None


def _place(cell: Cell) -> tuple[str, str, int, int]:
    return cell.suite, cell.task, cell.init_state, cell.seed


def _study(name: str, page: Path) -> Study | None:
    try:
        manifest = json.loads((page.parent / MANIFEST).read_text(encoding="utf-8"))
        found = DATA.search(page.read_text(encoding="utf-8"))
        if found is None:
            return None
        data = json.loads(found[1])
        place = data["place"]
        at = (place["suite"], place["task"], int(place["init_state"]), int(place["seed"]))
        study = Study(name, at, str(manifest["command"]), data)
        return study if study.readers and data["steps"] else None
    except DAMAGE:
        return None
