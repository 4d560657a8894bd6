"""A cell's key moves with everything that decides its result, and with nothing else."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from baselines.scripted import ExpertPolicy, FrozenPolicy, RandomPolicy
from tests.conftest import Install
from tests.toy import ToySuite
from wambench import plugins
from wambench.cells import CellMaker, PolicyChoice, noise_seed, simulator_seed
from wambench.contract import SuiteSpec
from wambench.errors import UserError
from wambench.policy import Policy
from wambench.protocols import Protocol, protocol

SUITE = ToySuite()
TASKS = SUITE.tasks()
RULES = protocol("wambench-1")


class Weighted(FrozenPolicy):
    """A policy whose weights can change."""

    def __init__(self, weights: str = "a") -> None:
        super().__init__()
        self.weights = weights

    def fingerprint(self) -> Mapping[str, str]:
        return {"weights": self.weights}


class OtherSuite(ToySuite):
    def __init__(self, *, spec: SuiteSpec = ToySuite.spec, engine: str = "1", experts: str = ""):
        self.spec, self._engine, self._experts = spec, engine, experts

    def fingerprint(self) -> Mapping[str, str]:
        return {"toy": self._engine}

    def privileged_fingerprint(self, names: Any) -> Mapping[str, str]:
        return {"experts": self._experts} if names and self._experts else {}


def key(
    *,
    label: str = "p",
    name: str = "frozen",
    options: Mapping[str, Any] | None = None,
    policy: Policy | None = None,
    rules: Protocol = RULES,
    suite: ToySuite = SUITE,
    task: Any = TASKS[0],
    init_state: int = 0,
    seed: int = 0,
) -> str:
    choice = PolicyChoice(label, name, options or {})
    maker = CellMaker(choice, policy or Weighted(), rules, suite)
    return maker.make(task, init_state, seed).key


def changed(**changes: Any) -> Protocol:
    return RULES.model_copy(update=changes)


DETERMINANTS: dict[str, dict[str, Any]] = {
    "label": {"label": "another label"},
    "entry point": {"name": "random"},
    "option": {"options": {"noise": 0.2}},
    "policy class": {"policy": RandomPolicy()},
    "weights": {"policy": Weighted("b")},
    "task": {"task": TASKS[1]},
    "instruction": {"task": dataclasses.replace(TASKS[0], instruction="other words")},
    "init states": {"task": dataclasses.replace(TASKS[0], init_states_hash="other")},
    "init state": {"init_state": 1},
    "seed": {"seed": 1},
    "budget of this suite": {"rules": changed(max_steps={"toy": 7})},
    "suite version": {"suite": OtherSuite(spec=SUITE.spec.model_copy(update={"version": 2}))},
    "engine version": {"suite": OtherSuite(engine="2")},
    "settle_steps": {"rules": changed(settle_steps=11)},
    "replan_steps": {"rules": changed(replan_steps=9)},
    "simulator_seed": {"rules": changed(simulator_seed=1)},
    "simulator_seeding": {"rules": changed(simulator_seeding="once_per_task")},
    "render_size": {"rules": changed(render_size=(64, 64))},
    "image_size": {"rules": changed(image_size=(64, 64))},
    "orientation": {"rules": changed(orientation="upright")},
    "gripper": {"rules": changed(gripper="sign")},
    "rendering": {"rules": changed(rendering="lean")},
}

IRRELEVANT: dict[str, dict[str, Any]] = {
    "protocol name": {"rules": changed(name="x", version=3, about="y", source="z", notes=("n",))},
    "trials and seeds": {"rules": changed(trials=3, seeds=(4,))},
    "budget of another suite": {"rules": changed(max_steps={"libero_10": 9})},
    "budget spelt out": {"rules": changed(max_steps={"toy": SUITE.spec.default_max_steps})},
    "experts nobody asks": {"suite": OtherSuite(experts="2")},
    "measured costs": {"suite": OtherSuite(spec=SUITE.spec.model_copy(update={"memory_mb": 9}))},
}


@pytest.mark.parametrize("what", DETERMINANTS)
def test_determinant_changes_the_key(what: str) -> None:
    assert key(**DETERMINANTS[what]) != key()


def test_every_determinant_gives_a_key_of_its_own() -> None:
    assert len({key(), *(key(**changes) for changes in DETERMINANTS.values())}) == 23


@pytest.mark.parametrize("what", IRRELEVANT)
def test_other_things_leave_the_key(what: str) -> None:
    assert key(**IRRELEVANT[what]) == key()


def test_experts_matter_to_those_who_ask() -> None:
    asked = [key(policy=ExpertPolicy(), suite=OtherSuite(experts=e)) for e in "12"]
    assert asked[0] != asked[1]


def test_order_of_options_does_not_matter() -> None:
    assert key(options={"a": 1, "b": {"c": 2, "d": 3}}) == key(
        options={"b": {"d": 3, "c": 2}, "a": 1}
    )


BASE = """
from baselines.scripted import FrozenPolicy
class Base(FrozenPolicy):
    pass
"""
CHILD = """
from stranger_base import Base
class Child(Base):
    pass
"""


@pytest.mark.parametrize("edited", ["stranger_base.py", "stranger_child.py"])
def test_source_of_a_policy_and_of_what_it_inherits_matters(
    install: Install, tmp_path: Any, edited: str
) -> None:
    modules = {"stranger_base.py": BASE, "stranger_child.py": CHILD}
    install("stranger", modules, {plugins.POLICIES: {"child": "stranger_child:Child"}})
    before = key(policy=plugins.make_policy("child", {}))
    file = tmp_path / "site-packages" / edited
    file.write_text(file.read_text() + "# a better idea\n")
    for name in ("stranger_base", "stranger_child"):
        importlib.reload(sys.modules[name])
    assert key(policy=plugins.make_policy("child", {})) != before


class Unhashable(FrozenPolicy):
    def fingerprint(self) -> Any:
        return {"weights": object()}


class Missing(FrozenPolicy):
    def fingerprint(self) -> Mapping[str, str]:
        raise FileNotFoundError("no weights at /nowhere")


@pytest.mark.parametrize(("kind", "why"), [(Unhashable, "object"), (Missing, "no weights")])
def test_broken_fingerprint_is_the_users_error(kind: type[FrozenPolicy], why: str) -> None:
    with pytest.raises(UserError, match=f"'p' has no usable fingerprint.*{why}"):
        key(policy=kind())


def test_noise_is_shared_by_policies_and_protocols_and_fresh_each_step() -> None:
    def cell(label: str, rules: Protocol, **at: int) -> Any:
        maker = CellMaker(PolicyChoice(label, label), Weighted(label), rules, SUITE)
        return maker.make(TASKS[at.get("task", 0)], at.get("init_state", 0), at.get("seed", 0))

    one, other = cell("p", RULES), cell("q", protocol("openpi"))
    assert one.key != other.key
    assert [noise_seed(one, step) for step in range(9)] == [
        noise_seed(other, step) for step in range(9)
    ]
    cells = [
        one,
        cell("p", RULES, task=1),
        cell("p", RULES, init_state=1),
        cell("p", RULES, seed=1),
    ]
    seeds = {noise_seed(cell, step) for cell in cells for step in range(-1, 50)}
    assert len(seeds) == 4 * 51
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    ("seeding", "expected"),
    [("each_episode", [7, 7]), ("once_per_task", [7, 7]), ("plus_init_state", [7, 12])],
)
def test_simulator_seed(seeding: str, expected: list[int]) -> None:
    rules = changed(simulator_seed=7, simulator_seeding=seeding)
    assert [simulator_seed(rules, state) for state in (0, 5)] == expected
