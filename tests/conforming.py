"""What lines of conformance are held against: a policy that is right, and wrappers that break one.

``Right`` computes its action from all it sees, and the looks' expert is the same sum: so it is
right to the last digit under the conventions it declares, and under no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wambench.conformance import Look, Subject, findings
from wambench.conformance.looks import AHEAD
from wambench.contract import EpisodeStart, Observation, PolicySpec
from wambench.errors import PolicyFault
from wambench.policy import Policy
from wambench.profile.acting import ANY_ACTION
from wambench.protocols import protocol

Chunk = NDArray[np.float64]
INSTRUCTIONS = ("take the soup", "take the milk")
SIDE, HORIZON = 16, 8


def centre(image: NDArray[np.uint8], colour: int) -> Chunk:
    """Where the light of a colour is: row and column, -1 to 1; far off if there is none."""
    rows, columns = image[:, :, colour].nonzero()
    if not len(rows):
        return np.array([3.0, 3.0])
    return np.array([rows.mean(), columns.mean()]) * 2 / (SIDE - 1) - 1


def right(seen: Observation) -> Chunk:
    """The right chunk [HORIZON, 7]."""
    scene, hand = centre(seen.images["agentview"], 0), centre(seen.images["wrist"], 1)
    state, turn = seen.proprio["eef_pos"], seen.proprio["eef_axis_angle"]
    fingers = seen.proprio["gripper_qpos"]
    word = 0.1 if seen.instruction == INSTRUCTIONS[0] else -0.05
    aim = np.array([scene[1], 0.7 * scene[0] + 0.5 * hand[0], hand[1]])
    place = 0.3 * aim - 0.5 * state * [1.0, 1.4, 0.6]
    rotation = [word, 0.05 * turn[0] + fingers[0] - 2 * fingers[1], -word]
    grip = 1.0 if state[2] > 0 else -1.0
    return np.tile(np.clip([*place, *rotation, grip], -1, 1), (HORIZON, 1))


class Right(Policy):
    """Right, up to noise of the observation's seed; refuses what it cannot act on."""

    spec = PolicySpec(
        paradigm="vla",
        about="right",
        cameras=("agentview", "wrist"),
        image_size=(SIDE, SIDE),
        orientation="rotated_180",
        proprio=("eef_pos", "eef_axis_angle", "gripper_qpos"),
        action=ANY_ACTION,
        horizon=HORIZON,
    )

    def act(self, observations: Sequence[Observation]) -> Sequence[Chunk]:
        return [self._act(seen) for seen in observations]

    def _act(self, seen: Observation) -> Chunk:
        if not all(np.isfinite(value).all() for value in seen.proprio.values()):
            raise ValueError("a state is not finite")
        if not seen.instruction:
            raise ValueError("no instruction")
        noise = np.random.default_rng(seen.noise_seed).normal(0, 1e-3, (HORIZON, 7))
        return right(seen) + noise


def looks(seed: int = 0) -> Sequence[Look]:
    """Nine episodes of six looks; w changes its sign from look to look."""
    random, out = np.random.default_rng(seed), []
    for episode in range(9):
        start = EpisodeStart(f"e{episode}", "suite", "task", INSTRUCTIONS[0], 0, ANY_ACTION, 0)
        for step in range(6):
            angle = np.pi + random.choice([-1, 1]) * random.uniform(0.01, 0.1)
            axis = np.array([1.0, *random.normal(0, 0.2, 2)])
            grip = random.uniform(0.01, 0.2)
            seen = Observation(
                episode=start.episode,
                step=step,
                instruction=INSTRUCTIONS[0],
                noise_seed=100 * episode + step,
                images={name: _lit(random, i) for i, name in enumerate(Right.spec.cameras)},
                proprio={
                    "eef_pos": random.uniform(-0.8, 0.8, 3),
                    "eef_axis_angle": angle * axis / np.linalg.norm(axis),
                    "gripper_qpos": np.array([grip, -grip]),
                },
            )
            out.append(Look(start, seen, right(seen)))
    return out


def _lit(random: np.random.Generator, colour: int) -> NDArray[np.uint8]:
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    row, column = random.integers(0, SIDE, 2)
    image[row, column, colour] = 255
    return image


def subject(policy: Policy, seen: Sequence[Look], told: Sequence[str] = INSTRUCTIONS) -> Subject:
    """A policy to be asked about looks whose expert is known."""
    return Subject(policy, "toy", protocol("nano-1"), ANY_ACTION, told, seen)


def statuses(asked: Subject) -> Mapping[str, str]:
    """Line -> passed, failed or cannot be checked."""
    return {finding.line.name: finding.result.status for finding in findings(asked)}


class Album(Policy):
    """Does what the expert did where the pictures were most alike, in another episode."""

    def __init__(self, spec: PolicySpec, pages: Sequence[Look]) -> None:
        self.spec = spec.model_copy(update={"proprio": (), "horizon": AHEAD, "replan_steps": None})
        self._pages = [page for page in pages if len(page.expert) == AHEAD]
        self._pictures = np.array([self._seen(page.seen) for page in self._pages])
        self._here: dict[str, tuple[str, int]] = {}

    def reset(self, start: EpisodeStart) -> None:
        self._here[start.episode] = start.task, start.init_state

    def act(self, observations: Sequence[Observation]) -> Sequence[Chunk]:
        return [self._act(seen) for seen in observations]

    def forget(self, episode: str) -> None:
        del self._here[episode]

    def _act(self, seen: Observation) -> Chunk:
        gaps = np.abs(self._pictures - self._seen(seen)).mean(axis=1)
        for index, page in enumerate(self._pages):
            if (page.start.task, page.start.init_state) == self._here[seen.episode]:
                gaps[index] = np.inf
        return self._pages[int(gaps.argmin())].expert

    def _seen(self, seen: Observation) -> Chunk:
        pictures = [seen.images[name].ravel() for name in self.spec.cameras]
        return np.concatenate(pictures).astype(np.float64)


class Wrapped(Policy):
    """A policy whose questions or answers are tampered with."""

    def __init__(
        self,
        inner: Policy,
        before: Callable[[Observation], Observation] = lambda seen: seen,
        after: Callable[[Chunk, Observation], Chunk] = lambda chunk, seen: chunk,
    ) -> None:
        self.inner, self.before, self.after, self.spec = inner, before, after, inner.spec

    def reset(self, start: EpisodeStart) -> None:
        self.inner.reset(start)

    def forget(self, episode: str) -> None:
        self.inner.forget(episode)

    def act(self, observations: Sequence[Observation]) -> Sequence[Chunk]:
        answers = self.inner.act([self.before(seen) for seen in observations])
        pairs = zip(answers, observations, strict=True)
        return [self.after(np.asarray(chunk, np.float64), seen) for chunk, seen in pairs]


class Mixing(Wrapped):
    """Adds to each answer of a batch something of its neighbours'."""

    def act(self, observations: Sequence[Observation]) -> Sequence[Chunk]:
        answers = super().act(observations)
        return [0.9 * one + 0.1 * np.mean(answers, axis=0) for one in answers]


class Passing(Wrapped):
    """Answers NaN with NaN instead of refusing."""

    def act(self, observations: Sequence[Observation]) -> Sequence[Chunk]:
        try:
            return super().act(observations)
        except (ValueError, PolicyFault):
            if all(np.isfinite(v).all() for one in observations for v in one.proprio.values()):
                raise
            return [np.full((self.spec.horizon, 7), np.nan) for _ in observations]


def remembering(inner: Policy) -> Policy:
    """Draws noise anew only when the seed is another than last, from a stream that goes on."""
    stream, last = np.random.default_rng(0), {"seed": -1, "noise": 0.0}

    def after(chunk: Chunk, seen: Observation) -> Chunk:
        if seen.noise_seed != last["seed"]:
            last.update(seed=seen.noise_seed, noise=stream.normal(0, 1e-3))
        return chunk + last["noise"]

    return Wrapped(inner, after=after)


def unseeded(inner: Policy) -> Policy:
    stream = np.random.default_rng(0)
    return Wrapped(inner, after=lambda chunk, seen: chunk + stream.normal(0, 1e-3))


def shown(inner: Policy, **changes: Callable[[Observation], Any]) -> Policy:
    """Sees something else in the named fields of observations."""

    def before(seen: Observation) -> Observation:
        return replace(seen, **{name: change(seen) for name, change in changes.items()})

    return Wrapped(inner, before=before)


def pictures(inner: Policy, turn: Callable[[Any], Any]) -> Policy:
    return shown(
        inner,
        images=lambda seen: {
            name: np.ascontiguousarray(turn(image)) for name, image in seen.images.items()
        },
    )


def other_form(vector: Chunk) -> Chunk:
    """The same rotation the long way round."""
    angle = np.linalg.norm(vector)
    return vector * (angle - 2 * np.pi) / angle


def scaled(inner: Policy, part: Any, change: Callable[[Chunk], Chunk]) -> Policy:
    def after(chunk: Chunk, seen: Observation) -> Chunk:
        out = chunk.copy()
        out[:, part] = change(out[:, part])
        return out

    return Wrapped(inner, after=after)


BROKEN: Mapping[str, tuple[str, Callable[[Policy], Policy]]] = {
    "mirrored pictures": ("orientation", lambda p: pictures(p, lambda i: i[:, ::-1])),
    "pictures upside down": ("orientation", lambda p: pictures(p, lambda i: i[::-1])),
    "pictures turned": ("orientation", lambda p: pictures(p, lambda i: i[::-1, ::-1])),
    "cameras swapped": (
        "camera order",
        lambda p: shown(
            p, images=lambda s: dict(zip(s.images, reversed(s.images.values()), strict=True))
        ),
    ),
    "rotation the long way": (
        "rotation sign",
        lambda p: shown(
            p,
            proprio=lambda s: (
                s.proprio | {"eef_axis_angle": other_form(s.proprio["eef_axis_angle"])}
            ),
        ),
    ),
    "fingers swapped": (
        "state order",
        lambda p: shown(
            p, proprio=lambda s: s.proprio | {"gripper_qpos": s.proprio["gripper_qpos"][::-1]}
        ),
    ),
    "position and rotation swapped": (
        "state order",
        lambda p: shown(
            p,
            proprio=lambda s: (
                s.proprio
                | {"eef_pos": s.proprio["eef_axis_angle"], "eef_axis_angle": s.proprio["eef_pos"]}
            ),
        ),
    ),
    "unseeded noise": ("determinism", unseeded),
    "remembered noise": ("noise seed", remembering),
    "mixes its batch": ("batch", Mixing),
    "passes NaN on": ("NaN", Passing),
    "half a chunk": (
        "chunk length",
        lambda p: Wrapped(p, after=lambda chunk, seen: chunk[: len(chunk) // 2]),
    ),
    "a longer chunk": (
        "chunk length",
        lambda p: Wrapped(p, after=lambda chunk, seen: np.concatenate([chunk, chunk])),
    ),
    "deaf": ("instruction", lambda p: shown(p, instruction=lambda s: INSTRUCTIONS[0])),
    "fills the instruction in": (
        "empty instruction",
        lambda p: shown(p, instruction=lambda s: s.instruction or INSTRUCTIONS[0]),
    ),
    "blind on one camera": (
        "inputs",
        lambda p: shown(p, images=lambda s: s.images | {"wrist": s.images["wrist"] * 0}),
    ),
    "gripper negated": ("gripper sign", lambda p: scaled(p, -1, lambda grip: -grip)),
    "gripper of 0 to 1": ("gripper scale", lambda p: scaled(p, -1, lambda grip: (grip + 1) / 2)),
    "reflected": ("sideways", lambda p: scaled(p, [1, 3, 5], lambda move: -move)),
    "metres": ("units", lambda p: scaled(p, slice(0, 3), lambda move: 0.05 * move)),
    "not normalised": ("action range", lambda p: scaled(p, slice(0, 3), lambda move: 5 * move)),
}
