"""Results of other harnesses: read, judged, imported; tests/foreign/ was written by their code."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CommandLine
from tests.foreign_files import EPISODES, FOLDER, TASKS, won
from wambench.errors import UserError
from wambench.foreign import Source, import_results, read
from wambench.foreign.places import NAMED, numbered
from wambench.store import Store, episodes_frame

LIBERO = "libero_spatial"


def expected(policy: str) -> int:
    return sum(won(policy, task, n) for task in range(len(TASKS)) for n in range(EPISODES))


@pytest.mark.parametrize("suffix", [".sqlite", "_aggregate.json"])
@pytest.mark.parametrize("policy", ["a", "b"])
def test_files_of_vla_eval(policy: str, suffix: str) -> None:
    [found] = read(str(FOLDER / f"{policy}{suffix}"))
    assert found.label == policy and found.cells is not None
    # Six were played; the policy raised in a seventh, and that is no success; machinery ended an
    # eighth, and that is nothing. The one that failed at first and was played again counts once.
    assert (found.successes, found.episodes) == (expected(policy), 7)
    assert len(found.lost) == len(found.faults) == 1
    assert not found.cells.keys() & found.lost.keys() and found.faults.keys() <= found.cells.keys()
    names = {found.tasks[place[:2]] for place in found.cells}
    assert names == set(TASKS)
    for place, success in found.cells.items():
        task = TASKS.index(found.tasks[place[:2]])
        wanted = place.init_state < EPISODES and won(policy, task, place.init_state)
        assert (place.suite, success) == (LIBERO, wanted)


def test_both_files_of_vla_eval_say_the_same() -> None:
    for policy in "ab":
        recording, aggregate = (
            read(str(FOLDER / f"{policy}{suffix}"))[0] for suffix in (".sqlite", "_aggregate.json")
        )
        assert recording == aggregate


def asked(wambench: CommandLine, *arguments: object) -> dict[str, Any]:
    ended = wambench("verdict", *arguments, "--json")
    assert ended.code == 0, ended.err
    answer: dict[str, Any] = json.loads(ended.out)
    return answer


def test_a_verdict_says_what_is_known_of_the_conditions(wambench: CommandLine) -> None:
    a, b, short = (FOLDER / f"{name}_aggregate.json" for name in ("a", "b", "short"))
    [one] = asked(wambench, a, b)["verdicts"]
    assert one["basis"] == (
        "paired on 7 of 7 cells; 2 lost to infrastructure; conditions known in part "
        "(vla-eval:libero_spatial)"
    )
    [refused] = asked(wambench, a, short)["verdicts"]
    assert refused["text"] == "not comparable" and "max_steps: 220 against 100" in refused["basis"]
    theirs = FOLDER / "a" / "eval_info.json"
    [mixed] = asked(wambench, f"x={theirs}", a)["verdicts"]
    assert mixed["first"] == "x" and mixed["basis"].endswith("; conditions unknown")


def test_files_of_lerobot(wambench: CommandLine) -> None:
    a, b = (FOLDER / policy / "eval_info.json" for policy in "ab")
    answer = asked(wambench, a, b)
    assert [row["successes"] for row in answer["sources"]] == [expected("a"), expected("b")]
    assert answer["verdicts"][0]["basis"] == "paired on 6 of 6 cells; conditions unknown"


def robotwin(folder: Path, task: str, policy: str, rate: str, time: str = "t") -> Path:
    path = folder / task / policy / "demo_clean" / "ckpt" / time / "_result.txt"
    path.parent.mkdir(parents=True)
    path.write_text(f"Timestamp: {time}\n\nInstruction Type: unseen\n\n{rate}")
    return path


def test_files_of_robotwin(wambench: CommandLine, tmp_path: Path) -> None:
    results = tmp_path / "eval_result"
    for task in ("click_bell", "shake_bottle"):
        robotwin(results, task, "p", "0.9")
        one = robotwin(results, task, "q", "0.41")
    answer = asked(wambench, results, "--episodes", 100)
    assert [(row["label"], row["successes"], row["episodes"]) for row in answer["sources"]] == [
        ("p/ckpt", 180, 200), ("q/ckpt", 82, 200),
    ]  # fmt: skip
    [verdict] = answer["verdicts"]
    assert verdict["text"] == "better" and "unpaired" in verdict["basis"]
    assert asked(wambench, f"q={one}", "9/10", "--episodes", 100)["sources"][0]["successes"] == 41
    # What other tasks or another kind of instruction gave is no answer to the same question.
    [other] = asked(wambench, one, results / "click_bell" / "p", "--episodes", 100)["verdicts"]
    assert other["text"] == "not comparable" and "RoboTwin.tasks" in other["basis"]
    for arguments, said in (
        ((results,), "say it: --episodes"),
        ((results, "--episodes", 30), "0.41 is no number of successes of 30"),
        ((robotwin(tmp_path / "x", "t", "p", "nan"), "1/2", "--episodes", 9), "end in a rate"),
    ):
        ended = wambench("verdict", *arguments)
        assert ended.code == 2 and said in ended.err and ended.err.count("\n") == 1, ended.err
    robotwin(results, "click_bell", "p", "1.0", "later")
    ended = wambench("verdict", results, "--episodes", 100)
    assert ended.code == 2 and "second result of task 'click_bell'" in ended.err


def test_an_imported_run_says_what_its_files_say(wambench: CommandLine, tmp_path: Path) -> None:
    run = tmp_path / "run"
    a, b = FOLDER / "a.sqlite", FOLDER / "b_aggregate.json"
    ended = wambench("import", f"one={a}", b, "--as", run)
    assert ended.code == 0 and "14 episodes" in ended.out, ended.err
    with Store.read(run) as store:
        frame = episodes_frame(store)
        [kind] = {attempt["kind"] for attempt in store.attempts()}
    assert kind == "imported"
    outcomes = frame.groupby(["policy", "outcome"], observed=True).size().to_dict()
    assert outcomes["one", "missing"] == outcomes["b", "missing"] == 1
    assert outcomes["one", "success"] == expected("a")
    assert outcomes["one", "policy_error"] == 1
    said = [
        [{k: v for k, v in row.items() if k != "basis"} for row in answer["verdicts"]]
        for answer in (asked(wambench, f"b={b}", f"one={a}"), asked(wambench, run))
    ]
    assert said[0] == said[1]
    # An imported run and the file itself are the same cells.
    [same] = asked(wambench, f"{run}", f"again={a}", "--policy", "one", "--policy", "again")[
        "verdicts"
    ]
    assert same["basis"].startswith("paired on 7 of 7 cells") and same["difference"] == 0
    report = wambench("report", run)
    assert report.code == 0, report.err
    page = (run / "report.html").read_text()
    assert "nobody stored the course of imported episodes" in page
    for command in ("replay", "failures"):
        ended = wambench(command, run)
        assert ended.code == 2 and "imported results" in ended.err


def test_what_cannot_be_imported_is_refused_before_anything_is_written(
    wambench: CommandLine, tmp_path: Path
) -> None:
    a, b, short = (FOLDER / f"{name}.sqlite" for name in ("a", "b", "short"))
    run = tmp_path / "run"
    for arguments, said in (
        (("4/5",), "tells how many episodes succeeded and not which"),
        ((a, FOLDER / "a_aggregate.json"), "both hold 'a'; name them: NAME=FILE"),
        ((a, short), "max_steps: 220 against 100; import them into runs of their own"),
        ((a, tmp_path / "none.json"), "is no file"),
    ):
        ended = wambench("import", *arguments, "--as", run)
        assert ended.code == 2 and said in ended.err and ended.err.count("\n") == 1, ended.err
        assert not run.exists()
    assert wambench("import", a, "--as", run).code == 0
    assert "holds a run already" in wambench("import", b, "--as", run).err


def broken(change: Callable[[dict[str, Any]], object]) -> str:
    content = json.loads((FOLDER / "a_aggregate.json").read_text())
    change(content)
    return json.dumps(content)


BAD = {
    "no episodes": broken(lambda c: c["tasks"][0].pop("episodes")),
    "tasks are a number": broken(lambda c: c.update(tasks=3)),
    "no success": broken(lambda c: c["tasks"][0]["episodes"][0]["metrics"].clear()),
    "half a success": broken(lambda c: c["tasks"][0]["episodes"][0]["metrics"].update(success=0.5)),
    "told twice": broken(lambda c: c["tasks"].append(c["tasks"][0])),
    "nothing played": broken(lambda c: c.update(tasks=[])),
    "config is a list": broken(lambda c: c.update(config=[1])),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_aggregate_gets_one_line(
    case: str, wambench: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "x.json"
    path.write_text(BAD[case])
    ended = wambench("verdict", path, "1/2")
    assert ended.code == 2 and str(path) in ended.err and ended.err.count("\n") == 1, ended.err


def test_a_malformed_recording_gets_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_text("no database")
    with pytest.raises(UserError, match="no result of vla-eval that can be read"):
        read(str(path))
    shutil.copy(FOLDER / "a.sqlite", path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE episode_results")
    connection.close()
    with pytest.raises(UserError, match="no such table"):
        read(str(path))


def test_names_become_the_same_numbers_everywhere() -> None:
    found = numbered([("s", "3", "5"), ("s", "3", "5/7"), ("s", "open it", "x"), ("s", "03", "5")])
    assert found["s", "3", "5"] == ("s", 3, 5, 0) and found["s", "3", "5/7"] == ("s", 3, 5, 7)
    named = found["s", "open it", "x"]
    assert min(named.task_index, named.init_state) >= NAMED
    assert named == numbered([("s", "open it", "x")])["s", "open it", "x"]
    assert found["s", "03", "5"].task_index >= NAMED, "not the task 3"
    with pytest.raises(UserError, match="cannot be told apart"):
        numbered([("s", "3", "5"), ("s", "3", "5/0")])


def test_a_source_of_counts_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not which"):
        import_results({"x": [Source("x", 1, 2)]}, tmp_path / "run")
    assert not (tmp_path / "run").exists()
