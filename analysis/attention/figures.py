"""Figures for papers: what policies read, when, and what the scores say of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.attention import maps, paint, sheets
from analysis.attention.compare import arm_name
from analysis.attention.reduce import Captured
from analysis.attention.regions import REGIONS
from analysis.attention.scenes import Moment
from analysis.attention.study import Seen
from wambench.contract import Orientation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def over_time(
    seen: Sequence[Seen], camera: str, orientation: Orientation, *, smooth: bool = False
) -> Figure:
    """Rows: the picture with its regions outlined, then the policies. Columns: moments."""
    moments = _in_order([one.moment for one in seen], lambda moment: moment.step)
    names = list(dict.fromkeys(_name(one) for one in seen))
    found = {(_name(one), one.moment.step): one for one in seen}
    lift = {
        key: paint.lifts(maps.sight(one.captured, one.attention).images)
        for key, one in found.items()
    }
    end = paint.scale_end([cameras[camera] for cameras in lift.values()])
    figure, grid = sheets.pictures(len(names) + 1, len(moments))
    for column, moment in enumerate(moments):
        axes = grid[0][column]
        axes.imshow(moment.pictures[camera])
        axes.set_title(f"step {moment.step}", fontsize=8, color=sheets.INK)
        sheets.outline(axes, moment, camera)
        for row, name in enumerate(names, start=1):
            one = found.get((name, moment.step))
            if one is not None:
                shown = lift[name, moment.step][camera]
                picture = moment.pictures[camera]
                grid[row][column].imshow(
                    paint.overlay(
                        picture,
                        shown,
                        one.attention.cameras[camera],
                        end,
                        orientation,
                        smooth=smooth,
                    )
                )
    for axes, name in zip((row[0] for row in grid), ["what there is", *names], strict=True):
        axes.set_ylabel(name, fontsize=8, color=sheets.INK)
    sheets.scale(figure, end)
    sheets.legend(figure)
    return figure


def over_layers(
    one: Seen, camera: str, orientation: Orientation, *, smooth: bool = False
) -> Figure:
    """One decision: rows are flow steps, columns layers.

    Of several parts that read images, the one that most layers have.
    """
    sees = [part for part, read in one.captured.parts.items() if _sees(read.tokens)]
    part = max(sees, key=one.attention.depth)
    captured = Captured({part: one.captured.parts[part]})
    steps, layers = captured.parts[part].mean.shape[:2]
    cells = {
        (step, layer): paint.lifts(
            maps.sight(captured, one.attention, step=step, layer=layer).images
        )[camera]
        for step in range(steps)
        for layer in range(layers)
    }
    end = paint.scale_end(list(cells.values()))
    figure, grid = sheets.pictures(steps, layers)
    picture, own = one.moment.pictures[camera], one.attention.cameras[camera]
    for (step, layer), shown in cells.items():
        grid[step][layer].imshow(
            paint.overlay(picture, shown, own, end, orientation, smooth=smooth)
        )
    for layer in range(layers):
        grid[0][layer].set_title(f"layer {layer}", fontsize=8, color=sheets.INK)
    for step in range(steps):
        grid[step][0].set_ylabel(f"flow step {step}", fontsize=8, color=sheets.INK)
    figure.suptitle(f"{_name(one)}, control step {one.moment.step}", fontsize=9, color=sheets.INK)
    sheets.scale(figure, end)
    return figure


def imagined(one: Seen, camera: str, orientation: Orientation, *, smooth: bool = False) -> Figure:
    """What actions read of the present and of each imagined frame, over what then was seen."""
    found = maps.sight(one.captured, one.attention)
    frames = {0: found.images[camera]} | {
        frame: weights for (frame, name), weights in found.imagined.items() if name == camera
    }
    mean = np.mean([w.mean() for w in frames.values()]) or 1.0
    lift = {frame: weights / mean for frame, weights in sorted(frames.items())}
    end = paint.scale_end(list(lift.values()))
    figure, grid = sheets.pictures(1, len(lift))
    for column, (frame, shown) in enumerate(lift.items()):
        picture = (one.moment.later if frame else one.moment.pictures)[camera]
        own = one.attention.cameras[camera]
        grid[0][column].imshow(paint.overlay(picture, shown, own, end, orientation, smooth=smooth))
        title = f"imagined frame {frame}" if frame else "present"
        grid[0][column].set_title(title, fontsize=8, color=sheets.INK)
    figure.suptitle(f"{_name(one)}, control step {one.moment.step}", fontsize=9, color=sheets.INK)
    sheets.scale(figure, end)
    return figure


def words(seen: Sequence[Seen]) -> Figure:
    """Rows: policies. Columns: the words of the instruction, mean over the moments given."""
    from matplotlib.colors import LogNorm

    told: dict[str, list[list[tuple[str, float]]]] = {}
    for one in seen:
        found = list(maps.sight(one.captured, one.attention).words)
        told.setdefault(_name(one), []).append(found)
    figure, axes = sheets.single(6.4, 0.5 + 0.45 * len(told))
    heard = [word for word, _ in next(iter(told.values()))[0]]
    rows = []
    for reads in told.values():
        weights = np.mean([[weight for _, weight in read] for read in reads], axis=0)
        rows.append(weights / weights.mean())
    end = paint.scale_end([np.array(row) for row in rows])
    drawn = axes.imshow(rows, cmap=paint.COLOURS, norm=LogNorm(1 / end, end), aspect="auto")
    axes.set_xticks(range(len(heard)), heard, fontsize=8, rotation=35, ha="right")
    axes.set_yticks(range(len(told)), list(told), fontsize=8)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.9)
    sheets.ticks(bar, end)
    bar.set_label("over the mean word's", fontsize=8)
    return figure


def score_bars(means: pd.DataFrame, measure: str, level: float, camera: str) -> Figure:
    """Means with intervals: a panel per region, a line per policy and control, chance dotted."""
    chosen = means[(means["measure"] == measure) & (means["camera"] == camera)]
    chosen = chosen[chosen["view"].eq("mean") & chosen["control"].ne("oracle")]
    arms = zip(chosen["policy"], chosen["control"], strict=True)
    names = list(dict.fromkeys(arm_name(policy, control) for policy, control in arms))
    shown = [name for name in REGIONS if name in set(chosen["region"])]
    figure, (grid,) = sheets.panels(len(shown), 2.0, 0.6 + 0.19 * len(names))
    for axes, name in zip(grid, shown, strict=True):
        part = chosen[chosen["region"] == name]
        for row in part.to_dict("records"):
            at = names.index(arm_name(row["policy"], row["control"]))
            own = row["control"] == ""
            colour = "#0072b2" if own else "#8a8f98"
            axes.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=1.2)
            axes.plot(
                row["mean"], at, "o" if own else "s", color=colour, markersize=4 if own else 3
            )
        axes.axvline(level, color=sheets.INK, linewidth=0.8, linestyle=":")
        axes.set_title(name, fontsize=8, color=sheets.INK)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid:
        axes.set_yticks(range(len(names)), names if axes is grid[0] else [""] * len(names))
    figure.supxlabel(f"{measure}, {camera}; dotted: chance; bars: 95 % over episodes", fontsize=8)
    return figure


def causal_curves(blanking: pd.DataFrame) -> Figure:
    """How far the action moves when the most read, or random, image tokens are blanked or kept.

    ``blanking``: of :func:`analysis.attention.compare.blanking`.
    """
    names = list(dict.fromkeys(blanking["policy"]))
    by: Any = blanking.set_index(["test", "policy", "choice"]).sort_index()
    figure, grid = sheets.panels(len(names), 1.3, 3.4, rows=2)
    for row, (test, what) in zip(
        grid, (("deletion", "blanked"), ("insertion", "kept")), strict=True
    ):
        for axes, name in zip(row, names, strict=True):
            for choice, colour in (("most read", "#c05400"), ("random", "#0072b2")):
                curve = by.loc[(test, name, choice)]
                at = 100 * curve["fraction"].to_numpy()
                axes.plot(at, curve["mean"], "o-", color=colour, markersize=3, linewidth=1.2,
                          label=choice)  # fmt: skip
                axes.fill_between(at, curve["low"], curve["high"], color=colour, alpha=0.2, lw=0)
            axes.set_ylim(0, 1.05 * np.fmax(by.loc[test, "mean"], by.loc[test, "high"]).max())
            axes.label_outer()
            axes.tick_params(labelsize=7)
            axes.spines[["top", "right"]].set_visible(False)
            if test == "deletion":
                axes.set_title(name, fontsize=8, color=sheets.INK)
            axes.set_xlabel(f"{what}, %", fontsize=7)
        row[0].set_ylabel(f"{test}\nchange of the action", fontsize=7)
    figure.legend(
        *grid[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=7,
        frameon=False, title="image tokens blanked or kept; bands: 95 % over episodes",
        title_fontsize=7,
    )  # fmt: skip
    return figure


def _name(one: Seen) -> str:
    return arm_name(one.arm.policy, one.arm.control)


def _sees(tokens: Sequence[Any]) -> bool:
    return any(token.kind == "image" for token in tokens)


def _in_order(moments: Sequence[Moment], key: Callable[[Moment], int]) -> list[Moment]:
    return sorted({moment.step: moment for moment in moments}.values(), key=key)
