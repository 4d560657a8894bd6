"""LIBERO-Plus' five corruptions of the agentview picture, at its ten severities.

The tables and the recipes are those of ``envs/env_wrapper.py`` in the wheel, which took them from
ImageNet-C (Hendrycks and Dietterich, 2019; https://github.com/hendrycks/robustness) and changed the
numbers. Radii are in pixels, so a severity means what it does at 256 x 256 pixels only.

What upstream does in Python loops, through ImageMagick and by 41 enlarged copies of a picture is
done here in one pass each. Given the same random generator the outcome is the same, but for what
the last bit of numpy's ``exp`` decides, which is not that of every version: pixels of Gaussian and
glass blur may be off by one of 255.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SIZE = 256  # pixels, height and width

# Motion blur: length and sigma of the streak, pixels.
STREAKS = (
    (5, 2),
    (8, 3),
    (10, 4),
    (12, 5),
    (15, 6),
    (18, 8),
    (20, 10),
    (25, 12),
    (30, 15),
    (35, 20),
)
# Zoom blur: the largest enlargement (excluded) and the steps to it.
ZOOMS = (
    (1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03),
    (1.36, 0.01), (1.41, 0.01), (1.46, 0.02), (1.51, 0.02), (1.56, 0.03),
)  # fmt: skip
# Fog: how much of it, and how fast its roughness decays.
FOGS = (
    (0.5, 3.0), (1.0, 2.8), (1.5, 2.5), (2.0, 2.2), (2.5, 2.0),
    (3.0, 1.8), (3.5, 1.6), (4.0, 1.5), (4.5, 1.4), (5.0, 1.3),
)  # fmt: skip
# Glass blur: sigma in pixels, how far pixels are taken from, how often.
GLASSES = (
    (0.5, 1, 3), (0.7, 1, 3), (0.9, 2, 3), (1.0, 2, 2), (1.1, 3, 2),
    (1.3, 3, 2), (1.5, 4, 2), (1.8, 4, 2), (2.2, 5, 1), (2.5, 5, 1),
)  # fmt: skip

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]


def corrupt(picture: Picture, number: int, generator: np.random.RandomState) -> Picture:
    """Corrupt uint8 [256, 256, 3], rows bottom to top as LIBERO observes it, by noise 1 to 50.

    Raises ValueError for another size.
    """
    if picture.shape != (SIZE, SIZE, 3):
        raise ValueError(f"noise is defined for {SIZE} x {SIZE} pixels, not {picture.shape}")
    kind, severity = divmod(number - 1, 10)
    return (motion, gaussian, zoomed, fog, glass)[kind](picture, severity, generator)


def motion(picture: Picture, severity: int, generator: np.random.RandomState) -> Picture:
    """A streak on one side of each pixel, in a direction within 45 degrees of the horizontal.

    As ImageMagick 6 makes it with 16 bits a channel (``MotionBlurImageChannel`` in
    ``magick/effect.c``): half a Gaussian of weights, the nearest pixel at each step, and edges
    repeated.
    """
    length, sigma = STREAKS[severity]
    angle = np.radians(generator.uniform(-45, 45))
    steps = np.arange(2 * length + 1)
    weights = np.exp(-(steps**2) / (2.0 * sigma**2))
    weights /= weights.sum()
    down, right = len(steps) * np.sin(angle), len(steps) * np.cos(angle)
    span = np.hypot(right, down)
    columns = np.ceil(steps * right / span - 0.5).astype(np.int64)
    rows = np.ceil(steps * down / span - 0.5).astype(np.int64)
    margin = len(steps)
    padded = np.pad(picture.astype(np.float64), ((margin,) * 2, (margin,) * 2, (0, 0)), "edge")
    blurred = _streaked(padded.reshape(len(padded), -1), weights, rows + margin, columns + margin)
    sixteen_bits = np.floor(blurred * 257 + 0.5)
    return np.clip(sixteen_bits // 257, 0, 255).astype(np.uint8).reshape(picture.shape)


@njit(cache=True)
def _streaked(
    padded: Floats, weights: Floats, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> Floats:
    out = np.zeros((SIZE, SIZE * 3))
    for y in range(SIZE):
        for step in range(len(weights)):
            row, first = padded[y + rows[step]], 3 * columns[step]
            for x in range(SIZE * 3):
                out[y, x] += weights[step] * row[first + x]
    return out


def gaussian(picture: Picture, severity: int, generator: np.random.RandomState) -> Picture:
    """A Gaussian of 1 to 10 pixels; draws nothing."""
    return _bytes(_blurred(picture / 255.0, severity + 1))


def zoomed(picture: Picture, severity: int, generator: np.random.RandomState) -> Picture:
    """The mean of a picture and its enlargements about the middle; draws nothing."""
    pixels = (picture / 255.0).astype(np.float32)
    starts, parts, count = _enlargements(severity)
    total = _zoom_sum(pixels.reshape(SIZE, -1), starts, parts)
    return _bytes((pixels + total.reshape(pixels.shape)) / np.float32(count + 1))


@functools.cache
def _enlargements(severity: int) -> tuple[NDArray[np.int64], Floats, int]:
    """For each enlargement and each pixel of it: the pixel to its left, and how far from that.

    int64 and float64 [n, 256]; a row or column is taken the same way. A place that rounding has put
    beyond the last pixel is black with ``scipy.ndimage.zoom``, and has a distance of NaN here.
    """
    stop, step = ZOOMS[severity]
    factors = np.arange(1, stop, step)
    starts, parts = np.zeros((len(factors), SIZE), np.int64), np.zeros((len(factors), SIZE))
    for number, factor in enumerate(factors):
        cut = int(np.ceil(SIZE / float(factor)))
        size = round(cut * factor)
        places = np.arange(size) * ((cut - 1) / (size - 1))
        trimmed = places[(size - SIZE) // 2 :][:SIZE]
        whole = np.minimum(np.floor(trimmed).astype(np.int64), cut - 2)
        starts[number] = (SIZE - cut) // 2 + whole
        parts[number] = np.where(trimmed > cut - 1, np.nan, trimmed - whole)
    return starts, parts, len(factors)


@njit(cache=True)
def _zoom_sum(
    pixels: NDArray[np.float32], starts: NDArray[np.int64], parts: Floats
) -> NDArray[np.float32]:
    out = np.zeros((SIZE, SIZE * 3), np.float32)
    line = np.empty(SIZE * 3)
    for number in range(len(starts)):
        for y in range(SIZE):
            above, share = starts[number, y], parts[number, y]
            if np.isnan(share):
                continue
            upper, lower = pixels[above], pixels[above + 1]
            for x in range(SIZE * 3):
                line[x] = upper[x] * (1.0 - share) + lower[x] * share
            for x in range(SIZE):
                left, part = 3 * starts[number, x], parts[number, x]
                if np.isnan(part):
                    continue
                for channel in range(3):
                    value = line[left + channel] * (1.0 - part) + line[left + 3 + channel] * part
                    out[y, 3 * x + channel] += np.float32(value)
    return out


def fog(picture: Picture, severity: int, generator: np.random.RandomState) -> Picture:
    """A fractal haze over the picture, which loses contrast by as much."""
    amount, decay = FOGS[severity]
    pixels = picture / 255.0
    brightest = pixels.max()
    haze = _plasma(decay, generator)[..., None]
    return _bytes((pixels + amount * haze) * brightest / (brightest + amount))


def _plasma(decay: float, generator: np.random.RandomState) -> Floats:
    """A height map by the diamond-square algorithm, float64 [256, 256] in 0 to 1; wraps around."""
    heights = np.empty((SIZE, SIZE))
    heights[0, 0] = 0
    step, rough = SIZE, 100.0

    def jittered(sums: Floats) -> Floats:
        return sums / 4 + rough * generator.uniform(-rough, rough, sums.shape)

    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        pairs = corners + np.roll(corners, -1, 0)
        heights[half::step, half::step] = jittered(pairs + np.roll(pairs, -1, 1))
        centers = heights[half::step, half::step]
        beside = corners + np.roll(corners, -1, 1)
        heights[::step, half::step] = jittered((centers + np.roll(centers, 1, 0)) + beside)
        below = corners + np.roll(corners, -1, 0)
        heights[half::step, ::step] = jittered((centers + np.roll(centers, 1, 1)) + below)
        step = half
        rough /= decay
    heights -= heights.min()
    return heights / heights.max()


def glass(
    picture: Picture, severity: int, generator: np.random.RandomState, extent: int = SIZE
) -> Picture:
    """Each pixel is one from nearby, between two Gaussians.

    All pixels are: the wheel has upstream's first version, which left all beyond the first 224 rows
    and columns as they were (``extent`` 224), and which upstream mended on 2025-11-07.
    """
    sigma, reach, times = GLASSES[severity]
    pixels = (_blurred(picture / 255.0, sigma) * 255).astype(np.uint8)
    places = np.arange(extent - reach, reach, -1)
    for _ in range(times):
        moves = generator.randint(-reach, reach, size=(len(places), len(places), 2))
        _displace(pixels, places, moves)
    return _bytes(_blurred(pixels / 255.0, sigma))


@njit(cache=True)
def _displace(pixels: Picture, places: NDArray[np.int64], moves: NDArray[np.int64]) -> None:
    # Upstream means to swap two pixels, but of two numpy views the second is overwritten before it
    # is read: the pixel from nearby is copied here and stays there.
    for i, y in enumerate(places):
        for j, x in enumerate(places):
            for channel in range(3):
                pixels[y, x, channel] = pixels[y + moves[i, j, 1], x + moves[i, j, 0], channel]


def _blurred(pixels: Floats, sigma: float) -> Floats:
    """As ``skimage.filters.gaussian`` does with its defaults."""
    return np.asarray(gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest", truncate=4.0))


def _bytes(pixels: NDArray[np.floating]) -> Picture:
    """From 0 to 1 to bytes, cut off, not rounded."""
    return (np.clip(pixels, 0, 1) * 255).astype(np.uint8)
