"""How the ratio of costs moves with what an experimenter chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.claims.costs import Condition, Costs, Scope
from analysis.claims.published import Readings
from analysis.claims.ratios import ratio
from analysis.table import Cell, Column, Table

SERIES = ("FastWAM-IDM", "FastWAM-joint", "FastWAM (plain)")
SCOPE: Scope = "without text and decode"
RELEASED = Condition(picture=(224, 448), preset="released", steps=10, video_frames=9)
STEPS = (1, 2, 4, 5, 10, 20, 50)
PICTURES = ((128, 256), (192, 384), (224, 448), (320, 640), (384, 768), (448, 896), (512, 1024))
FRAMES = (5, 9, 13, 17, 25, 33)
TEXT = (24, 64, 128, 256, 512)


@dataclass(frozen=True)
class Curve:
    """Ratios to the editor's FLOPs over one choice.

    Attributes:
        released: the value that is released.
        ratios: series -> one ratio for every value in ``at``.
    """

    name: str
    title: str
    axis: str
    at: Sequence[float]
    released: float
    ratios: Mapping[str, Sequence[float]]
    note: str


def curves(readings: Readings, costs: Costs) -> list[Curve]:
    """Denoising steps, picture, frames of the clip, tokens of the editor's text."""
    steps = [replace(RELEASED, steps=n) for n in STEPS]
    pictures = [replace(RELEASED, picture=size) for size in PICTURES]
    frames = [replace(RELEASED, video_frames=n) for n in FRAMES]
    return [
        Curve(
            "steps",
            "Denoising steps",
            "steps, of action and video",
            STEPS,
            10,
            _over(steps, readings, costs),
            "Each step of a video model passes over the whole clip; the editor's pass over the "
            "picture is made once.",
        ),
        Curve(
            "area",
            "Picture",
            "thousand pixels over all cameras",
            [height * width / 1000 for height, width in PICTURES],
            224 * 448 / 1000,
            _over(pictures, readings, costs),
            "The editor's text does not grow with the picture, so larger pictures favour it.",
        ),
        Curve(
            "frames",
            "Frames of the clip",
            "frames that the video model imagines",
            FRAMES,
            9,
            _over(frames, readings, costs),
            "The plain model imagines no clip, so nothing changes for it.",
        ),
        Curve(
            "text",
            "Text of the editor",
            "tokens that the editor's text is padded to",
            TEXT,
            512,
            _over_text(readings, costs),
            "Padding is masked, so trimming it leaves the actions as they are. The video models' "
            "text stays as released.",
        ),
    ]


def _over(
    conditions: Sequence[Condition], readings: Readings, costs: Costs
) -> Mapping[str, Sequence[float]]:
    return {
        name: [
            ratio(costs, readings.baselines[name], readings.editor, condition, SCOPE)
            for condition in conditions
        ]
        for name in SERIES
    }


def _over_text(readings: Readings, costs: Costs) -> Mapping[str, Sequence[float]]:
    editor = [
        costs.flops(readings.editor, replace(RELEASED, text_length=length), SCOPE)
        for length in TEXT
    ]
    return {
        name: [costs.flops(readings.baselines[name], RELEASED, SCOPE) / each for each in editor]
        for name in SERIES
    }


def table(found: Sequence[Curve]) -> Table:
    """All curves as numbers."""
    rows: list[Mapping[str, Cell]] = [
        {
            "choice": f"{curve.title}: {curve.axis}",
            "value": at,
            **{name: curve.ratios[name][i] for name in SERIES},
        }
        for curve in found
        for i, at in enumerate(curve.at)
    ]
    return Table(
        name="sensitivity",
        title="FLOPs divided by ImageWAM-4B's, over one choice at a time",
        columns=[
            Column("choice", "Choice"),
            Column("value", "Value", 0),
            *(Column(name, name, 2) for name in SERIES),
        ],
        rows=rows,
        command="wambench audit page",
        note=f"LIBERO as released but for the choice, {SCOPE}.",
        group="choice",
        track="published",
    )
