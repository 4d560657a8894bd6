"""Where a policy looked when it failed: a row per episode, a column per look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.attention import paint, sheets
from analysis.attention.own.asking import AROUND, Shown
from wambench.contract import Orientation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def failures(
    shown: Sequence[Shown], policy: str, camera: str, orientation: Orientation, *, smooth: bool
) -> Figure:
    """Draw some failed episodes of one policy on one scale.

    The look at or before the step that shows the failure is in the middle; where an episode begins
    or ends nearer to it, places stay empty.
    """
    episodes: dict[tuple[str, int, int, int], list[Shown]] = {}
    for one in shown:
        episodes.setdefault(one.moment.episode, []).append(one)
    lifts = [paint.lifts(one.weights)[camera] for one in shown]
    end = paint.scale_end(lifts)
    figure, grid = sheets.pictures(len(episodes), len(AROUND))
    for row, (place, those) in zip(grid, episodes.items(), strict=True):
        row[0].set_ylabel(_told(those[0], place), fontsize=6, color=sheets.INK)
        for one in those:
            axes = row[AROUND.index(one.way)]
            moment, lift = one.moment, paint.lifts(one.weights)[camera]
            picture, own = moment.pictures[camera], one.grids[camera]
            axes.imshow(paint.overlay(picture, lift, own, end, orientation, smooth=smooth))
            axes.set_title(f"step {moment.step} of {moment.steps}", fontsize=6, color=sheets.INK)
            sheets.outline(axes, moment, camera)
    figure.suptitle(f"{policy}, looks around its failures", fontsize=9, color=sheets.INK)
    sheets.scale(figure, end)
    sheets.legend(figure)
    return figure


def _told(one: Shown, place: tuple[str, int, int, int]) -> str:
    """Which episode, and why it failed."""
    suite, task, state, seed = place
    failure = one.moment.happened.failure if one.moment.happened else None
    why = f"{failure.label}, step {failure.step}" if failure else "why is not known"
    return f"{suite}/{task}\ninit {state}, seed {seed}\n{why}"
