"""wambench from Python: a policy object is evaluated in place, as a sweep would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import CommandLine
from wambench import EpisodeStart, InfrastructureFailure, Observation, Policy, PolicySpec, plugins
from wambench.api import evaluate
from wambench.errors import UserError
from wambench.store import Store, episodes_frame

GOALS = {"go left": -0.8, "go right": 0.8, "grasp in the middle": 0.3}


class Homing(Policy):
    """Goes where the task says, and notes in which process it is asked."""

    spec = PolicySpec(paradigm="scripted", about="a test", proprio=("position",), horizon=4)

    def __init__(self) -> None:
        self.goal, self.asked_in = 0.0, set[int]()

    def load(self) -> None:
        pass

    def reset(self, start: EpisodeStart) -> None:
        self.goal = GOALS[start.instruction]

    def act(self, observations: Sequence[Observation]) -> list[NDArray[np.float64]]:
        self.asked_in.add(os.getpid())
        return [
            np.array([[np.clip((self.goal - o.proprio["position"][0]) / 0.1, -1, 1), 1.0]])
            for o in observations
        ]


@pytest.mark.usefixtures("toy")
def test_a_policy_object_is_evaluated_where_it_is() -> None:
    policy, heard = Homing(), []
    found = evaluate(policy, "toy", init_states="0-2", on_episode=heard.append)
    assert policy.asked_in == {os.getpid()}
    frame = found.episodes()
    assert [*zip(frame.task_index, frame.init_state, strict=True)] == [
        (task, state) for task in range(3) for state in range(3)
    ]
    assert list(found.records) == heard
    assert found.success_rate == (frame.outcome == "success").mean() > 0.5
    again = evaluate(policy, "toy", tasks=[1], init_states=[2])
    assert again.records[0].trace.pack() == found.records[5].trace.pack()


@pytest.mark.usefixtures("toy")
def test_it_ends_as_a_sweep_does(swept: CommandLine, tmp_path: Path) -> None:
    content = {"policies": ["expert"], "suites": {"toy": "all"}, "init_states": "0-1"}
    ended = swept(tmp_path / "s.yaml", content, tmp_path / "run")
    assert ended.code == 0, ended.err
    expert = plugins.make_policy("expert", {})
    expert.load()
    here = evaluate(expert, "toy", init_states="0-1").episodes()
    with Store.read(tmp_path / "run") as store:
        there = episodes_frame(store)
    shared = ["suite", "task", "init_state", "seed", "outcome", "steps"]
    assert here[shared].to_csv() == there[shared].astype({"steps": int}).to_csv()


class Faulty(Homing):
    def act(self, observations: Sequence[Observation]) -> list[NDArray[np.float64]]:
        if observations[0].step > 2:
            raise ValueError("out of ideas")
        return super().act(observations)


class Unlucky(Homing):
    def act(self, observations: Sequence[Observation]) -> list[NDArray[np.float64]]:
        raise InfrastructureFailure("the cable is out")


@pytest.mark.usefixtures("toy")
def test_faults_are_told_apart() -> None:
    faulty = evaluate(Faulty(), "toy", tasks=[0], init_states=[0])
    (record,) = faulty.records
    assert record.outcome == "policy_error" and "out of ideas" in record.fault
    assert faulty.success_rate == 0
    with pytest.raises(InfrastructureFailure, match="the cable is out"):
        evaluate(Unlucky(), "toy", tasks=[0], init_states=[0])


BROKEN = {
    "a simulator that raises": ("raise OSError('no disk')", "the simulator: OSError: no disk"),
    "a process that dies": ("import os; os._exit(7)", "ended with code 7; run wambench doctor"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_simulator_is_no_failure_of_the_policy(kind: str, install: Any) -> None:
    from tests.conftest import TOY

    code, told = BROKEN[kind]
    broken = TOY.replace("        self._grip = float(action[1])", f"        {code}")
    assert broken != TOY
    install("toybench", {"toybench.py": broken}, {plugins.SUITES: {"toy": "toybench:ToySuite"}})
    with pytest.raises(InfrastructureFailure, match=told):
        evaluate(Homing(), "toy", tasks=[0], init_states=[0])


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"suite": "tay"}, "unknown suite 'tay'"),
        ({"tasks": [9]}, "has no task 9"),
        ({"init_states": [99]}, "init state 99 is out of range"),
        ({"protocol": "nano-9"}, "unknown protocol 'nano-9'"),
        ({"init_states": "many"}, "write numbers, a range such as 0-19"),
        ({"protocol_changes": {"rendering": "lean"}}, "toy has no rendering 'lean'"),
    ],
)
def test_bad_wishes_get_one_line(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as refused:
        evaluate(Homing(), **({"suite": "toy"} | given))
    assert told in str(refused.value) and "\n" not in str(refused.value)


SCRIPT = """
import sys
from wambench.api import evaluate
from tests.test_api import Homing
print("once")
found = evaluate(Homing(), "toy", tasks=[0], init_states=[0, 1])
print(found.successes, "torch" in sys.modules, "ray" in sys.modules)
"""


@pytest.mark.usefixtures("toy")
def test_a_script_is_not_run_again_and_needs_neither_torch_nor_ray(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(SCRIPT)
    ended = subprocess.run(
        [sys.executable, file], capture_output=True, text=True, check=False, cwd=Path.cwd(),
        env=os.environ | {"PYTHONPATH": f"{os.environ['PYTHONPATH']}{os.pathsep}{Path.cwd()}"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split("\n")[:2] == ["once", "2 False False"]
