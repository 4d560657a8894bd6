"""Runs of real episodes without Ray: policies meet a simulator in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wambench.cells import CellMaker, PolicyChoice
from wambench.contract import Observation, PolicySpec
from wambench.episode import Setting, run_episode
from wambench.passport import make_passport
from wambench.policy import Policy
from wambench.policy_server import LocalClient
from wambench.protocols import Protocol
from wambench.store import Store
from wambench.suite import Suite


def record_run(
    folder: Path,
    suite: Suite,
    policies: Mapping[str, Policy],
    tasks: Sequence[int],
    init_states: Sequence[int],
    rules: Protocol,
) -> Path:
    """Run every cell, one after the other, and store it as a sweep does."""
    choices = [PolicyChoice(label, label) for label in policies]
    with Store.write(folder, "a test") as store:
        store.set_passport(make_passport(rules, [suite], choices, policies, []))
        for number in tasks:
            task = suite.tasks()[number]
            simulator = suite.open(task, rules.rendering)
            for choice in choices:
                policy = policies[choice.label]
                maker = CellMaker(choice, policy, rules, suite)
                for init_state in init_states:
                    cell = maker.make(task, init_state, 0)
                    setting = Setting(rules, suite.spec, policy.spec, task.start(init_state))
                    store.add_plan([cell], [choice], {choice.label: policy.spec})
                    store.add_episode(run_episode(cell, setting, simulator, LocalClient(policy)))
            simulator.close()
    return folder


class Watcher(Policy):
    """Does as LIBERO's expert does, looks at every step, and remembers what it saw."""

    STATE = ("eef_pos", "eef_axis_angle", "gripper_qpos")
    spec = PolicySpec(
        paradigm="scripted",
        about="a test's",
        cameras=("agentview", "wrist"),
        proprio=STATE,
        privileged=("expert_action",),
    )

    def __init__(self) -> None:
        self._seen: dict[str, list[Observation]] = {}

    def act(self, observations: Sequence[Observation]) -> list[Any]:
        for one in observations:
            self._seen.setdefault(one.episode, []).append(one)
        return [one.privileged["expert_action"][None] for one in observations]

    def seen(self) -> dict[str, NDArray]:
        """``CELL/CAMERA`` -> frames [T, H, W, 3], ``CELL/state`` -> numbers [T, 8]."""
        out = {}
        for key, steps in self._seen.items():
            for camera in self.spec.cameras:
                out[f"{key}/{camera}"] = np.stack([one.images[camera] for one in steps])
            rows = [np.concatenate([one.proprio[name] for name in self.STATE]) for one in steps]
            out[f"{key}/state"] = np.stack(rows)
        return out
