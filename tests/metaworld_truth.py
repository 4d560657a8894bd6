"""Ours against upstream's own path, in the process of the simulators; results are what JSON holds.

Upstream is driven as its benchmarks do it: a new environment, ``set_task``, ``reset``.
"""

from __future__ import annotations

import pickle
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tasks.metaworld import runtime, starts
from tasks.metaworld.catalogue import SUITES
from wambench import plugins

SIZE = (480, 480)


def opened(name: str, rendering: str = "lean") -> Any:
    """Our simulator of a task."""
    suite = plugins.make_suite(next(suite for suite in SUITES if name in SUITES[suite]))
    task = next(task for task in suite.tasks() if task.name == name)
    return suite.open(task, rendering)


def upstream(name: str, start: int) -> Any:
    """A new environment of upstream's at a start, and not reset yet."""
    from metaworld.types import Task

    kind = runtime.upstream().ALL_V3_ENVIRONMENTS[name]
    env = kind(render_mode="rgb_array", camera_name="corner4")
    vector = starts.table()[name][start]
    told = {"rand_vec": vector, "env_cls": kind, "partially_observable": False}
    env.set_task(Task(name, pickle.dumps(told)))
    return env


def state(env: Any) -> NDArray[np.float64]:
    import mujoco

    kind = mujoco.mjtState.mjSTATE_INTEGRATION
    out = np.empty(mujoco.mj_stateSize(env.model, kind))
    mujoco.mj_getState(env.model, env.data, out, kind)
    return out


def compared(name: str, start: int, steps: int, pictures: bool) -> dict[str, Any]:
    """Play the same random actions in both, ours after another episode and with its pictures."""
    ours, theirs = opened(name, "exact"), upstream(name, start)
    generator = np.random.default_rng(start)
    ours.reset((start + 4) % 50, 0)
    for action in generator.uniform(-1, 1, (20, 4)):
        ours.step(action)
    before = _global_draws()
    ours.reset(start, 7)
    untouched = bool((before == _global_draws()).all())
    observed, _ = theirs.reset()
    moments = [bool((state(theirs) == ours.state()).all() and (observed == ours._observed).all())]
    differ = [_pixels(ours, theirs)] if pictures else []
    for action in generator.uniform(-1, 1, (steps, 4)):
        observed, _, _, _, info = theirs.step(action)
        ours.step(action)
        moments.append(
            bool((state(theirs) == ours.state()).all() and (observed == ours._observed).all())
            and bool(info["success"]) == ours.success()
        )
    if pictures:
        differ.append(_pixels(ours, theirs))
    model = _model_bytes(ours._env.model) == _model_bytes(theirs.model)
    ours.close()
    theirs.close()
    return {"moments": all(moments), "model": model, "pixels": differ, "untouched": untouched}


def _global_draws() -> NDArray[np.uint32]:
    """The state of the generator that upstream draws starts from where none are given."""
    return np.array(np.random.get_state()[1])  # noqa: NPY002


def _pixels(ours: Any, theirs: Any) -> int:
    """How many pixels of the first camera differ; upstream's hangs upside down."""
    drawn = ours.draw(ours.snapshot(), ["corner4"], SIZE)["corner4"]
    return int((theirs.render()[::-1, ::-1] != drawn).any(axis=2).sum())


def _model_bytes(model: Any) -> dict[str, bytes]:
    """What an environment could have edited: every array of the model."""
    found = {name: getattr(model, name, None) for name in dir(model) if not name.startswith("_")}
    return {name: v.tobytes() for name, v in found.items() if isinstance(v, np.ndarray)}


def played(name: str, starts: list[int], steps: int) -> list[list[str]]:
    """Digests of episodes of random actions, one after the other, with a picture now and then."""
    ours, out = opened(name), []
    for start in starts:
        ours.reset(start, 0)
        digests = [hex(ours.digest())]
        for number, action in enumerate(np.random.default_rng(start).uniform(-1, 1, (steps, 4))):
            ours.step(action)
            digests.append(hex(ours.digest()))
            if number == steps // 2:
                ours.draw(ours.snapshot(), ["wrist"], (32, 32))
        out.append(digests)
    ours.close()
    return out


def shown(name: str, start: int) -> dict[str, Any]:
    """An expert's episode and what its snapshots tell afterwards, against what was true then."""
    ours = opened(name)
    ours.reset(start, 0)
    snapshots, reached = [ours.snapshot()], [False]
    while not reached[-1] and len(reached) <= 500:
        ours.step(ours.privileged(["expert_action"])["expert_action"])
        snapshots.append(ours.snapshot())
        reached.append(ours.success())
    last = ours.digest()
    ours.reset(start, 0)
    digest = ours.digest()
    facts = [ours.facts(snapshot) for snapshot in snapshots]
    goals = [moment.goals[0] for moment in facts]
    regions = ours.regions(snapshots[0], ["corner4", "behind"], (96, 128))
    roles = [np.array(list(camera.values())) for camera in regions.values()]
    found = {
        "succeeds": reached[-1],
        "steps": len(reached) - 1,
        "holds": [goal.holds for goal in goals[1:]] == reached[1:],
        "gaps": all((goal.gap == 0) == goal.holds for goal in goals[1:]),
        "subject": goals[0].subject,
        "touched": sorted({name for moment in facts for name in moment.touching("fingers")}),
        "one_role": all(bool((camera.sum(axis=0) == 1).all()) for camera in roles),
        "shares": {
            role: float(mask.mean()) for role, mask in cast(Any, regions["corner4"]).items()
        },
        "undisturbed": digest == ours.digest() != last,
    }
    ours.close()
    return found
