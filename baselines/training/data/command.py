"""``wambench pack``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wambench import UserError
from wambench.errors import one_line


def pack(
    data: Annotated[list[Path], typer.Argument(help="Demonstrations, of any known layout.")],
    out: Annotated[Path, typer.Option("--out", help="The file, named *.hdf5.")],
    size: Annotated[
        int | None, typer.Option(min=16, max=1024, help="Side of the frames; by default theirs.")
    ] = None,
    quality: Annotated[
        int, typer.Option(min=0, max=51, help="Of the films: H.264's constant rate factor.")
    ] = 14,
) -> None:
    """Put demonstrations into one small file to train on: numbers as they are, frames as films.

    Example: wambench pack data/nano --out demonstrations.hdf5
    """
    from baselines.training.data import packed
    from baselines.training.data.dataset import open_demos

    if out.suffix != ".hdf5":
        raise UserError(f"--out {str(out)!r} is read by its name; call it {out.stem}.hdf5")
    if out.exists():
        raise UserError(f"--out {str(out)!r} is there already; remove it or name another file")
    demos = open_demos(data, size=None if size is None else (size, size), validation=0)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        packed.pack(demos.episodes, out, quality)
    except OSError as error:
        raise UserError(
            f"cannot write {str(out)!r} ({one_line(error)[:160]}); choose another --out"
        ) from None
    frames = sum(episode.shots for episode in demos.episodes) * len(demos.cameras)
    print(
        f"{len(demos.episodes)} episodes, {frames} frames, {out.stat().st_size / 1e6:.1f} MB "
        f"in {out}"
    )
