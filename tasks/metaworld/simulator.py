"""MetaWorld behind the simulator contract: one task, one process, an image where one is asked for.

Upstream's environment is driven as its own benchmarks drive it, ``set_task`` and ``reset`` of a
new environment, to the bit; but its 50 starts are numbered, and it is made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from tasks.metaworld import runtime
from tasks.metaworld.camera import FrameDrawer
from tasks.metaworld.snapshot import Snapshot, seen_qpos
from wambench.errors import InfrastructureFailure
from wambench.facts import Facts, Role
from wambench.suite import Simulator, state_digest

EDITED = ("body_pos", "site_pos")  # all that the resets of the 50 environments change of a model
STATE = mujoco.mjtState.mjSTATE_INTEGRATION
UNSTABLE = (  # MuJoCo warns of these and puts the scene back to its beginning
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
)
FOREVER = 10**9  # control steps: budgets are the protocol's


class MetaWorldSimulator(Simulator):
    """One MetaWorld task with upstream's own judgement of success.

    Args:
        name: upstream's name of the task.
        starts: float64 [n, 3 or 6], see :mod:`tasks.metaworld.starts`.
        rendering: a key of :data:`tasks.metaworld.offers.RENDERINGS`.
    """

    def __init__(self, name: str, starts: NDArray[np.float64], rendering: str) -> None:
        self._name, self._starts = name, starts
        self._env: Any = runtime.upstream().ALL_V3_ENVIRONMENTS[name]()
        env = self._env
        # As set_task does for a benchmark whose goals are not hidden. The bounds were cached when
        # they still were: they would clip every goal to zero, and the expert would go there.
        env._set_task_called, env._freeze_rand_vec, env._partially_observable = True, True, False
        env.__dict__.pop("sawyer_observation_space", None)
        env.max_path_length = FOREVER
        # What it warns of is raised below; by itself it writes a log where the process was started.
        mujoco.set_mju_user_warning(lambda message: None)
        model = env.model
        self._pristine = {field: getattr(model, field).copy() for field in EDITED}
        self._marks = marks_of(name, env)
        self._drawer = FrameDrawer(model, rendering, self._marks)
        self._finder: Any = None
        self._expert: Any = None

    def reset(self, init_state: int, seed: int, *, seed_once_per_task: bool = False) -> None:
        """Begin at a numbered start; 50 control steps in which the hand settles are part of it.

        A start holds all that is ever drawn, so ``seed`` and ``seed_once_per_task`` change
        nothing (upstream's own ``reset(seed=…)`` does not either).
        """
        env = self._env
        for field, values in self._pristine.items():
            getattr(env.model, field)[:] = values
        mujoco.mj_resetData(env.model, env.data)
        env._last_rand_vec = self._starts[init_state].copy()
        self._observed, _ = env.reset()
        self._check()
        self._qpos = seen_qpos(env.model, env.data, self._drawer.scratch)
        self._success = False
        self._expert = None

    def step(self, action: NDArray[np.float64]) -> None:
        """Advance 12.5 ms with an action [4]."""
        self._observed, _, _, _, info = self._env.step(np.asarray(action, np.float64))
        self._check()
        self._qpos = self._env.data.qpos.copy()
        self._success = bool(info["success"])

    def _check(self) -> None:
        """Raise for what upstream and MuJoCo pass over: a scene that became unstable."""
        env = self._env
        found = [kind for kind in UNSTABLE if env.data.warning[kind].number]
        if found or env._did_see_sim_exception:
            what = ", ".join(kind.name for kind in found) or "an exception"
            raise InfrastructureFailure(f"{self._name}: the simulation became unstable ({what})")

    def success(self) -> bool:
        """Upstream's judgement of the last step; False before the first."""
        return self._success

    def snapshot(self) -> NDArray[np.float64]:
        """See :class:`tasks.metaworld.snapshot.Snapshot`."""
        return Snapshot.of(self._env, self._qpos, self._marks).flat()

    def draw(
        self, snapshot: NDArray[np.float64], cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, NDArray[np.uint8]]:
        """Draw upright frames; see :class:`FrameDrawer`."""
        return self._drawer.draw(self._read(snapshot), cameras, size)

    def proprio(self, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """``hand`` [4], the first numbers of upstream's observation."""
        return {name: self._told(name, "hand", self._observed[:4].copy()) for name in names}

    def privileged(self, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """``expert_action`` [4], what upstream's scripted policy would do now."""
        return {name: self._told(name, "expert_action", self._expert_action()) for name in names}

    def _told(self, name: str, known: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
        if name != known:
            raise KeyError(name)
        return value

    def _expert_action(self) -> NDArray[np.float64]:
        if self._expert is None:
            self._expert = runtime.experts().ENV_POLICY_MAP[self._name]()
        return np.clip(np.asarray(self._expert.get_action(self._observed), np.float64), -1.0, 1.0)

    def facts(self, snapshot: NDArray[np.float64]) -> Facts:
        """Positions, contacts and goal of a snapshot; see :class:`FactFinder`."""
        facts: Facts = self._fact_finder().find(self._read(snapshot))
        return facts

    def regions(
        self, snapshot: NDArray[np.float64], cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, Mapping[Role, NDArray[np.bool_]]]:
        """What each pixel shows; see :mod:`tasks.metaworld.regions`."""
        from tasks.metaworld.regions import boxes, masks

        finder, seen = self._fact_finder(), self._read(snapshot)
        shown = self._drawer.bodies(seen, cameras, size, boxes(finder, seen))
        return {name: masks(finder, shown[name]) for name in cameras}

    def _fact_finder(self) -> Any:
        if self._finder is None:
            from tasks.metaworld.facts import FactFinder

            self._finder = FactFinder(self._name, self._env)
        return self._finder

    def _read(self, snapshot: NDArray[np.float64]) -> Snapshot:
        return Snapshot.read(snapshot, self._env.model.nq)

    def digest(self) -> int:
        """Of :meth:`state`."""
        return state_digest(self.state())

    def state(self) -> NDArray[np.float64]:
        """The full physical state, float64 [n]: MuJoCo's integration state, warm start included."""
        model, data = self._env.model, self._env.data
        out = np.empty(mujoco.mj_stateSize(model, STATE))
        mujoco.mj_getState(model, data, out, STATE)
        return out

    @property
    def gl_renderer(self) -> str:
        """OpenGL's name of the renderer in use."""
        return self._drawer.renderer

    def close(self) -> None:
        """Free GL and the environment."""
        self._drawer.close()
        self._env.close()


def marks_of(name: str, env: Any) -> list[int]:
    """The sites that upstream places again after every step, known once there is a goal.

    ``_target_site_config`` needs a goal, which a new environment lacks.
    """
    before, env._target_pos = env._target_pos, np.zeros(3)
    try:
        return [int(env.model.site(site).id) for site, _ in env._target_site_config]
    finally:
        env._target_pos = before
