"""The documentation's example is a package that works, and the contract is documented whole."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests import running
from tests.conftest import CommandLine, Install
from tests.toy import ToySimulator
from wambench import Observation, PolicySpec, Simulator, Suite, SuiteSpec, plugins, sweepfile
from wambench.episode import EpisodeRecord, run_episode
from wambench.policy_server import LocalClient, answer_batch

DOCS = Path(__file__).parents[1] / "docs"
POLICIES, SUITES = ((DOCS / f"{name}.md").read_text() for name in ("policies", "suites"))


def block(text: str, language: str) -> str:
    """The only fenced block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return str(found)


SWEEP: dict[str, Any] = yaml.safe_load(block(POLICIES, "yaml"))


@pytest.fixture
def example(install: Install) -> None:
    """The documented package, installed from the documented metadata."""
    project = tomllib.loads(block(POLICIES, "toml"))
    (module,) = project["tool"]["setuptools"]["py-modules"]
    install(
        project["project"]["name"],
        {f"{module}.py": block(POLICIES, "python")},
        project["project"]["entry-points"],
    )


def test_example_is_short() -> None:
    lines = [line for line in block(POLICIES, "python").splitlines() if line.strip()]
    assert len(lines) <= 40


@pytest.mark.usefixtures("example", "toy")
def test_example_runs_on_another_suite() -> None:
    plan = sweepfile.plan(sweepfile.SweepFile.model_validate(SWEEP | {"suites": {"toy": "all"}}))
    assert {cell.policy for cell in plan.cells} == {"drift", "drift-fast"}
    for policy in plan.policies.values():
        policy.load()

    def play(cell: Any) -> EpisodeRecord:
        policy, task = plan.policies[cell.policy], plan.tasks["toy", cell.task_index]
        setting = plan.setting(cell)
        return run_episode(cell, setting, ToySimulator(task), LocalClient(policy))

    speeds: dict[str, set[float]] = {label: set() for label in plan.policies}
    for cell in plan.cells:
        record = play(cell)
        assert record.fault == "" and record.looks == -(-record.steps // 8) > 0
        assert play(cell).trace.pack() == record.trace.pack(), "the same cell, the same result"
        speeds[cell.policy] |= {*record.trace.actions[:, 0]}
    assert len(speeds["drift"]) > 6 and speeds["drift"] != speeds["drift-fast"]
    assert all(not policy.memory for policy in plan.policies.values()), "it forgets"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("example", "toy")
def test_example_keeps_the_batching_rule() -> None:
    def answers(batches: list[list[int]]) -> dict[int, np.ndarray]:
        policy = plugins.make_policy("drift", {})
        policy.load()
        chunks = {}
        for number in range(4):
            start: Any = type("Start", (), {"episode": str(number), "action": suite.spec.action})
            policy.reset(start)
        for batch in batches:
            seen = [Observation(str(n), 0, "", n, {"agentview": images[n]}, {}, {}) for n in batch]
            chunks |= dict(
                zip(batch, (a.unwrap() for a in answer_batch(policy, seen)), strict=True)
            )
        return chunks

    suite = plugins.make_suite("toy")
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    together, alone = answers([[0, 1, 2, 3]]), answers([[3], [1], [0], [2]])
    assert all(np.array_equal(together[n], alone[n]) for n in range(4))


@pytest.mark.usefixtures("example")
def test_documented_commands_know_the_example(
    wambench: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text(block(POLICIES, "yaml"))
    commands = re.findall(r"^wambench (.* drift|.*--dry-run)$", POLICIES, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        ended = wambench(*command.split())
        assert (ended.code, ended.err) == (0, "") and "drift" in ended.out


@pytest.mark.slow
@pytest.mark.usefixtures("example")
def test_example_sweeps_a_real_task(tmp_path: Path) -> None:
    changed = SWEEP | {"protocol_changes": {"max_steps": {"libero_object": 20}}}
    running.sweep(tmp_path / "sweep.yaml", yaml.safe_dump(changed), tmp_path / "run")
    table = running.episodes_csv(tmp_path / "run").decode().splitlines()
    assert len(table) == 1 + 2 * 2
    assert all(",failure,20," in row for row in table[1:]), table


def members(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")} - {"spec"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (POLICIES, set(PolicySpec.model_fields)),
        (POLICIES, set(Observation.__dataclass_fields__)),
        (SUITES, set(SuiteSpec.model_fields)),
        (SUITES, members(Suite) | members(Simulator)),
    ],
    ids=["PolicySpec", "Observation", "SuiteSpec", "Suite and Simulator"],
)
def test_every_part_of_the_contract_is_documented(text: str, names: set[str]) -> None:
    assert names and {name for name in names if not re.search(rf"`{name}\b", text)} == set()
