"""One control step of a robosuite environment, bit-identical to its own and several times faster.

robosuite 1.4 evaluates the whole forward dynamics three times per 2 ms substep
(``sim.forward()``, the controller's ``sim.forward()``, and inside ``mj_step``) and polls fifty
observables each time. Kinematics, collisions and velocities come out the same three times, so here
they are computed once; a test compares every state of whole episodes with LIBERO's own
``OffScreenRenderEnv``.

Non-obvious behaviours:

* The *constraint solve* is repeated as often as robosuite repeats it. In MuJoCo 3.3.2 each solve
  starts from the previous one's solution and improves it in the last bit, so leaving one out
  changes the trajectory by 1e-16 at first, and by whether the robot succeeds in the end. For the
  same reason :meth:`Stepper.reset` makes the two forward passes that building a simulation and a
  render context would make in a hard reset.
* What a LIBERO policy sees after a step is not the state after the step. robosuite samples its
  sensors on a clock of its own which, after the two forced updates that every LIBERO reset makes,
  fires in substep 23 of 25, after integration but with the kinematics (geometry, cameras, end
  effector) of the substep's beginning. :class:`Observed` holds exactly that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

ARM_DIMENSIONS = 6  # of an OSC_POSE action; the seventh is the gripper
PLACEMENTS = 100  # further resets of a scene in which objects find no place


@dataclass(frozen=True)
class Observed:
    """What sensors see.

    Attributes:
        drawn: [nq] positions that the kinematics, and so the cameras, show.
        read: [nq] positions that the joint encoders give.
        lit: [number of switched sites] opacity of what LIBERO shows or hides by an object's state
            (the glow of a stove that is on).
    """

    drawn: NDArray[np.float64]
    read: NDArray[np.float64]
    lit: NDArray[np.float64]


class Stepper:
    """Resets and steps one robosuite environment (the level below LIBERO's wrappers)."""

    def __init__(self, env: Any) -> None:
        from tasks.libero import native  # imports robosuite, which wants OpenGL to be chosen

        self._native: Any = native
        self._fresh = True  # since the last reset
        self._fingers = np.zeros(2)
        self._env = env
        self._model, self._data = env.sim.model._model, env.sim.data._data
        # Forces felt at the wrist, that nobody reads: no part of the state.
        self._model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_SENSOR
        self._initializers = list(env.object_property_initializers)
        self._site_rgba = self._model.site_rgba.copy()
        self.switched_sites = [
            env.sim.model.site_name2id(site)
            for name in dict.fromkeys(env.visualization_sites_list)
            for site, _ in env.get_object(name).object_properties["vis_site_names"].values()
        ]

    def reset(self, times: int, init_state: NDArray[np.float64]) -> Observed:
        """Reset and set a state [1 + nq + nv]; ends as a hard reset would, bit for bit.

        A hard reset recompiles the model (0.9 s); this one takes 0.02 s. ``times`` resets are made
        in a row, for harnesses whose random generator has gone through earlier trials. As in
        LIBERO's wrapper, one in which objects find no place is made again.
        """
        from robosuite.utils.errors import RandomizationError

        env, loaded, done = self._env, 1, 0
        while done < times:
            # LIBERO adds its samplers of drawer and knob positions once more whenever it loads the
            # model: in the constructor, and in every hard reset. Each draws random numbers, and
            # with them moves the fixtures that are placed next.
            loaded += 1
            env.object_property_initializers = self._initializers * loaded
            # Survives soft resets, unlike everything else a hard reset would renew.
            gripper = env.robots[0].gripper
            gripper.current_action = np.zeros_like(gripper.current_action)
            env.sim.reset()
            env.sim.forward()  # building the simulation
            env.sim.forward()  # building the render context
            try:
                env._reset_internal()
            except RandomizationError:
                # Crowded scenes leave no room now and then; LIBERO's wrapper then resets again.
                if loaded > times + PLACEMENTS:
                    raise
                continue
            done += 1
            env.sim.forward()
            self._model.site_rgba[:] = self._site_rgba
            env.visualize(vis_settings=dict.fromkeys(env._visualizations, False))
        env.sim.set_state_from_flattened(init_state)
        env.sim.forward()
        env._post_process()
        self._look_up()
        qpos = self._data.qpos.copy()
        return Observed(qpos, qpos, self._lit())

    def step(self, action: NDArray[np.float64]) -> Observed:
        """Advance by one control step with an OSC_POSE action [7]; returns what sensors saw."""
        env, physics, controller = self._env, self._physics, self._controller
        env.timestep += 1
        native = self._native
        if self._fresh:
            self._first_substep(action)
        else:
            native.prepare(physics)
            controller.ee_pos, controller.ee_ori_mat = physics.ee_pos.copy(), physics.ee_mat.copy()
            controller.set_goal(action[:ARM_DIMENSIONS])
        drawn, read = np.empty(self._model.nq), np.empty(self._model.nq)
        native.advance(
            physics,
            self._arm,
            self._gripper,
            controller.goal_pos,
            controller.goal_ori,
            self._fingers,
            float(np.sign(action[ARM_DIMENSIONS])),
            1 if self._fresh else 0,
            drawn,
            read,
        )
        self._fresh = False
        env.cur_time += env.control_timestep
        lit = self._lit()  # sensors fired before this step's outcome was shown
        env._post_process()  # not _post_action: its reward evaluates the goal, which success() does
        return Observed(drawn, read, lit)

    def _first_substep(self, action: NDArray[np.float64]) -> None:
        """Take an episode's first substep, which robosuite's controller takes on old numbers.

        Having looked when it was built, it does not look again before it is first used: the
        Jacobian, the mass matrix and the pose are those of before the initial state was set.
        """
        robot, gripper = self._env.robots[0], self._env.robots[0].gripper
        mujoco.mj_step1(self._model, self._data)
        mujoco.mj_forwardSkip(self._model, self._data, mujoco.mjtStage.mjSTAGE_VEL, True)
        robot.control(action, policy_step=True)
        mujoco.mj_step2(self._model, self._data)
        self._fingers = np.array(gripper.current_action)
        # From here on native.prepare looks, and set_goal must not do so again.
        self._controller.update = lambda force=False: None

    def _lit(self) -> NDArray[np.float64]:
        return self._model.site_rgba[self.switched_sites, 3].astype(np.float64)

    def _look_up(self) -> None:
        """Note what a control step needs of robosuite, which builds controllers anew at reset."""
        robot, model, data, native = self._env.robots[0], self._model, self._data, self._native
        controller = self._controller = robot.controller
        site = model.site(controller.eef_name).id
        self._physics = native.Physics(
            model=model._address,
            data=data._address,
            qpos=data.qpos,
            qvel=data.qvel,
            ctrl=data.ctrl,
            mass=data.qM,
            bias=data.qfrc_bias,
            ee_pos=data.site_xpos[site],
            ee_mat=data.site_xmat[site].reshape(3, 3),
        )
        low, high = robot.torque_limits
        self._arm = native.Arm(
            site=site,
            positions=np.array(controller.qpos_index),
            velocities=np.array(controller.qvel_index),
            actuators=np.array(robot._ref_joint_actuator_indexes),
            low=low,
            high=high,
            stiffness=controller.kp,
            damping=controller.kd,
            initial=controller.initial_joint,
        )
        gripper = robot.gripper
        actuators = [model.actuator(name).id for name in gripper.actuators]
        span = model.actuator_ctrlrange[actuators]
        self._gripper = native.Gripper(
            actuators=np.array(actuators),
            bias=0.5 * (span[:, 1] + span[:, 0]),
            weight=0.5 * (span[:, 1] - span[:, 0]),
            speed=gripper.speed,
        )
        self._fresh = True
