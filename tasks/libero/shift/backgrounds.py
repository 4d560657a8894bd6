"""Other floors, walls and tables: pictures that LIBERO ships, put on the surfaces of a scene.

A picture is brought to the size of the one it takes the place of, so that a compiled scene can be
painted over and over. Objects and the robot stay as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True)
class Surface:
    """A texture's name in LIBERO's scenes, and the picture that LIBERO puts there."""

    texture: str
    picture: str


WALLS = Surface("tex-wall", "light-gray-plaster")
TABLE = Surface("tex-table", "martin_novak_wood_table")
SCENES: Mapping[str, Mapping[str, Surface]] = {
    "libero_tabletop_manipulation": {"table": TABLE, "walls": WALLS},
    "libero_floor_manipulation": {
        "floor": Surface("texplane", "light-gray-floor-tile"),
        "walls": WALLS,
    },
    "libero_kitchen_tabletop_manipulation": {
        "table": TABLE,
        "walls": Surface("tex-kitchen_background", ""),  # cupboards hide the wall
    },
    "libero_living_room_tabletop_manipulation": {
        "table": Surface("tex-living_room_table", ""),
        "walls": WALLS,
    },
    "libero_study_tabletop_manipulation": {"table": Surface("tex-desk", ""), "walls": WALLS},
}
"""Problem -> surface -> what it is; the floor under a table is out of the cameras' view."""

PICTURES: Mapping[str, tuple[str, ...]] = {
    "floor": (
        "dark_floor_texture", "white_marble_floor", "brown_ceramic_tile",
        "seamless_wood_planks_floor", "rustic_floor", "light-gray-floor-tile",
        "gray_ceramic_tile", "marble_floor", "gray_floor",
    ),
    "walls": (
        "dark_blue_wall", "yellow_linen_wall_texture", "dark_green_plaster_wall",
        "light_blue_wall", "ceramic", "dark_gray_plaster", "stucco_wall", "white_wall",
    ),
    "table": (
        "dark_floor_texture", "white_marble_floor", "table_light_wood", "brown_ceramic_tile",
        "seamless_wood_planks_floor", "rustic_floor", "kona_gotham", "dapper_gray_floor",
    ),
}  # fmt: skip
"""Surface -> pictures that may be put there, told apart at a glance."""

EACH = {"table": 8, "floor": 8, "walls": 4}
"""Surface -> variants in which it alone is painted; most of a picture shows what is stood on."""
BOTH = 8


@dataclass(frozen=True)
class BackgroundVariant:
    """Surface -> picture, as pairs; what is not named stays as it is."""

    kind: str
    paint: tuple[tuple[str, str], ...]


@functools.cache
def backgrounds(problem: str) -> tuple[BackgroundVariant, ...]:
    """The twenty variants of a scene: each surface alone, then both at once."""
    fresh = {
        surface: [picture for picture in PICTURES[surface] if picture != now.picture]
        for surface, now in SCENES[problem].items()
    }
    out = [
        BackgroundVariant(surface, ((surface, picture),))
        for surface, pictures in fresh.items()
        for picture in pictures[: EACH[surface]]
    ]
    (below, floors), (behind, walls) = fresh.items()
    for number in range(BOTH):
        paint = (below, floors[number]), (behind, walls[(3 * number + 1) % len(walls)])
        out.append(BackgroundVariant(f"{below} and {behind}", paint))
    return tuple(out)


class Surfaces:
    """What can be painted of one compiled scene.

    Args:
        model: the scene as LIBERO paints it.
        problem: its class, a key of :data:`SCENES`.
        folder: of LIBERO's pictures.
    """

    def __init__(self, model: mujoco.MjModel, problem: str, folder: Path) -> None:
        self._model, self._folder = model, folder
        self._textures = {
            surface: model.texture(known.texture).id for surface, known in SCENES[problem].items()
        }
        self._plain = {surface: self._pixels(surface).copy() for surface in self._textures}
        self._shown: dict[str, str] = {}

    def paint(self, paint: Mapping[str, str]) -> Iterable[int]:
        """Paint surfaces, and all others as they were; returns the textures that have changed."""
        changed = [s for s in self._textures if paint.get(s) != self._shown.get(s)]
        for surface in changed:
            pixels = self._pixels(surface)
            pixels[:] = (
                self._picture(paint[surface], pixels.shape)
                if surface in paint
                else (self._plain[surface])
            )
        self._shown = dict(paint)
        return [self._textures[surface] for surface in changed]

    def _pixels(self, surface: str) -> NDArray[np.uint8]:
        """A view of the model's own copy, uint8 [H, W, 3]."""
        model, number = self._model, self._textures[surface]
        shape = model.tex_height[number], model.tex_width[number], model.tex_nchannel[number]
        start = model.tex_adr[number]
        return model.tex_data[start : start + np.prod(shape)].reshape(shape)

    def _picture(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A picture of LIBERO's, uint8 [H, W, 3], as MuJoCo holds them."""
        with Image.open(self._folder / f"{name}.png") as image:
            fitted = image.convert("RGB").resize((shape[1], shape[0]), Image.Resampling.BOX)
        return np.asarray(fitted)
