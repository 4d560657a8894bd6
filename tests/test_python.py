"""wambench from Python: the commands' own cells, stores and verdicts, as functions."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import wambench
from tests.conftest import SITE, CommandLine, Install, tree
from tests.real import SharedRay
from tests.test_planning import write_run
from wambench import Observation, Policy, PolicySpec, Run, UserError, evaluate, plugins, verdict
from wambench.store import Store, episodes_frame

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
TOY: dict[str, Any] = {
    "policies": ["expert", "random"],
    "suites": {"toy": [0, 1]},
    "init_states": [0],
}
Sweep = Callable[..., Run]


@pytest.fixture
def sweep(shared_ray: SharedRay, tmp_path: Path) -> Sweep:
    """``wambench.sweep`` on the Ray of this worker."""
    shared_ray.find_packages_in(tmp_path / SITE)
    return functools.partial(wambench.sweep, ray_address=shared_ray.address)


# -- importing ---------------------------------------------------------------------------------

HEAVY = ("ray", "torch", "pandas", "statsmodels", "scipy", "matplotlib", "mujoco", "typer")
IMPORTS = """
import sys
import wambench
loaded = [name for name in {heavy} if name in sys.modules] + ["wambench.api"] * (
    "wambench.api" in sys.modules
)
listed = set(wambench.__all__) <= set(dir(wambench))
names = {{}}
exec("from wambench import *", names)
callable_ = all(callable(names[name]) for name in ("Run", "evaluate", "sweep", "verdict"))
named = [name for name in {heavy} if name in sys.modules]
print(loaded, listed, callable_, named)
"""


def test_importing_is_light_and_lists_everything() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(heavy=HEAVY)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.stdout == "[] True True []\n", ended.stderr
    with pytest.raises(AttributeError, match="has no attribute 'swep'"):
        wambench.swep  # noqa: B018


# -- sweeps ------------------------------------------------------------------------------------


def test_a_sweep_of_real_cells_ends_as_the_command(
    small_run: Path, tmp_path: Path, sweep: Sweep
) -> None:
    run = sweep(
        policies=["random", "expert"],
        suites={"libero_object": {"tasks": (2,), "init_states": range(2)}},
        protocol_changes={"max_steps": {"libero_object": 130}},
        out=tmp_path / "run",
        workers=1,
    )
    found = run.episodes()
    with Store.read(small_run) as store:
        table = episodes_frame(store)
    same = table[table.policy.isin(run.policies) & (table.task_index == 2)]
    assert len(found) == 4 and list(found.columns) == list(table.columns)
    assert found.to_csv(index=False) == same.to_csv(index=False), "keys and final states too"
    assert run.policies == ("random", "expert") and len(run.timings()) == 4
    with Store.read(small_run) as store:
        theirs = store.passport()
    assert run.passport is not None and theirs is not None
    assert run.passport.protocol == theirs.protocol


@pytest.mark.usefixtures("toy")
def test_each_goes_on_with_what_the_other_began(
    tmp_path: Path, sweep: Sweep, swept: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    content = TOY | {"init_states": "0-2"}
    ended = swept(tmp_path / "s.yaml", content, tmp_path / "a", "--limit", 5)
    assert ended.code == 0, ended.err
    wanted: dict[str, Any] = TOY | {"init_states": range(3)}
    with_file = sweep(tmp_path / "s.yaml", out=tmp_path / "a")
    assert capsys.readouterr() == ("", ""), "it is silent unless asked"
    by_fields = sweep(**wanted, out=str(tmp_path / "b"), limit=5, progress=True)
    assert "5 cells to run" in capsys.readouterr().err
    assert set(by_fields.episodes().outcome) == {"success", "failure"}
    assert swept(tmp_path / "s.yaml", content, tmp_path / "b").code == 0
    assert with_file.episodes().equals(by_fields.episodes()) and len(with_file.episodes()) == 12
    # Nothing is left to do, and nothing is done, with a limit or without.
    for more in ({}, {"limit": 3}):
        assert sweep(**wanted, out=tmp_path / "b", **more).episodes().equals(with_file.episodes())
    with Store.read(tmp_path / "b") as store:
        commands = [row["command"] for row in store.invocations()]
    assert commands[0].startswith("wambench.sweep(policies=['expert', 'random'], suites=")
    assert "init_states=[0, 1, 2]" in commands[0] and "limit=5" in commands[0]
    assert commands[1].startswith("wambench sweep ")


@pytest.mark.usefixtures("toy")
def test_what_is_left_out_is_a_warning(tmp_path: Path, sweep: Sweep) -> None:
    thinking = {"protocol_changes": {"clock": "paying"}, "latency_ms": (300,)}
    with pytest.warns(UserWarning, match="rule rtc needs a policy") as told:
        run = sweep(**TOY, **thinking, rules=["hold", "rtc"], limit=1, out=tmp_path / "run")
    assert told[0].filename == __file__
    assert run.policies == ("expert 300ms hold", "random 300ms hold")


BROKEN = """
import os
from wambench import Policy, PolicySpec

class Dies(Policy):
    spec = PolicySpec(paradigm="test", about="broken on purpose")
    def act(self, observations):
        os._exit(3)

class Raises(Dies):
    def act(self, observations):
        raise KeyError("norm_stats")
"""


@pytest.mark.usefixtures("toy")
def test_what_must_not_go_unsaid_is_raised_when_all_is_stored(
    tmp_path: Path, sweep: Sweep, install: Install
) -> None:
    entries = {plugins.POLICIES: {"dies": "broken:Dies", "raises": "broken:Raises"}}
    install("broken", {"broken.py": BROKEN}, entries)
    wanted: dict[str, Any] = {"suites": {"toy": 0}, "init_states": 0, "attempts": 1, "workers": 1}
    with pytest.raises(UserError, match="1 cells failed by infrastructure 1 times each"):
        sweep(policies=["dies", "expert"], **wanted, out=tmp_path / "dies")
    kept = Run(tmp_path / "dies").episodes()
    assert kept.set_index("policy").outcome.to_dict() == {"dies": "missing", "expert": "success"}
    with pytest.raises(UserError, match="'raises' broke its contract in all 1 episodes on toy"):
        sweep(policies=["raises", "expert"], **wanted, out=tmp_path / "raises")
    (row,) = Run(tmp_path / "raises").episodes().query("policy == 'raises'").itertuples()
    assert row.outcome == "policy_error" and "norm_stats" in row.fault


FILE = "policies: [expert]\nsuites: {toy: 0}\n"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "sweep: policies: is missing"),
    "no suite": ({"policies": ["expert"]}, "sweep: suites: is missing"),
    "policy": (TOY | {"policies": ["expertt"]}, "did you mean expert"),
    "an object": (TOY | {"policies": [object()]}, "a policy is a name, or a mapping with name"),
    "suite": (TOY | {"suites": {"tay": "all"}}, "unknown suite 'tay'"),
    "task": (TOY | {"suites": {"toy": [7]}}, "toy has no task 7"),
    "init states": (TOY | {"init_states": "many"}, "sweep: init_states.0: write numbers"),
    "option": (
        TOY | {"policies": [{"name": "expert", "option": {}}]}, "policies.0.option: unknown field",
    ),
    "protocol": (TOY | {"protocol": "openpie"}, "did you mean openpi"),
    "file and fields": ({"file": "s.yaml", "seeds": 1}, "seeds belongs in 's.yaml'"),
    "no such file": ({"file": "gone.yaml"}, "cannot read sweep file 'gone.yaml'"),
    "workers": (TOY | {"workers": 0}, "sweep: workers: input should be greater"),
    "too many workers": (TOY | {"workers": 9999}, "workers 9999"),
    "limit": (TOY | {"limit": 0}, "limit 0 is not a number of cells"),
    "shard": (TOY | {"shard": "5/4"}, "shard '5/4' is not i/n"),
    "effect": (TOY | {"effect": 0.1}, "effect 0.1 is of no use without until_decided"),
    "pair": (TOY | {"until_decided": "expert,rando"}, "no policy 'rando'"),
    "looks": (TOY | {"until_decided": ["all"], "look_every": 0}, "look_every 0 is not a number"),
    "memory": (
        TOY | {"memory_gb": 4, "ray_address": "1.2.3.4:5"},
        "memory_gb 4.0 is for this machine; leave it out with ray_address",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("what", REFUSED)
def test_bad_sweeps_get_one_line(what: str, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, told = REFUSED[what]
    monkeypatch.setattr("ray.init", None)
    (work / "s.yaml").write_text(FILE)
    with pytest.raises(UserError) as refused:
        wambench.sweep(**wanted, out="runs/x")
    line = str(refused.value)
    assert told in line and "\n" not in line and "--" not in line, line
    assert [path.name for path in work.iterdir()] == ["s.yaml"], "nothing was written"


@pytest.mark.usefixtures("toy")
def test_a_process_that_has_a_ray_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    monkeypatch.setattr("ray.init", None)
    with pytest.raises(UserError, match=r"connected to a Ray already; call ray\.shutdown\(\)"):
        wambench.sweep(**TOY, out=tmp_path / "run", workers=1)


def test_a_run_is_only_read(tmp_path: Path) -> None:
    run = Run(write_run(tmp_path / "run", {"p": "sf.e", "q": "ssss"}, tasks=2))
    before = tree(tmp_path)
    assert repr(run) == f"Run({str(tmp_path / 'run')!r})" and run.policies == ("p", "q")
    outcomes = run.episodes().query("policy == 'p'").outcome.to_list()
    assert outcomes == ["success", "failure", "missing", "policy_error"]
    assert run.passport is not None and run.passport.protocol["settle_steps"] == 10
    assert tree(tmp_path) == before
    for nowhere in (tmp_path, str(tmp_path / "gone")):
        with pytest.raises(UserError, match="is not a run directory"):
            Run(nowhere)


# -- evaluations -------------------------------------------------------------------------------


class Still(Policy):
    """Does nothing; gives up after ``steps``."""

    spec = PolicySpec(paradigm="test", about="a test", horizon=8)

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def act(self, observations: Sequence[Observation]) -> list[NDArray[np.float64]]:
        if observations[0].step >= self.steps:
            raise ValueError("out of ideas")
        return [np.zeros((8, 7))] * len(observations)


def test_a_policy_that_raises_on_a_real_cell_is_no_broken_evaluation() -> None:
    budget = {"max_steps": {"libero_object": 24}}
    found = evaluate(
        Still(16), "libero_object", tasks=[0], init_states=range(2), protocol_changes=budget,
        label="gives up",
    )  # fmt: skip
    table = found.episodes()
    assert list(table.outcome) == ["policy_error"] * 2 and list(table.steps) == [16, 16]
    assert all("out of ideas" in fault for fault in table.fault)
    assert set(table.policy) == {"gives up"} and found.success_rate == 0
    assert found.passport.protocol["max_steps"]["libero_object"] == 24


# -- verdicts ----------------------------------------------------------------------------------


def test_a_verdict_is_the_commands(tmp_path: Path, wambench: CommandLine) -> None:
    one = Run(write_run(tmp_path / "one", {"p": "ssssssss", "r": "sfsfsfsf"}, tasks=4))
    other = Run(write_run(tmp_path / "other", {"p": "ffffsfff"}, tasks=4))
    answer = verdict(one, other, trend=True)
    ended = wambench("verdict", one.path, other.path, "--trend", "--json")
    assert json.loads(json.dumps(answer.to_dict())) == json.loads(ended.out)
    shown = wambench("verdict", one.path, other.path, "--trend")
    assert str(answer).splitlines() == [line.rstrip() for line in shown.out.splitlines()]
    assert [(j.first, j.second) for j in answer.judgements][1] == (
        f"{one.path}:p", f"{other.path}:p",
    )  # fmt: skip
    assert answer.judgements[1].text == "better"
    assert answer.judgements[1].winner == f"{one.path}:p"
    # Paths do as well, and a margin and a choice of policies are the command's.
    paths = verdict(one.path, str(other.path), trend=True)
    assert paths.to_dict() == answer.to_dict()
    (close,) = verdict("a=50/100", "b=50/100", margin=0.4).judgements
    assert close.text == "equivalent within 40 points" and close.winner is None
    assert len(verdict(one, policy=["r", "p"]).judgements) == 1


def test_the_winner_is_better_than_each() -> None:
    assert verdict("a=90/100", "b=20/100", "c=22/100").winner == "a"
    assert verdict("b=20/100", "a=90/100").winner == "a"
    assert verdict("a=90/100", "b=20/100", "c=89/100").winner is None


def test_tables_are_judged_as_what_they_came_from(tmp_path: Path, wambench: CommandLine) -> None:
    run = Run(write_run(tmp_path / "run", {"p": "sssss.ss", "q": "ffff.sff"}, tasks=4))
    (of_run,) = verdict(run).judgements
    (of_table,) = verdict(run.episodes()).judgements
    assert of_table.rates == of_run.rates and of_table.p_value == of_run.p_value
    assert of_run.basis == "paired on 6 of 7 cells"
    assert of_table.basis == "paired on 6 of 7 cells; conditions unknown"
    assert wambench("export", run.path, "--episodes", tmp_path / "e.csv").code == 0
    (of_file,) = verdict(tmp_path / "e.csv").judgements
    assert (of_file.rates, of_file.basis) == (of_table.rates, of_table.basis)
    # Tables of others have the columns of files of others.
    others = pd.DataFrame({"model": ["a", "a", "b"], "ok": [True, False, False]})
    answer = verdict(others, columns={"policy": "model", "success": "ok"})
    assert [row["label"] for row in answer.to_dict()["sources"]] == ["a", "b"]


@pytest.mark.usefixtures("toy")
def test_an_evaluation_is_paired_with_a_sweep_and_refused_where_conditions_differ(
    tmp_path: Path, sweep: Sweep
) -> None:
    run = sweep(policies=["expert"], suites={"toy": [0, 1]}, init_states=[0], out=tmp_path / "run")
    expert = plugins.make_policy("expert", {})
    expert.load()
    here = evaluate(expert, "toy", tasks=[0, 1], init_states=[0], label="here")
    there, same_columns = run.episodes(), list(here.episodes().columns)
    assert same_columns == [name for name in there.columns if name != "key"]
    assert list(here.episodes().final_digest) == list(there.final_digest), "the same to the bit"
    (same,) = verdict(run, here).judgements
    assert same.rates == (1, 1) and same.basis == "paired on 2 of 2 cells; pixels not compared"
    other = evaluate(
        expert, "toy", tasks=[0], init_states=[0], protocol_changes={"settle_steps": 3}
    )
    for first in (run, here):
        (refused,) = verdict(first, other).judgements
        assert refused.text == "not comparable" and refused.winner is None
        assert "'wambench-1' against 'wambench-1+custom'" in refused.basis


@pytest.mark.parametrize(
    ("results", "options", "told"),
    [
        ((), {}, "a verdict needs two results"),
        (("1/2",), {}, "a verdict needs two results"),
        (("1/2", 3), {}, "a result of type int cannot be judged"),
        (("1/2", "3/2"), {}, "3 successes of 2 episodes cannot be"),
        (("1/2", Path("gone")), {}, "'gone' is no file and no run directory"),
        (("1/2", "1/3"), {"margin": 5}, "margin 5 is not between 0 and 1"),
        (("1/2", "1/3"), {"policy": "x"}, "policy 'x' is in none of them"),
        (("1/2", "1/3"), {"columns": {"polcy": "a"}}, "columns: unknown role 'polcy'"),
        (("1/2", pd.DataFrame({"ok": [1]})), {}, "has no column 'success'"),
        (("1/2", pd.DataFrame({"success": []})), {}, "the table holds no episode"),
        (("1/2", pd.DataFrame({"success": ["maybe"]})), {}, "success is 'maybe'"),
    ],
)
def test_bad_verdicts_get_one_line(
    results: tuple[Any, ...], options: dict[str, Any], told: str, work: Path
) -> None:
    with pytest.raises(UserError) as refused:
        verdict(*results, **options)
    line = str(refused.value)
    assert told in line and "\n" not in line and "--" not in line, line


def test_without_statistics_a_verdict_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "FUNCTIONS", "wambench.of_nobody")
    with pytest.raises(UserError, match="needs the statistics of the package analysis, which is"):
        verdict("1/2", "1/3")


# -- the page ----------------------------------------------------------------------------------

BETWEEN = "-- the next block --"


@pytest.mark.slow
def test_the_page_prints_what_it_says(work: Path) -> None:
    """Its blocks, one after the other like a notebook's, on real LIBERO and a Ray of its own."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    code = [text for language, text in blocks if language == "python"]
    said = [
        text if language == "text" else ""
        for (before, _), (language, text) in zip(blocks, [*blocks[1:], ("", "")], strict=True)
        if before == "python"
    ]
    (work / "page.py").write_text(f"\nprint({BETWEEN!r}, flush=True)\n".join(code))
    ended = subprocess.run(
        [sys.executable, "page.py"], capture_output=True, text=True, check=False, timeout=600
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split(f"{BETWEEN}\n") == said
    assert sum(map(bool, said)) == 3


def test_a_torch_module_is_wrapped_in_ten_lines() -> None:
    code = PAGE.read_text()
    wrapper = code[code.index("class Wrapped") : code.index("```\n\nWhat `spec` may")]
    assert len([line for line in wrapper.splitlines() if line.strip()]) <= 10
