"""The tracker finds planted displacements, its own error is stated, and predictions are ranked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from analysis.imagination.displacement import (
    COPY,
    MOVED,
    OBJECT,
    REACH,
    SMALLEST,
    TRACKER,
    blind,
    displacements,
    headline,
    summary,
    tracked,
)
from analysis.imagination.moments import Shown

SIDE, TALL, WIDE = 128, 8, 10
PLACE = (60, 50)
Frame = NDArray[np.uint8]
Gaps = dict[str, float]


def scene(
    place: tuple[int, int] | None, *, textured: bool = True
) -> tuple[Frame, NDArray[np.bool_]]:
    """A box on a table of many greys, and its mask; None: no box."""
    table = np.random.default_rng(0).integers(60, 90, (SIDE, SIDE, 1)).repeat(3, axis=2)
    frame, mask = table.astype(np.uint8), np.zeros((SIDE, SIDE), bool)
    if place is not None:
        y, x = place
        frame[y : y + TALL, x : x + WIDE] = (200, 60, 40)
        if textured:
            frame[y + 2 : y + 4, x + 1 : x + 6] = (20, 220, 40)
        mask[y : y + TALL, x : x + WIDE] = True
    return frame, mask


def at(shift: tuple[int, int]) -> tuple[int, int]:
    return PLACE[0] + shift[0], PLACE[1] + shift[1]


@pytest.mark.parametrize("textured", [True, False])
@pytest.mark.parametrize("shift", [(0, 0), (5, -7), (-12, 20), (30, 0)])
def test_a_known_shift_is_found_to_the_pixel(shift: tuple[int, int], textured: bool) -> None:
    present, mask = scene(PLACE, textured=textured)
    later, _ = scene(at(shift), textured=textured)
    assert tuple(tracked(present, mask, later)) == shift
    soft = gaussian_filter(later.astype(float), (1.5, 1.5, 0)).astype(np.uint8)  # as a codec's
    assert np.linalg.norm(tracked(present, mask, soft) - shift) <= 1


def test_at_the_picture_s_edge_and_out_of_reach() -> None:
    present, mask = scene((2, 3))
    later, _ = scene((12, 3))
    assert tuple(tracked(present, mask, later)) == (10, 0)
    present, mask = scene(PLACE)
    later, _ = scene(at((0, REACH + 20)))
    assert np.linalg.norm(tracked(present, mask, later) - (0, REACH + 20)) > 5


def gaps(predicted: dict[str, Frame], shift: tuple[int, int], hidden: int = 0) -> Gaps:
    """Of one camera and frame; ``hidden`` columns of the box are covered in the true one."""
    present, before = scene(PLACE)
    true, after = scene(at(shift))
    if hidden:
        left = at(shift)[1]
        after[:, left : left + hidden] = False
        true[:, left : left + hidden] = 30
    truth = Shown(true[None, None], {OBJECT: before[None]}, {OBJECT: after[None, None]})
    frames = {name: frame[None, None] for name, frame in predicted.items()}
    return {row["prediction"]: row["gap"] for row in displacements(frames, truth, present[None])}


def test_predictions_are_told_apart_and_the_trackers_own_error_is_stated() -> None:
    shift = (6, 8)
    found = gaps(
        {
            "true": scene(at(shift))[0],
            "half": scene(at((3, 4)))[0],
            "still": scene(PLACE)[0],
            "away": scene(at((-6, -8)))[0],
            "gone": scene(None)[0],
        },
        shift,
    )
    assert found["true"] == found[TRACKER] == 0
    assert found["half"] == 5 and found["still"] == found[COPY] == 10 and found["away"] == 20
    assert found["gone"] > 0, "an object that is nowhere is at no place that is true"
    # A box half behind something: its mask's centroid is not where the box is, and that is told.
    covered = gaps({"true": scene(at(shift))[0]}, shift, hidden=WIDE // 2)
    assert covered[TRACKER] > 1


def test_what_does_not_move_or_cannot_be_seen_is_not_asked() -> None:
    assert gaps({}, (1, 0)) == {} and MOVED == 2
    assert gaps({}, (6, 8), hidden=WIDE) == {} and SMALLEST > 0
    frame = scene(PLACE)[0]
    blind = Shown(frame[None, None], {}, {})
    assert list(displacements({}, blind, frame[None])) == []


def test_means_are_over_episodes_and_few_have_no_interval() -> None:
    rows = pd.DataFrame(
        {
            "policy": "p", "suite": "s", "task_index": 0, "init_state": episode, "seed": 0,
            "offset": 16, "camera": "c", "prediction": name, "gap": gap + wobble,
        }
        for episode, wobble in enumerate((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
        for _ in range(1 + 9 * (episode == 0))  # an episode of many moments weighs as any other
        for name, gap in ((COPY, 10.0), (TRACKER, 1.5), ("imagined", 4.0))
    )  # fmt: skip
    means = summary(rows)
    (line,) = headline(means, 16, "c")
    assert line["imagined"].startswith("4.0 (") and line[TRACKER].startswith("1.5 (")
    assert line["other"] == "-" and set(means["measure"]) == {"displacement"}
    assert (means["episodes"] == 6).all() and (means["low"] < means["mean"]).all()
    assert blind(means, 16, "c") == []
    lost = rows.assign(gap=rows["gap"].where(rows["prediction"] != TRACKER, 12.0))
    assert blind(summary(lost), 16, "c") == ["p"], "it errs by more than the object moves"
    (line,) = headline(summary(rows[rows["init_state"] < 3]), 16, "c")
    assert "(" not in line["imagined"]
    assert len(summary(pd.DataFrame())) == 0 and headline(means, 8, "c") == []
