"""A policy that computes otherwise is noticed, named, and never mixed in silence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from analysis.report.data import collect as read_report
from baselines.core.machine import CPU
from tests.conftest import Install
from tests.running import wambench
from wambench import Policy, PolicySpec, plugins
from wambench.arithmetic import Arithmetic, arithmetic_of
from wambench.contract import Observation
from wambench.profile.observations import observations
from wambench.store import Store

PROBE = """
import json
from wambench import plugins
from wambench.arithmetic import arithmetic_of
policy = plugins.make_policy("nano-pi0", {})
policy.load()
print(json.dumps(arithmetic_of(policy).model_dump()))
"""


def nano(**environment: str) -> Arithmetic:
    """How a process of its own computes."""

    ended = subprocess.run(
        [sys.executable, "-c", PROBE], env=os.environ | environment,
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return Arithmetic.model_validate(json.loads(ended.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def here() -> Arithmetic:
    return nano()


def test_a_nano_policy_that_rounds_otherwise_is_told_apart(here: Arithmetic) -> None:
    again = nano()
    plain = nano(ATEN_CPU_CAPABILITY="default")
    assert here == again, "the same processor answers the same"
    assert plain.kernels == "DEFAULT" and plain.threads == 1
    if here.kernels != "DEFAULT":
        assert plain.answers != here.answers
    assert "torch" in here.describe() and here.kernels in here.describe()


@pytest.mark.skipif("avx2" not in CPU.read_text(), reason="a processor without AVX2")
def test_nano_policies_take_kernels_that_other_processors_have(here: Arithmetic) -> None:
    assert here.kernels == "AVX2", "and not the widest that this one has"
    widest = nano(ATEN_CPU_CAPABILITY="avx512", MKL_CBWR="AUTO", ONEDNN_MAX_CPU_ISA="ALL")
    assert widest.kernels != "AVX2", "what the environment says counts"


class Remembers(Policy):
    """Counts its episodes, as none should."""

    spec = PolicySpec(paradigm="test", about="stateful", cameras=("agentview",), horizon=1)

    def __init__(self, error: Exception | None = None, drifts: bool = False) -> None:
        self.memory: dict[str, int] = {}
        self.error, self.drifts, self.calls = error, drifts, 0

    def reset(self, start: object) -> None:
        self.memory[start.episode] = 0  # type: ignore[attr-defined]

    def act(self, seen: list[Observation]) -> list[np.ndarray]:
        if self.error:
            raise self.error
        self.calls += self.drifts
        return [np.array([[one.images["agentview"].mean() + self.calls]]) for one in seen]

    def forget(self, episode: str) -> None:
        del self.memory[episode]


def test_asking_leaves_nothing_behind() -> None:
    policy = Remembers()
    seen = observations(policy.spec, 1, seed=7)
    before = policy.act(seen)
    found = arithmetic_of(policy)
    assert found is not None and len(found.answers) == 32 and policy.memory == {}
    assert np.array_equal(policy.act(seen), before)


def test_what_cannot_be_asked_says_so_and_is_no_conflict_with_itself() -> None:
    broken, drifting = Remembers(ValueError("no")), Remembers(drifts=True)
    answers = [found.answers for p in (broken, drifting) if (found := arithmetic_of(p))]
    assert answers == ["none: it raised ValueError", "not the same twice"]
    assert broken.memory == {}
    expert = plugins.make_policy("expert", {})
    assert arithmetic_of(expert) is None, "its sums agree everywhere"


ROUNDS = """
import json
import os
import subprocess
import numpy as np
from wambench import Policy, PolicySpec

class Rounds(Policy):
    spec = PolicySpec(paradigm="test", about="rounds as its machine does", horizon=4)
    def act(self, observations):
        return [np.full((4, 2), 0.1 + float(os.environ.get("LAST_BIT", "0")))] * len(observations)
"""


@pytest.fixture
def file(toy: object, install: Install, tmp_path: Path) -> Path:
    install("rounds", {"rounds.py": ROUNDS}, {plugins.POLICIES: {"rounds": "rounds:Rounds"}})
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({
        "policies": ["rounds", "expert"], "suites": {"toy": [0]}, "init_states": [0],
        "protocol_changes": {"max_steps": {"toy": 8}},
    }))  # fmt: skip
    return path


def test_runs_of_two_arithmetics_are_not_mixed_in_silence(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert wambench("sweep", file, "--out", one).returncode == 0
    monkeypatch.setenv("LAST_BIT", "1e-9")
    assert wambench("sweep", file, "--out", other).returncode == 0

    larger = tmp_path / "larger.yaml"
    larger.write_text(file.read_text().replace("init_states:\n- 0", "init_states: [0, 1]"))
    refused = wambench("sweep", larger, "--out", one)
    assert refused.returncode == 2
    last = refused.stderr.strip().splitlines()[-1]
    assert "arithmetic:rounds: computed with" in last and "there," in last
    assert "--allow-mismatch arithmetic:rounds" in last
    with Store.read(one) as store:
        assert store.episodes() == 2, "nothing was added"

    replayed = wambench("replay", one, "--policy", "rounds")
    assert replayed.returncode == 1 and "differs: arithmetic:rounds: computed" in replayed.stdout

    merged = tmp_path / "merged"
    apart = wambench("merge", one, other, "--out", merged)
    assert apart.returncode == 2 and "arithmetic:rounds: computed with" in apart.stderr
    allow = ("--allow-mismatch", "arithmetic:rounds")
    together = wambench("merge", one, other, "--out", merged, *allow)
    assert together.returncode == 0, together.stderr
    with Store.read(merged) as store, Store.read(one) as first:
        assert {k.final_digest for k in store.cells()} == {k.final_digest for k in first.cells()}
        assert any("rounds are of 2 arithmetics" in line for line in read_report(store).notices)

    allowed = wambench("sweep", larger, "--out", one, *allow)
    assert allowed.returncode == 0, allowed.stderr
    with Store.read(one) as store:
        assert store.episodes() == 4
        assert any("rounds are of 2 arithmetics" in line for line in read_report(store).notices)


DIES = ROUNDS.replace("return [np.full", "os._exit(3); return [np.full")
HANGS = ROUNDS.replace("import os", "import os, time").replace(
    "return [np.full", "time.sleep(9999); return [np.full"
)


@pytest.mark.usefixtures("toy")
def test_a_policy_that_dies_or_hangs_when_asked_stops_nobody_else(
    install: Install, tmp_path: Path
) -> None:
    """It is what an episode would find as well, and must not be what keeps the others waiting."""
    install(
        "hard", {"dies.py": DIES, "hangs.py": HANGS},
        {plugins.POLICIES: {"dies": "dies:Rounds", "hangs": "hangs:Rounds"}},
    )  # fmt: skip
    path, run = tmp_path / "s.yaml", tmp_path / "run"
    path.write_text(yaml.safe_dump({
        "policies": ["dies", "hangs", "expert"], "suites": {"toy": [0]}, "init_states": [0],
    }))  # fmt: skip
    ended = wambench("sweep", path, "--out", run, "--stall-seconds", "5", "--attempts", "1")
    assert ended.returncode == 2 and "2 cells failed by infrastructure" in ended.stderr
    with Store.read(run) as store:
        assert {k.cell.policy: k.outcome for k in store.cells()} == {
            "dies": None, "hangs": None, "expert": "success",
        }  # fmt: skip
        kinds = {attempt["kind"] for attempt in store.attempts()}
    assert kinds == {"policy process", "policy stalled"}
