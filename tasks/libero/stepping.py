"""One control step of a robosuite environment, bit-identical to its own and twice as fast.

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

import types
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

SUBSTEPS = 25  # 50 ms of control at 2 ms of simulation
OBSERVED_SUBSTEP = 23
ARM_DIMENSIONS = 6  # of an OSC_POSE action; the seventh is the gripper


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
        self._env = env
        self._model, self._data = env.sim.model._model, env.sim.data._data
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
        in a row, for harnesses whose random generator has gone through earlier trials.
        """
        env = self._env
        for earlier in range(times):
            # LIBERO adds its samplers of drawer and knob positions once more whenever it loads the
            # model: in the constructor, and in every hard reset. Each draws random numbers, and
            # with them moves the fixtures that are placed next.
            env.object_property_initializers = self._initializers * (2 + earlier)
            # Survives soft resets, unlike everything else a hard reset would renew.
            gripper = env.robots[0].gripper
            gripper.current_action = np.zeros_like(gripper.current_action)
            env.sim.reset()
            env.sim.forward()  # building the simulation
            env.sim.forward()  # building the render context
            env._reset_internal()
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
        env, model, data = self._env, self._model, self._data
        env.timestep += 1
        for substep in range(SUBSTEPS):
            mujoco.mj_step1(model, data)
            _solve_constraints(model, data)
            self._control(action, first=substep == 0)
            if substep == OBSERVED_SUBSTEP:
                drawn = data.qpos.copy()
                mujoco.mj_step2(model, data)
                read = data.qpos.copy()
            else:
                mujoco.mj_step2(model, data)
        env.cur_time += env.control_timestep
        lit = self._lit()  # sensors fired before this step's outcome was shown
        env._post_process()  # not _post_action: its reward evaluates the goal, which success() does
        return Observed(drawn, read, lit)

    def _lit(self) -> NDArray[np.float64]:
        return self._model.site_rgba[self.switched_sites, 3].astype(np.float64)

    def _look_up(self) -> None:
        """Note what robosuite looks up by name in every substep; it builds controllers anew."""
        robot, model = self._env.robots[0], self._env.sim.model
        self._controller, self._gripper = robot.controller, robot.gripper
        self._controller.update = types.MethodType(_controller_update, self._controller)
        self._arm_actuators = robot._ref_joint_actuator_indexes
        self._torque_limits = robot.torque_limits
        self._gripper_actuators = [model.actuator_name2id(n) for n in self._gripper.actuators]
        span = model.actuator_ctrlrange[self._gripper_actuators]
        self._gripper_bias = 0.5 * (span[:, 1] + span[:, 0])
        self._gripper_weight = 0.5 * (span[:, 1] - span[:, 0])

    def _control(self, action: NDArray[np.float64], first: bool) -> None:
        """Robosuite's ``SingleArm.control`` without its buffers of past values."""
        controller, data = self._controller, self._data
        if first:
            controller.set_goal(action[:ARM_DIMENSIONS])
        torques = np.clip(controller.run_controller(), *self._torque_limits)
        fingers = self._gripper.format_action(action[ARM_DIMENSIONS:])
        data.ctrl[self._gripper_actuators] = self._gripper_bias + self._gripper_weight * fingers
        data.ctrl[self._arm_actuators] = torques


def _solve_constraints(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """What is left of a forward pass when positions and velocities have not changed."""
    mujoco.mj_forwardSkip(model, data, mujoco.mjtStage.mjSTAGE_VEL, True)


def _controller_update(self: Any, force: bool = False) -> None:
    """Robosuite's ``Controller.update`` without repeating kinematics and collisions.

    Keeps to the same MuJoCo calls and the same numpy operations in the same order: the torques
    must come out with the same bits.
    """
    if not (self.new_update or force):
        return
    model, data = self.sim.model._model, self.sim.data._data
    _solve_constraints(model, data)
    site = self.sim.model.site_name2id(self.eef_name)
    self.ee_pos = np.array(data.site_xpos[site])
    self.ee_ori_mat = np.array(data.site_xmat[site].reshape([3, 3]))
    jac_pos, jac_ori = np.zeros((3, model.nv)), np.zeros((3, model.nv))
    mujoco.mj_jacSite(model, data, jac_pos, jac_ori, site)
    self.ee_pos_vel = np.dot(jac_pos, data.qvel)
    self.ee_ori_vel = np.dot(jac_ori, data.qvel)
    self.joint_pos = np.array(data.qpos[self.qpos_index])
    self.joint_vel = np.array(data.qvel[self.qvel_index])
    self.J_pos = np.array(jac_pos[:, self.qvel_index])
    self.J_ori = np.array(jac_ori[:, self.qvel_index])
    self.J_full = np.array(np.vstack([self.J_pos, self.J_ori]))
    mass_matrix = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, mass_matrix, data.qM)
    self.mass_matrix = mass_matrix[self.qvel_index, :][:, self.qvel_index]
    self.new_update = False
