"""Other lights: dimmer or brighter, tinted, from the side, with hard shadows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import mujoco

LAMPS = (
    "light_pos",
    "light_dir",
    "light_diffuse",
    "light_specular",
    "light_castshadow",
    "light_active",
)
HEADLIGHT = ("ambient", "diffuse", "specular")
DIRECTIONAL = 1  # mujoco.mjtLightType.mjLIGHT_DIRECTIONAL


@dataclass(frozen=True)
class Light:
    """How a scene is lit, against how it was.

    Attributes:
        level: of all light, 1 is as it was.
        red, green, blue: share of this colour that is left of it.
        turned_deg: how far the lamps are carried round the middle of the scene, from overhead
            towards the left (positive) or the right edge of agentview's picture.
        shadows: whether lamps cast them; LIBERO's do not. A lamp that lights a whole kitchen from
            above is off meanwhile: OpenGL adds lamps that cast shadows without a bound.
    """

    level: float = 1.0
    red: float = 1.0
    green: float = 1.0
    blue: float = 1.0
    turned_deg: float = 0.0
    shadows: bool = False


PLAIN = Light()


@dataclass(frozen=True)
class LightVariant:
    """A light, and how it is reported: see :class:`wambench.suite.Factors`."""

    kind: str
    magnitude: float
    unit: str
    light: Light


def _grid() -> tuple[LightVariant, ...]:
    levels = [
        LightVariant("level", level, "x", Light(level)) for level in (0.2, 0.35, 0.5, 0.7, 1.5)
    ]
    # Green is left in the middle, as on the way from daylight to a lamp's light.
    warm = [
        LightVariant("warm", taken, "blue taken", Light(1.0, 1.0, 1 - taken / 2, 1 - taken))
        for taken in (0.2, 0.4, 0.6)
    ]
    cold = [
        LightVariant("cold", taken, "red taken", Light(1.0, 1 - taken, 1 - taken / 2, 1.0))
        for taken in (0.2, 0.4, 0.6)
    ]
    sides = [
        LightVariant(f"from the {side}", angle, "deg", Light(turned_deg=sign * angle))
        for side, sign in (("left", 1.0), ("right", -1.0))
        for angle in (25.0, 50.0, 75.0)
    ]
    shadows = [
        LightVariant("hard shadows", angle, "deg", Light(turned_deg=angle, shadows=True))
        for angle in (0.0, 25.0, 50.0)
    ]
    return (*levels, *warm, *cold, *sides, *shadows)


LIGHTS = _grid()


class Lamps:
    """The lamps of one compiled scene.

    Args:
        model: the scene as LIBERO lights it.
        middle: [3] the point that lamps are turned about, m, world.
    """

    def __init__(self, model: mujoco.MjModel, middle: ArrayLike) -> None:
        self._model, self._middle = model, np.asarray(middle, np.float64)
        self._lamps = {name: getattr(model, name).copy() for name in LAMPS}
        # MuJoCo 3.3.3 has put types in the place of a flag.
        flag = hasattr(model, "light_directional")
        self._sky = (model.light_directional if flag else model.light_type) == DIRECTIONAL
        headlight = model.vis.headlight
        self._headlight = {name: getattr(headlight, name).copy() for name in HEADLIGHT}

    def set(self, light: Light) -> None:
        """Light the scene in this way, whatever was set before."""
        model, colour = self._model, light.level * np.array([light.red, light.green, light.blue])
        for name, values in self._headlight.items():
            getattr(model.vis.headlight, name)[:] = values * colour
        for name in ("light_diffuse", "light_specular"):
            getattr(model, name)[:] = self._lamps[name] * colour
        turn = _about_x(np.deg2rad(light.turned_deg))
        model.light_pos[:] = (self._lamps["light_pos"] - self._middle) @ turn.T + self._middle
        model.light_dir[:] = self._lamps["light_dir"] @ turn.T
        if not light.turned_deg:  # to the bit
            model.light_pos[:] = self._lamps["light_pos"]
        model.light_castshadow[:] = light.shadows or self._lamps["light_castshadow"]
        model.light_active[:] = self._lamps["light_active"]
        if light.shadows:
            model.light_active[self._sky] = 0


def _about_x(angle: float) -> NDArray[np.float64]:
    """Rotation [3, 3] about the axis that runs from the robot to agentview's camera."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
