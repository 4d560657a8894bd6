"""LIBERO behind the simulator contract: one task, one process, no image unless one is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.libero import runtime
from tasks.libero.camera import FrameDrawer
from tasks.libero.offers import STAGED
from tasks.libero.stepping import Observed, Stepper
from wambench.facts import Facts, Role
from wambench.suite import Simulator, state_digest

CAMERAS = {"agentview": "agentview", "wrist": "robot0_eye_in_hand"}


class LiberoSimulator(Simulator):
    """One LIBERO task with the official goal predicate and fixed initial states.

    Args:
        bddl_file: the task's goal description.
        init_states: float64 [n, 1 + nq + nv], flattened MuJoCo states.
        rendering: a key of :data:`tasks.libero.offers.RENDERINGS`.
    """

    def __init__(self, bddl_file: str, init_states: NDArray[np.float64], rendering: str) -> None:
        self._init_states = init_states
        self._rendering = rendering
        self._compile(bddl_file)

    def _compile(self, bddl_file: str, **arena: Any) -> None:
        """Make the scene; ``arena``: what else LIBERO's problem class takes (its scene's file)."""
        envs = runtime.simulation_modules()
        with runtime.quiet():
            # No camera observables and no renderer: frames are drawn by FrameDrawer on demand.
            # Soft resets: a hard one recompiles the model, 0.9 s against 0.03 s.
            wrapper = envs.env_wrapper.ControlEnv(
                bddl_file_name=bddl_file,
                use_camera_obs=False,
                has_offscreen_renderer=False,
                hard_reset=False,
                **arena,
            )
        self._env: Any = wrapper.env
        self._stepper = Stepper(self._env)
        self._drawer = FrameDrawer(
            self._env.sim.model._model,
            self._rendering,
            switched_sites=self._stepper.switched_sites,
        )
        self._expert: Any = None
        self._finder: Any = None
        self._stage: Any = None
        self._observed: Observed | None = None

    def reset(self, init_state: int, seed: int, *, seed_once_per_task: bool = False) -> None:
        """Seed, reset, and set the fixed initial state.

        The pose of fixtures (cabinets, stoves) is drawn at reset and is not part of the initial
        state, so the seed belongs to the protocol. LIBERO's wrapper is bypassed: its ``reset``
        swallows every exception in an endless loop.
        """
        resets = init_state + 1 if seed_once_per_task else 1
        self._begin(self._init_states[init_state], seed, resets)

    def _begin(self, state: NDArray[np.float64], seed: int, resets: int) -> None:
        self._env.seed(seed)
        self._observed = self._stepper.reset(resets, state)
        self._expert = self._stage = None

    def step(self, action: NDArray[np.float64]) -> None:
        """Advance 50 ms with an OSC_POSE action [7]."""
        self._observed = self._stepper.step(action)

    def success(self) -> bool:
        """LIBERO's conjunction of BDDL goal predicates."""
        return bool(self._env._check_success())

    def snapshot(self) -> NDArray[np.float64]:
        """Positions [nq] that the cameras see, then the opacity of switched sites."""
        assert self._observed is not None
        return np.concatenate([self._observed.drawn, self._observed.lit])

    def draw(
        self, snapshot: NDArray[np.float64], cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, NDArray[np.uint8]]:
        """Draw upright frames; see :class:`FrameDrawer`."""
        qpos, lit = np.split(snapshot, [self._env.sim.model.nq])
        frames = self._drawer.draw(qpos, lit, [CAMERAS[c] for c in cameras], size)
        return {name: frames[CAMERAS[name]] for name in cameras}

    def proprio(self, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """Return robot readings as LIBERO's observation holds them at the present frame."""
        assert self._observed is not None
        robot = self._env.robots[0]
        kinematics = self._drawer.kinematics(self._observed.drawn)
        read = self._observed.read
        out = {}
        for name in names:
            if name == "eef_pos":
                out[name] = kinematics.site_xpos[robot.eef_site_id].copy()
            elif name == "eef_quat":
                w, x, y, z = kinematics.body(robot.robot_model.eef_name).xquat
                out[name] = np.array([x, y, z, w])
            elif name == "eef_axis_angle":
                w, x, y, z = kinematics.body(robot.robot_model.eef_name).xquat
                out[name] = axis_angle(np.array([x, y, z, w]))
            elif name == "gripper_qpos":
                out[name] = read[robot._ref_gripper_joint_pos_indexes]
            elif name == "joint_pos":
                out[name] = read[robot._ref_joint_pos_indexes]
            else:
                raise KeyError(name)
        return out

    def privileged(self, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """``expert_action`` [7], what the scripted expert would do now, and ``offers.STAGED``."""
        staged = {name for name in names if name in STAGED}
        told = self._staged(staged) if staged else {}
        return {name: told[name] if name in told else self._expert_action(name) for name in names}

    def _expert_action(self, name: str) -> NDArray[np.float64]:
        if name != "expert_action":
            raise KeyError(name)
        if self._expert is None:
            from tasks.libero.experts import Expert

            self._expert = Expert(self._env)
        return np.asarray(self._expert.action())

    def _staged(self, names: Iterable[str]) -> Mapping[str, NDArray[np.float64]]:
        facts = self.facts(self.snapshot())
        if self._stage is None:
            from tasks.libero.staging import Stage

            self._stage = Stage(self._env, self._fact_finder(), facts)
        return {name: self._stage.tell(name, facts) for name in names}

    def facts(self, snapshot: NDArray[np.float64]) -> Facts:
        """Positions, contacts and goal of a snapshot; see :class:`FactFinder`.

        A snapshot is 2 ms older than the state that :meth:`success` judges, so a goal that was
        reached in an episode's last step may not hold in its last snapshot yet.
        """
        return self._fact_finder().find(snapshot[: self._env.sim.model.nq])

    def regions(
        self, snapshot: NDArray[np.float64], cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, Mapping[Role, NDArray[np.bool_]]]:
        """What each pixel shows; see :mod:`tasks.libero.regions`."""
        from tasks.libero.regions import boxes, masks

        finder = self._fact_finder()
        qpos = snapshot[: self._env.sim.model.nq]
        shown = self._drawer.bodies(qpos, [CAMERAS[c] for c in cameras], size, boxes(finder, qpos))
        return {name: masks(finder, shown[CAMERAS[name]]) for name in cameras}

    def _fact_finder(self) -> Any:
        if self._finder is None:
            from tasks.libero.facts import FactFinder

            self._finder = FactFinder(self._env)
        return self._finder

    def digest(self) -> int:
        """Of :meth:`state`."""
        return state_digest(self.state())

    def state(self) -> NDArray[np.float64]:
        """The full physical state, float64 [1 + nq + nv]: time, positions, velocities."""
        return np.asarray(self._env.sim.get_state().flatten())

    @property
    def problem(self) -> str:
        """LIBERO's name of the class of tasks that this one belongs to."""
        return type(self._env).__name__

    @property
    def gl_renderer(self) -> str:
        """OpenGL's name of the renderer in use."""
        return self._drawer.renderer

    def close(self) -> None:
        """Free GL and the environment."""
        self._drawer.close()
        self._env.close()


def axis_angle(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Axis times angle [3], radians in [0, 2 pi), of a unit quaternion [x, y, z, w].

    The convention of robosuite's ``quat2axisangle``, which the LIBERO demonstrations and every
    released policy use: the quaternion is *not* first flipped to w >= 0, so an angle may exceed pi.
    """
    w = float(np.clip(quaternion[3], -1.0, 1.0))
    norm = np.sqrt(1.0 - w * w)
    if np.isclose(norm, 0.0):
        return np.zeros(3)
    return quaternion[:3] * 2.0 * np.arccos(w) / norm
