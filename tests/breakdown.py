"""Where the milliseconds of one simulator go: ``python -m tests.breakdown [SUITE TASK]``.

Opening a task in a fresh process, one control step, and one look of both cameras, each cut into its
parts. ``make bench`` prints it after the comparison; read shares, not seconds.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from tasks import gl
from tasks.libero import runtime
from wambench import plugins

CAMERAS = ("agentview", "wrist")
SIZE = (256, 256)
Parts = dict[str, float]


def milliseconds(call: Callable[[], Any], repeats: int = 200) -> float:
    """Median wall milliseconds of a call."""
    spent = []
    for _ in range(repeats):
        began = perf_counter()
        call()
        spent.append(perf_counter() - began)
    return 1e3 * float(np.median(spent))


def opening(suite_name: str, task: int) -> tuple[Any, Parts]:
    """An open simulator, and what opening it took."""
    parts: Parts = {}

    def charge(name: str, began: float) -> None:
        parts[name] = parts.get(name, 0.0) + 1e3 * (perf_counter() - began)

    began = perf_counter()
    gl.enable()
    runtime.simulation_modules()
    from robosuite.environments.base import MujocoEnv
    from robosuite.utils.binding_utils import MjSim

    importlib.import_module("tasks.libero.simulator")
    charge("imports", began)
    originals = {"_initialize_sim": MujocoEnv._initialize_sim, "from_xml": MjSim.from_xml_string}

    def initialize(env: Any, *arguments: Any) -> None:
        charge("MJCF", building)
        originals["_initialize_sim"](env, *arguments)

    def from_xml(xml: str) -> Any:
        started = perf_counter()
        made = originals["from_xml"](xml)
        charge("compile", started)
        return made

    suite = plugins.make_suite(suite_name)
    building = perf_counter()
    MujocoEnv._initialize_sim, MjSim.from_xml_string = initialize, staticmethod(from_xml)
    try:
        simulator: Any = suite.open(suite.tasks()[task], "exact")
    finally:
        MujocoEnv._initialize_sim = originals["_initialize_sim"]
        MjSim.from_xml_string = originals["from_xml"]
    charge("controller, rest", building)
    parts["controller, rest"] -= parts["MJCF"] + parts["compile"]
    for name, call in (
        ("reset", lambda: simulator.reset(0, 0)),
        ("first step", lambda: simulator.step(np.zeros(7))),
        ("GL, first frames", lambda: simulator.draw(simulator.snapshot(), CAMERAS, SIZE)),
    ):
        began = perf_counter()
        call()
        charge(name, began)
    return simulator, parts


def control_step(simulator: Any) -> Parts:
    """The parts of a control step's substeps, 25 times; the arm and what it touches stand still."""
    import mujoco

    from tasks.libero import native

    stepper, controller = simulator._stepper, simulator._stepper._controller
    model, data, physics = stepper._model, stepper._data, stepper._physics
    jac_pos, jac_mat = np.zeros((2, 3, model.nv))
    mass = np.zeros((model.nv, model.nv))

    def control() -> None:
        mujoco.mj_jacSite(model, data, jac_pos, jac_mat, stepper._arm.site)
        mujoco.mj_fullM(model, mass, data.qM)
        native._torques(
            physics, stepper._arm, controller.goal_pos, controller.goal_ori, jac_pos, jac_mat, mass
        )

    stage = mujoco.mjtStage.mjSTAGE_VEL
    parts = {
        "positions (collisions)": lambda: mujoco.mj_fwdPosition(model, data),
        "velocities": lambda: mujoco.mj_fwdVelocity(model, data),
        "first solve": lambda: mujoco.mj_forwardSkip(model, data, stage, True),
        "second solve": lambda: mujoco.mj_fwdConstraint(model, data),
        "controller": control,
        "third solve, integration": lambda: mujoco.mj_step2(model, data),
    }
    out = {name: native.SUBSTEPS * milliseconds(call) for name, call in parts.items()}
    return out | {
        "goal judged": milliseconds(simulator.success),
        "recorded": milliseconds(lambda: (simulator.snapshot(), simulator.digest())),
    }


def look(simulator: Any) -> Parts:
    """The parts of a look of both cameras."""
    drawer = simulator._drawer
    canvas, model = drawer._canvas, drawer._model
    qpos = simulator.snapshot()[: model.nq]
    out = {"kinematics": milliseconds(lambda: drawer.kinematics(qpos))}
    data = drawer.kinematics(qpos)
    for name in ("agentview", "robot0_eye_in_hand"):
        camera = model.camera(name).id
        out[f"{name}: what it sees"] = milliseconds(
            lambda camera=camera: canvas._culling.passes(data, camera, SIZE)
        )
        out[f"{name}: scene"] = milliseconds(lambda camera=camera: canvas._look(data, camera))
        whole = milliseconds(lambda camera=camera: canvas.draw(data, camera, SIZE), 10)
        out[f"{name}: drawn and read"] = whole - out[f"{name}: what it sees"]
    return out


def main(suite: str, task: int) -> None:
    """Print the three tables of one task."""
    simulator, parts = opening(suite, task)
    for title, table in (
        ("opening, in a fresh process", parts),
        ("a control step", control_step(simulator)),
        (f"a look of both cameras at {SIZE[0]} px, exact", look(simulator)),
    ):
        whole = sum(table.values())
        print(f"\n{suite}/{task}, {title}: {whole:.1f} ms")
        for name, spent in table.items():
            print(f"  {name:38}{spent:9.2f}{100 * spent / whole:6.0f} %")
    simulator.close()


if __name__ == "__main__":
    main(*(sys.argv[1:2] or ["libero_object"]), int((sys.argv[2:3] or ["2"])[0]))
