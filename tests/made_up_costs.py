"""Closed forms by hand, near the real ones, so that verdicts can be tested without a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEGA = 10**6
CELL = 1024  # pixels

EDITORS = {
    "imagewam-omnigen2": (33, 1, 1, 6_440, 320_000),
    "imagewam-omnigen2-noise-idm": (33, 2, 1, 6_440, 320_000),
    "imagewam-omnigen2-cache-idm": (33, 2, 2, 6_440, 320_000),
    "imagewam-ovis-u1": (318, 1, 1, 1_110, 146_000),
}
"""Tokens of text, pictures, passes of the editor, its FLOPs per token (M) and per pair of them."""


def closed_form(policy: str, options: Mapping[str, Any]) -> Mapping[str, int]:
    """FLOPs per stage in the manner of :func:`wambench.profile.flops.closed_form`.

    Polynomials in the number of 32 x 32 px cells of the picture, fitted by hand.
    """
    height, width = options.get("picture") or (224, 448)
    cells = height * width // CELL
    steps = options.get("steps") or 10
    is_best = options.get("preset") == "best-exact"
    if policy in EDITORS:
        return _other_editor(*EDITORS[policy], cells, steps)
    if policy.startswith("imagewam"):
        size = 2 if "9b" in policy else 1
        tokens = 4 * cells + (64 if is_best else options.get("text_length") or 512)
        found = {
            "text": size * (2_900_000 if is_best else 4_273_000) * MEGA,
            "vision": 4_287 * MEGA * cells,
            "prefill": size * (6_110 * MEGA * tokens + 390_000 * tokens * tokens),
            "act": 24_686 * MEGA * steps * size,
        }
        if imagines := options.get("imagine_steps"):
            found |= {"imagine": imagines * 86_400 * MEGA * cells, "decode": 9_700 * MEGA * cells}
        return found
    clip = cells * (1 + ((options.get("video_frames") or 9) - 1) // 4)
    step = 151_745 * MEGA + (5_500 if is_best else 8_866) * MEGA * clip + 368_600 * clip * clip
    found = {"text": 1_192_000 * MEGA, "vision": 4_759 * MEGA * cells}
    act = {"act": 107_777 * MEGA * steps}
    if policy == "fastwam":
        return found | {"prefill": 10_449 * MEGA * cells} | act
    if policy == "fastwam-joint":
        return found | {"imagine": (step + 110_000 * MEGA) * steps}
    video = {"imagine": step * (options.get("video_steps") or steps), "prefill": step}
    return found | video | act | {"decode": 174_000 * MEGA * cells}


def _other_editor(
    text: int, pictures: int, passes: int, linear: int, quadratic: int, cells: int, steps: int
) -> Mapping[str, int]:
    """An editor that is not FLUX.2; its presets differ too little to matter."""
    tokens = text + 4 * cells * pictures
    once = linear * MEGA * tokens + quadratic * tokens * tokens
    found = {"text": 1_000_000 * MEGA, "vision": 4_287 * MEGA * cells, "prefill": once}
    found |= {"act": 22_500 * MEGA * steps}
    return found | ({"imagine": once} if passes > 1 else {})
