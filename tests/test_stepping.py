"""The compiled substeps round as robosuite and numpy do; tests/test_truth.py has whole episodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.snippets import called_in_simulators_process
from wambench import plugins


def opened() -> Any:
    suite = plugins.make_suite("libero_object")
    return suite.open(suite.tasks()[0], "exact")


def products_differing(order: Any) -> int:
    """Of 200 products, how many are not numpy's to the last bit."""
    opened().close()  # the compiled functions want robosuite
    from tasks.libero import native

    random = np.random.default_rng(0)
    wrong = 0
    for rows, columns in [(3, 3), (3, 22), (3, 51), (7, 6), (6, 7)] * 40:
        matrix = np.array(random.normal(size=(rows, columns)), order=order)
        vector = random.normal(size=columns)
        wrong += bool((native._times(matrix, vector) != np.dot(matrix, vector)).any())
    return wrong


def torques_differing() -> int:
    """Of 30 states, in how many the torques are not robosuite's to the last bit."""
    import mujoco
    from robosuite.controllers.base_controller import Controller

    from tasks.libero import native

    simulator, wrong = opened(), 0
    simulator.reset(0, 0)
    stepper, random = simulator._stepper, np.random.default_rng(1)
    for _ in range(30):
        simulator.step(random.uniform(-1, 1, 7))
        model, data, controller = stepper._model, stepper._data, stepper._controller
        controller.new_update = True
        Controller.update(controller)
        theirs = controller.run_controller()
        jac_pos, jac_mat = np.zeros((2, 3, model.nv))
        mass = np.zeros((model.nv, model.nv))
        mujoco.mj_jacSite(model, data, jac_pos, jac_mat, stepper._arm.site)
        mujoco.mj_fullM(model, mass, data.qM)
        ours = native._torques(
            stepper._physics,
            stepper._arm,
            controller.goal_pos,
            controller.goal_ori,
            jac_pos,
            jac_mat,
            mass,
        )
        wrong += bool((ours != theirs).any())
    simulator.close()
    return wrong


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_matrix_times_a_vector_is_numpys(order: str) -> None:
    assert called_in_simulators_process(products_differing, order) == 0


def test_torques_are_robosuites_to_the_last_bit() -> None:
    assert called_in_simulators_process(torques_differing) == 0
