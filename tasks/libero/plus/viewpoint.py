"""Where LIBERO-Plus puts the agentview camera.

Source: ``_setup_camera`` of the problem classes in the wheel. The fixed point is the table top of
LIBERO's table scenes, also for scenes that have their centre elsewhere. Every stage that moves the
camera rounds to four digits, and the turn about the vertical axis always takes place: so a camera
that is not moved at all is off by up to 5e-5, on every axis but camera too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tasks.libero.plus.variants import View

CENTER = np.array([0.0, 0.0, 0.8])  # m
DIGITS = 4


def moved(
    position: NDArray[np.float64], quaternion: NDArray[np.float64], view: View
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position [3], m, and quaternion [4], w x y z, of a camera that was at the given ones.

    The quaternion is rounded and so not quite of length one.
    """
    if view.elevation:
        up = _up(view.elevation)
        position, quaternion = _rounded(up.apply(position - CENTER) + CENTER, up, quaternion)
    around = Rotation.from_euler("z", view.azimuth, degrees=True)
    position, quaternion = _rounded(around.apply(position), around, quaternion)
    if view.distance != 100:
        position = _digits(CENTER + (position - CENTER) * (view.distance / 100))
    if view.turn:
        turn = Rotation.from_euler("z", view.turn, degrees=True)
        _, quaternion = _rounded(position, turn, quaternion)
    if view.tilt:
        _, quaternion = _rounded(position, _up(view.tilt), quaternion)
    return position, quaternion


def _up(degrees: float) -> Rotation:
    """Of a camera that looks along -x, and of its position about the point it looks at."""
    return Rotation.from_rotvec([0, np.radians(-degrees), 0])


def _rounded(
    position: NDArray[np.float64], turn: Rotation, quaternion: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    turned = turn * Rotation.from_quat(quaternion, scalar_first=True)
    return _digits(position), _digits(turned.as_quat(scalar_first=True))


def _digits(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded as Python does, in decimals; numpy rounds some halves the other way."""
    return np.array([round(float(number), DIGITS) for number in numbers])
