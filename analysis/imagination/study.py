"""Ask a policy what it imagines at moments of its episodes; score it beside what knows less.

What is compared with the truth: ``imagined``, the policy's; ``untrained``, that of random weights;
``copy``, the present frame; ``other``, what another episode showed; ``noise``. What is true:
``executed``, what the policy's own chunk shows; ``expert``, what the expert's actions show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.imagination.consistency import consistency, redrawn
from analysis.imagination.displacement import displacements
from analysis.imagination.figure import Pictured, chosen
from analysis.imagination.moments import Episode, Looking, Moment, Shown, TaskProcess
from analysis.imagination.places import placed
from analysis.imagination.scoring import scores
from wambench import plugins
from wambench.cells import digest_of
from wambench.contract import Observation, Orientation, orient
from wambench.errors import UserError
from wambench.inference import Imagined
from wambench.policy import Policy
from wambench.profile.observations import observations
from wambench.protocols import Protocol

Frames = NDArray[np.uint8]
FOLLOWED = ("imagined", "untrained", "other")  # in which the object is looked for


@dataclass(frozen=True)
class Answer:
    """What a policy says at a moment: its chunk [H, A], frames [cameras, T, H, W, 3]."""

    chunk: NDArray[np.floating]
    imagined: Frames


@dataclass(frozen=True)
class Found:
    """Of one policy.

    Attributes:
        rows: one per moment, prediction, truth, camera, frame and region.
        drawn: one per moment, camera and frame, of :mod:`analysis.imagination.consistency`.
        moved: one per moment, prediction, camera and frame in which the object moves.
        moments: all that were looked at.
        pictured: some of them, for the figure.
    """

    rows: pd.DataFrame
    drawn: pd.DataFrame
    moved: pd.DataFrame
    moments: Sequence[Moment]
    pictured: Sequence[Pictured]


def untrained(policy: Policy) -> Policy | None:
    """The policy's first control of random weights, loaded; None if it has none."""
    draws = policy.controls().get("untrained", ())
    if not draws:
        return None
    control = plugins.make_policy(draws[0].policy, draws[0].options)
    control.load()
    return control


def ask(policy: Policy, moments: Sequence[Moment], draw: int = 0) -> Sequence[Answer]:
    """What a policy that :func:`imagines` says at moments, in order, with other noise each draw."""
    shown = [redrawn(moment.seen, draw) for moment in moments]
    return [Answer(policy.act([seen])[0], _imagined(policy, seen).frames[0]) for seen in shown]


def imagines(label: str, policy: Policy) -> None:
    """Raise UserError, before work starts, for a policy that shows nothing that it imagines."""
    inference = policy.inference("meta") if policy.spec.track != "scripted" else None
    if inference is None or inference.imagined is None:
        raise UserError(
            f"policy {label!r} imagines no frames, or does not show them; name one that does "
            "(a world-action model)"
        )


def offsets_of(policy: Policy) -> Sequence[int]:
    """How many control steps ahead a loaded policy imagines."""
    (seen,) = observations(policy.spec, 1)
    return tuple(_imagined(policy, seen).offsets)


def _imagined(policy: Policy, seen: Observation) -> Imagined:
    import torch

    inference = policy.inference("loaded")
    assert inference is not None and inference.imagined is not None  # see imagines()
    with torch.inference_mode():
        return inference.imagined(inference.program.run(inference.state([seen])))


def study(
    label: str,
    policy: Policy,
    offsets: Sequence[int],
    episodes: Sequence[Episode],
    rules: Protocol,
    stride: int,
    control: Policy | None = None,
    draws: int = 1,
) -> Found:
    """Score one loaded policy at the moments of episodes, of any tasks.

    Args:
        label: what rows call it.
        policy: that made the episodes, or another one.
        offsets: control steps ahead at which it imagines.
        episodes: stored ones.
        rules: the protocol they were made under.
        stride: control steps between moments.
        control: the same policy with random weights, loaded.
        draws: how often the policy is asked at a moment; consistency takes two or more.
    """
    looking = Looking(rules, policy.spec, stride, tuple(offsets))
    tasks: dict[tuple[str, int], list[Episode]] = {}
    for episode in episodes:
        tasks.setdefault((episode.cell.suite, episode.cell.task_index), []).append(episode)
    every: list[Moment] = []
    predicted: dict[str, list[Frames]] = {"imagined": [], "untrained": []}
    executed: list[Shown] = []
    drawn: list[dict[str, Any]] = []
    for group in tasks.values():
        with TaskProcess() as process:
            moments = process.moments(group, looking)
            answers = list(zip(*(ask(policy, moments, draw) for draw in range(draws)), strict=True))
            chunks = [[one.chunk for one in some] for some in answers]
            shown = process.executed(moments, chunks, looking)
        every += moments
        executed += [some[0] for some in shown]
        predicted["imagined"] += [some[0].imagined for some in answers]
        for moment, said, seen in zip(moments, answers, shown, strict=True):
            found = consistency(
                np.stack([one.imagined for one in said]), np.stack([one.frames for one in seen])
            )
            drawn += placed(found, label, moment, policy.spec.cameras, offsets)
        if control is not None:
            predicted["untrained"] += [one.imagined for one in ask(control, moments)]
    predicted = {name: frames for name, frames in predicted.items() if frames}
    rows: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    for index, moment in enumerate(every):
        guesses = {name: frames[index] for name, frames in predicted.items()}
        guesses |= baselines(every, index)
        followed = {name: guesses[name] for name in FOLLOWED if name in guesses}
        gaps = displacements(followed, executed[index], moment.present)
        moved += placed(gaps, label, moment, policy.spec.cameras, offsets)
        truths = {"executed": executed[index]}
        if moment.expert is not None:
            truths["expert"] = moment.expert
        rows += _rows(label, moment, guesses, truths, policy.spec.cameras, offsets)
    turned = rules.orientation
    pictured = [
        _pictured(every[index], predicted["imagined"][index], executed[index], turned)
        for index in chosen(every)
    ]
    return Found(pd.DataFrame(rows), pd.DataFrame(drawn), pd.DataFrame(moved), every, pictured)


def _pictured(
    moment: Moment, imagined: Frames, executed: Shown, orientation: Orientation
) -> Pictured:
    """Upright, of the first camera, at the last offset."""
    cell = moment.episode.cell

    def upright(frames: Frames) -> Frames:
        return orient(frames[0, -1], orientation)

    return Pictured(
        title=f"{cell.suite}/{cell.task_index}/{cell.init_state}\n"
        f"step {moment.step}, {moment.episode.outcome}",
        present=orient(moment.present[0], orientation),
        imagined=upright(imagined),
        executed=upright(executed.frames),
        expert=upright(moment.expert.frames) if moment.expert else None,
    )


def baselines(moments: Sequence[Moment], index: int) -> Mapping[str, Frames]:
    """Futures that know nothing of this moment's: copy, other (where there is one), noise."""
    moment = moments[index]
    shape = moment.stored.shape
    seed = int(digest_of(["noise", moment.episode.cell.key, moment.step])[:16], 16)
    out = {
        "copy": np.broadcast_to(moment.present[:, None], shape),
        "noise": np.random.default_rng(seed).integers(0, 256, shape, np.uint8),
    }
    key = moment.episode.cell.key
    others = [one for one in moments if one.episode.cell.key != key]
    if others:
        out["other"] = others[seed % len(others)].stored
    return out


def _rows(
    label: str,
    moment: Moment,
    guesses: Mapping[str, Frames],
    truths: Mapping[str, Shown],
    cameras: Sequence[str],
    offsets: Sequence[int],
) -> list[dict[str, Any]]:
    return [
        row | {"prediction": prediction, "truth": truth}
        for truth, shown in truths.items()
        for prediction, frames in guesses.items()
        for row in placed(scores(frames, shown, moment.present), label, moment, cameras, offsets)
    ]
