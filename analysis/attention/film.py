"""A whole rollout with what each policy reads laid over it, as a film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from analysis.attention import maps, paint
from analysis.attention.compare import arm_name
from analysis.attention.study import Seen
from wambench.contract import Orientation
from wambench.video import write_film

SIDE = 256  # pixels of a camera's picture in the film
LABEL = 18  # rows above and below the pictures
RAMP = 120  # columns of the scale

Picture = NDArray[np.uint8]


def frames(
    seen: Sequence[Seen], orientation: Orientation, *, smooth: bool = False
) -> list[Picture]:
    """One frame per moment: a column per policy, a row per camera, all on one scale."""
    names = list(dict.fromkeys(arm_name(one.arm.policy, one.arm.control) for one in seen))
    by_step: dict[int, dict[str, Seen]] = {}
    for one in seen:
        name = arm_name(one.arm.policy, one.arm.control)
        by_step.setdefault(one.moment.step, {})[name] = one
    lift = {
        (step, name): paint.lifts(maps.sight(one.captured, one.attention).images)
        for step, those in by_step.items()
        for name, one in those.items()
    }
    end = paint.scale_end([grid for cameras in lift.values() for grid in cameras.values()])
    return [
        _frame(
            [(name, by_step[step][name], lift[step, name]) for name in names],
            end,
            orientation,
            smooth=smooth,
        )
        for step in sorted(by_step)
        if len(by_step[step]) == len(names)
    ]


def _frame(
    columns: Sequence[tuple[str, Seen, Mapping[str, NDArray[np.floating]]]],
    end: float,
    orientation: Orientation,
    *,
    smooth: bool,
) -> Picture:
    parts = []
    for name, one, lift in columns:
        cells = [
            np.asarray(
                Image.fromarray(
                    paint.overlay(
                        one.moment.pictures[camera],
                        lift[camera],
                        grid,
                        end,
                        orientation,
                        smooth=smooth,
                    )
                ).resize((SIDE, SIDE), Image.Resampling.NEAREST)
            )
            for camera, grid in one.attention.cameras.items()
        ]
        label = Image.new("RGB", (SIDE, LABEL), "white")
        ImageDraw.Draw(label).text((4, 3), f"{name}  {one.moment.step}", fill="black")
        parts.append(np.concatenate([np.asarray(label), *cells]))
    frame = np.concatenate(parts, axis=1)
    frame = np.concatenate([frame, _scale(end, frame.shape[1])])
    return frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2]  # H.264 wants even sides


def _scale(end: float, width: int) -> Picture:
    """The one scale of all frames, [LABEL, width, 3]."""
    import matplotlib as mpl

    strip = Image.new("RGB", (width, LABEL), "white")
    ramp = mpl.colormaps[paint.COLOURS](np.linspace(0, 1, RAMP))[None, :, :3]
    bar = Image.fromarray((255 * ramp.repeat(LABEL - 8, axis=0)).round().astype(np.uint8))
    pen = ImageDraw.Draw(strip)
    pen.text((4, 3), f"1/{end:.2g}", fill="black")
    strip.paste(bar, (36, 4))
    pen.text((40 + RAMP, 3), f"{end:.2g} x the mean image token's attention", fill="black")
    return np.asarray(strip)


def write(folder: Path, name: str, drawn: Sequence[Picture], fps: float) -> Sequence[Path]:
    """Write frames as MP4 and as GIF."""
    film, loop = folder / f"{name}.mp4", folder / f"{name}.gif"
    write_film(film, iter(drawn), fps)
    pages = [Image.fromarray(frame).quantize(128) for frame in drawn]
    pages[0].save(loop, save_all=True, append_images=pages[1:], duration=round(1000 / fps), loop=0)
    return film, loop
