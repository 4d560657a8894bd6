"""What a film shows of a decision that is under way: a bar that fills until the answer is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wambench.clock import PREFIX, Decision

BAR_SHARE, LEAST_BAR = 0.02, 2  # of the frame's height; pixels
TEXT_SHARE, LEAST_TEXT = 0.055, 9
PAPER, INK, DONE = (0, 0, 0), (255, 255, 255), (255, 176, 0)


def decisions_of(measured: Mapping[str, Sequence[float]]) -> Sequence[Decision]:
    """An episode's decisions, as the store's measurements have them; none of other clocks."""
    asked = measured.get(f"{PREFIX}asked_step", ())
    charged = measured.get(f"{PREFIX}charged_steps", ())
    return [
        Decision(int(step), int(steps)) for step, steps in zip(asked, charged, strict=True) if steps
    ]


def under_way(decisions: Sequence[Decision], frames: int) -> Sequence[tuple[int, int] | None]:
    """Of each frame (the state after so many control steps) the decision that is awaited.

    ``(passed, steps)``: it was asked so many steps ago, of those that it takes; None: none is.
    """
    found: list[tuple[int, int] | None] = [None] * frames
    for one in decisions:
        for step in range(one.asked, min(one.asked + one.steps, frames)):
            found[step] = step - one.asked, one.steps
    return found


def with_inset(
    frames: Iterator[NDArray[np.uint8]], waits: Sequence[tuple[int, int] | None], hz: float
) -> Iterator[NDArray[np.uint8]]:
    """Frames uint8 [H, W, 3] with a bar at the bottom while a decision is under way.

    Above it stands in words how much of its time has passed, where the frame has room for that.
    """
    for frame, wait in zip(frames, waits, strict=True):
        yield frame if wait is None else _marked(frame, *wait, hz)


def _marked(frame: NDArray[np.uint8], passed: int, steps: int, hz: float) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    picture = Image.fromarray(frame)
    pen = ImageDraw.Draw(picture)
    top = height - max(LEAST_BAR, round(BAR_SHARE * height))
    pen.rectangle((0, top, width, height), fill=PAPER)
    if passed:
        pen.rectangle((0, top, round(width * passed / steps) - 1, height), fill=DONE)
    text = f"deciding: {1000 * passed / hz:.0f} of {1000 * steps / hz:.0f} ms"
    size = max(LEAST_TEXT, round(TEXT_SHARE * height))
    font = ImageFont.load_default(size)
    left, upper, right, lower = font.getbbox(text)
    if right - left + size <= width and lower - upper + size <= height // 3:
        edge = top - size // 4
        place = (size // 2, edge)
        box = pen.textbbox(place, text, font=font, anchor="ls")
        pad = size // 4
        pen.rectangle((0, box[1] - pad, box[2] + pad, top - 1), fill=PAPER)
        pen.text(place, text, font=font, anchor="ls", fill=INK)
    return np.asarray(picture)
