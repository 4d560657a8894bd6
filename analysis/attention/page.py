"""An HTML page to leaf through a rollout: time, layer and head by sliders, no network."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from analysis.attention import paint
from analysis.attention.compare import arm_name
from analysis.attention.reduce import Read
from analysis.attention.study import Seen
from analysis.attention.templates import TEMPLATES
from wambench.attention import Attention, Grid
from wambench.contract import Orientation, orient

END = 8.0  # the scale of the page runs from 1/8 to 8
QUALITY = 80  # of the JPEG pictures


def render(seen: Sequence[Seen], orientation: Orientation, title: str, again: str) -> str:
    """Lay the moments of one episode out.

    Args:
        seen: of all policies, at all moments.
        orientation: in which the policies saw the images.
        title: what episode it is.
        again: the command that makes the page again.
    """
    moments = sorted({one.moment.step: one.moment for one in seen}.values(), key=lambda m: m.step)
    names = list(dict.fromkeys(arm_name(one.arm.policy, one.arm.control) for one in seen))
    by_name = {
        name: {
            one.moment.step: one
            for one in seen
            if arm_name(one.arm.policy, one.arm.control) == name
        }
        for name in names
    }
    first = moments[0]
    data = {
        "place": {
            "suite": first.suite,
            "task": first.task,
            "init_state": first.init_state,
            "seed": first.seed,
        },
        "steps": [moment.step for moment in moments],
        "pictures": {
            camera: [_jpeg(moment.pictures[camera]) for moment in moments]
            for camera in first.pictures
        },
        "colours": _colours(),
        "end": END,
        "policies": [_policy(name, list(by_name[name].values()), orientation) for name in names],
    }
    return TEMPLATES.get_template("attention.html").render(
        title=title,
        instruction=first.seen.instruction,
        cameras=list(first.pictures),
        policies=names,
        last=len(moments) - 1,
        again=again,
        data=Markup(json.dumps(data).replace("</", "<\\/")),
    )


def _policy(name: str, seen: Sequence[Seen], orientation: Orientation) -> Mapping[str, Any]:
    """Maps of one policy: levels 0..255 of ``[moment][layer][head]``, layer 0 and head 0: means."""
    attention = seen[0].attention
    part = next(
        part
        for part, read in seen[0].captured.parts.items()
        if any(token.kind == "image" for token in read.tokens)
    )
    cameras = {}
    for camera, grid in attention.cameras.items():
        edges = _upright(grid, orientation)
        cameras[camera] = {"rows": grid.rows, "columns": grid.columns, "edges": edges}
    levels = [_levels(one.captured.parts[part], attention, orientation) for one in seen]
    shape = levels[0].shape  # layers + 1, heads + 1, tokens
    return {
        "name": name,
        "cameras": cameras,
        "layers": shape[0] - 1,
        "heads": shape[1] - 1,
        "levels": base64.b64encode(np.stack(levels).tobytes()).decode(),
    }


def _levels(read: Read, attention: Attention, orientation: Orientation) -> NDArray[np.uint8]:
    """[layers + 1, heads + 1, image tokens], camera by camera, upright, row by row."""
    by_head = read.by_head.mean(axis=0)  # [L, H, K], over flow steps
    by_layer = np.concatenate([by_head.mean(axis=0, keepdims=True), by_head])
    every = np.concatenate([by_layer.mean(axis=1, keepdims=True), by_layer], axis=1)
    place = {
        (token.name, token.row, token.column): index
        for index, token in enumerate(read.tokens)
        if token.kind == "image"
    }
    order: list[int] = []
    for camera, grid in attention.cameras.items():
        index = np.array(
            [
                [place[camera, row, column] for column in range(grid.columns)]
                for row in range(grid.rows)
            ]
        )
        order += orient(index, orientation).ravel().tolist()
    images = every[..., order]
    lift = images / np.maximum(images.mean(axis=-1, keepdims=True), 1e-12)
    level = np.log(np.clip(lift, 1 / END, END)) / np.log(END)
    return ((level + 1) / 2 * 255).round().astype(np.uint8)


def _upright(grid: Grid, orientation: Orientation) -> Sequence[float]:
    """Top, left, bottom and right of a grid on the upright picture."""
    _, _, top, left, bottom, right = grid
    if orientation == "rotated_180":
        left, right = 1 - right, 1 - left
    elif orientation == "opengl":
        top, bottom = 1 - bottom, 1 - top
    return top, left, bottom, right


def _colours() -> Sequence[Sequence[int]]:
    """256 entries of red, green, blue and opacity in per cent."""
    import matplotlib as mpl

    level = np.linspace(-1, 1, 256)
    colours = (255 * mpl.colormaps[paint.COLOURS]((level + 1) / 2)[:, :3]).round().astype(int)
    opacity = (100 * paint.STRONGEST * np.abs(level)).round().astype(int)
    return np.column_stack([colours, opacity]).tolist()


def _jpeg(picture: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
