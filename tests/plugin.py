"""Packages of strangers: written to a folder as pip would install them, found by entry point."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Entries = Mapping[str, Mapping[str, str]]  # group -> name -> module:object

TOY = Path(__file__).with_name("toy.py").read_text()


def write_package(
    folder: Path, name: str, modules: Mapping[str, str], entry_points: Entries
) -> None:
    """Write ``modules`` (file name -> source) and the metadata of distribution ``name`` 1.0."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, source in modules.items():
        (folder / file).write_text(source)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for group, points in entry_points.items():
        lines += [f"[{group}]", *(f"{point} = {target}" for point, target in points.items()), ""]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
