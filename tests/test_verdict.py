"""``wambench verdict``: results of anyone, paired where that is possible and refused where not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from scipy import stats

from analysis.statistics import paired, trend, unpaired, unpaired_interval, unpaired_test
from tests.conftest import CommandLine
from tests.records import make_passport
from tests.test_planning import write_run
from wambench.foreign import Place, read
from wambench.store import Store

HEAD = "model,task_name,seed,ok"
COLUMNS = "policy=model,task=task_name,episode=seed,success=ok"


def table(folder: Path, model: str, outcomes: Sequence[int], name: str = "") -> Path:
    """A CSV of two tasks of equal size."""
    half = len(outcomes) // 2
    rows = [f"{model},{i // half},{i % half},{ok}" for i, ok in enumerate(outcomes)]
    path = folder / f"{name or model}.csv"
    path.write_text("\n".join([HEAD, *rows]))
    return path


def asked(wambench: CommandLine, *arguments: object) -> dict[str, Any]:
    """The answer as JSON."""
    ended = wambench("verdict", *arguments, "--json")
    assert ended.code == 0, ended.err
    answer: dict[str, Any] = json.loads(ended.out)
    return answer


def test_counts_are_judged_by_the_score_test(wambench: CommandLine) -> None:
    answer = asked(wambench, "492/500", "B=420/500")
    [one] = answer["verdicts"]
    assert one["second"] == "B" and one["verdict"]["kind"] == "better"
    assert one["p_value"] == pytest.approx(unpaired_test(492, 500, 420, 500))
    assert one["interval"] == pytest.approx(
        [float(end) for end in unpaired_interval(492, 500, 420, 500)]
    )
    assert answer["sources"][0]["interval"][1] == pytest.approx(stats.beta.ppf(0.975, 493, 8))
    assert "unpaired" in one["basis"]


def test_unpaired_equivalence_is_two_one_sided_tests() -> None:
    """The 90 % interval lies within the margin just where the test at 5 % says so."""
    for second in range(400, 500, 5):
        found = unpaired(480, 500, second, 500, margin=0.05)
        low, high = unpaired_interval(480, 500, second, 500, confidence=0.9)
        assert (found.p_equivalence <= 0.05) == bool(low >= -0.05 and high <= 0.05)


def test_tables_are_paired_on_what_they_share(wambench: CommandLine, tmp_path: Path) -> None:
    first, second = [1, 1, 1, 0, 1, 1, 1, 1], [0, 1, 0, 0, 1, 0, 0, 1]
    one, other = table(tmp_path, "a", first), table(tmp_path, "b", second)
    other.write_text("\n".join(other.read_text().splitlines()[:-1]))  # lacks the last cell
    [found] = asked(wambench, one, other, "--columns", COLUMNS)["verdicts"]
    pairs = [(bool(a), bool(b)) for a, b in zip(first, second, strict=True)][:-1]
    assert found["basis"].startswith("paired on 7 of 8 cells")
    assert found["p_value"] == pytest.approx(paired([[pairs[:4], pairs[4:]]]).p_value)
    assert found["rates"] == pytest.approx([6 / 7, 2 / 7])


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_other_tables_read_as_the_csv(suffix: str, tmp_path: Path) -> None:
    rows = {"policy": ["p", "p", "q"], "task": [0, 1, 0], "episode": [3, 3, 3],
            "success": [True, False, True]}  # fmt: skip
    frame, path = pd.DataFrame(rows), tmp_path / f"t.{suffix}"
    frame.to_csv(tmp_path / "t.csv", index=False)
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    assert read(str(path), {}) == read(str(tmp_path / "t.csv"), {})
    assert [(s.label, s.successes, s.episodes) for s in read(str(path), {})] == [
        ("p", 1, 2), ("q", 1, 1),
    ]  # fmt: skip


def test_files_of_lerobot(wambench: CommandLine, tmp_path: Path) -> None:
    """One task as up to version 0.3 writes it, several as 0.4 does."""
    for name, won in (("a", [True] * 4), ("b", [True, False, False, False])):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}/eval_info.json").write_text(
            json.dumps(
                {
                    "per_episode": [
                        {"episode_ix": i, "sum_reward": 0.0, "max_reward": 0.0, "success": ok,
                         "seed": 1000 + i}
                        for i, ok in enumerate(won)
                    ],
                    "aggregated": {"pc_success": 25.0 * sum(won), "eval_s": 1.0},
                }
            )
        )  # fmt: skip
    old = [tmp_path / name / "eval_info.json" for name in "ab"]
    [found] = asked(wambench, *old)["verdicts"]
    assert (found["first"], found["second"], found["rates"]) == ("a", "b", [1.0, 0.25])
    assert found["basis"] == "paired on 4 of 4 cells, one task; conditions unknown"

    tasks = [
        {"task_group": "libero_object", "task_id": i, "metrics": {"successes": [True, i > 0]}}
        for i in range(3)
    ]
    (tmp_path / "new.json").write_text(
        json.dumps({"per_task": tasks, "overall": {"n_episodes": 6, "pc_success": 100 * 5 / 6}})
    )
    [new] = read(str(tmp_path / "new.json"), {})
    assert new.cells is not None
    assert (new.successes, new.episodes) == (5, 6)
    assert new.cells[Place("libero_object", 0, 1, 0)] is False


def test_runs_are_paired_and_other_protocols_are_not_comparable(
    wambench: CommandLine, tmp_path: Path
) -> None:
    one = write_run(tmp_path / "one", {"p": "ssssssss"}, tasks=4)
    other = write_run(tmp_path / "other", {"q": "ffffsfff"}, tasks=4)
    [found] = asked(wambench, one, other)["verdicts"]
    assert found["text"] == "better" and found["basis"] == "paired on 8 of 8 cells"
    with Store.write(other, "made up") as store:
        passport = store.passport()
        assert passport is not None
        store.set_passport(passport.model_copy(update={"protocol": {"settle_steps": 99}}))
    [refused] = asked(wambench, one, other)["verdicts"]
    assert refused["text"] == "not comparable" and refused["verdict"] is None
    assert "settle_steps: 10 against 99" in refused["basis"]
    assert wambench("verdict", one, other, "--fail-on", "worse").code == 1  # nothing was compared
    # Two versions of one policy are what is asked about, and no reason to refuse.
    for run, version in ((one, 1), (other, 2)):
        with Store.write(run, "made up") as store:
            store.set_passport(make_passport(**{"policy:p": {"version": version}}))
    assert asked(wambench, one, other)["verdicts"][0]["text"] == "better"
    # A file whose conditions are unknown is compared, and said to be unknown.
    path = table(tmp_path, "r", [1, 0, 1, 0])
    [unknown] = asked(wambench, one, path, "--columns", COLUMNS)["verdicts"]
    assert unknown["basis"] == "not paired (no cell is shared): unpaired test; conditions unknown"


def test_ci_is_told(wambench: CommandLine, tmp_path: Path) -> None:
    junit = tmp_path / "verdict.xml"
    for first, second, fail_on, code in (
        ("420/500", "492/500", "worse", 1),
        ("492/500", "420/500", "worse", 0),
        ("492/500", "490/500", "worse", 0),
        ("492/500", "490/500", "not-better", 1),
        ("492/500", "420/500", "not-better", 0),
    ):
        ended = wambench("verdict", first, f"base={second}", "--fail-on", fail_on, "--junit", junit)
        assert ended.code == code, (first, second, fail_on)
        root = ElementTree.parse(junit).getroot()
        assert root.get("tests") == "1" and root.get("failures") == str(code)
        assert len(root.findall("testcase/failure")) == code


def test_more_results_are_judged_together(wambench: CommandLine) -> None:
    """Holm: each of three verdicts is harder to reach than one alone."""
    [alone] = asked(wambench, "a=90/100", "b=79/100")["verdicts"]
    three = asked(wambench, "a=90/100", "b=79/100", "c=85/100")["verdicts"]
    assert len(three) == 3
    assert alone["verdict"]["kind"] == "better" and three[0]["verdict"]["kind"] == "undecided"
    assert three[0]["p_value"] == alone["p_value"]


def test_a_series_of_checkpoints_has_a_trend(wambench: CommandLine) -> None:
    up = asked(wambench, "10/50", "15/50", "20/50", "30/50", "--trend")
    down = asked(wambench, "30/50", "20/50", "15/50", "10/50", "--trend")
    assert up["trend"]["z"] == pytest.approx(-down["trend"]["z"]) and up["trend"]["z"] > 0
    assert up["trend"]["p_value"] < 0.001
    # Malformations of children and how much their mothers drank: Graubard & Korn 1987, Biometrics
    # 43:471-476. The square of z is the chi square of one degree of freedom.
    found = trend([48, 38, 5, 1, 1], [17114, 14502, 793, 127, 38])
    assert found.z**2 == pytest.approx(1.83, abs=0.005)
    assert trend([0, 0], [5, 9]).p_value == trend([5, 9], [5, 9]).p_value == 1
    ended = wambench("verdict", "10/50", "10/50", "--trend")
    assert "10/50 (2)" in ended.out and "no trend is shown" in ended.out


BAD = {
    "csv without success": ("x.csv", "policy,task\na,1\n", "no column 'success'"),
    "csv with maybe": ("x.csv", "policy,success\na,maybe\n", "success is 'maybe'"),
    "twice the same": ("x.csv", "task,episode,success\n1,1,1\n1,1,0\n", "twice"),
    "empty csv": ("x.csv", "", "cannot be read"),
    "only a head": ("x.csv", "policy,success\n", "no episode"),
    "no json": ("x.json", "{", "is no JSON"),
    "foreign json": ("x.json", "[]", "neither per_episode nor per_task"),
    "no success": ("x.json", '{"per_episode": [{"episode_ix": 0}]}', "no readable success"),
    "no metrics": ("x.json", '{"per_task": [3]}', "no readable success"),
    "no episode": ("x.json", '{"per_task": []}', "no episode"),
    "wrong sum": (
        "x.json",
        '{"per_episode": [{"episode_ix": 0, "success": true}], "aggregated": {"pc_success": 50}}',
        "lists 100 %",
    ),
    "no table": ("x.parquet", "abc", "cannot be read"),
    "unknown kind": ("x.txt", "abc", "cannot read .txt"),
}


@pytest.mark.parametrize("case", BAD)
def test_malformed_files_get_one_line(case: str, wambench: CommandLine, tmp_path: Path) -> None:
    name, content, said = BAD[case]
    (tmp_path / name).write_text(content)
    ended = wambench("verdict", tmp_path / name, "1/2")
    assert ended.code == 2 and said in ended.err and ended.err.count("\n") == 1, ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["3/2", "1/2"], "cannot be"),
        (["0/0", "1/2"], "cannot be"),
        (["1/2"], "two results"),
        (["nothing", "1/2"], "no file"),
        (["1/2", "1/3", "--margin", "5"], "0.05 is 5 points"),
        (["1/2", "1/3", "--columns", "polcy=a"], "policy"),
        (["1/2", "1/3", "--columns", "policy"], "ROLE=COLUMN"),
        (["1/2", "1/3", "--policy", "x"], "in none of them"),
    ],
)
def test_bad_arguments_get_one_line(
    arguments: Sequence[str], said: str, wambench: CommandLine
) -> None:
    ended = wambench("verdict", *arguments)
    assert ended.code == 2 and said in ended.err and ended.err.count("\n") == 1, ended.err
