"""Sweeps that end when it is decided: where they end, however they are run, and what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from analysis.pairing import Asked, by_policy, compare
from analysis.report.caveats import notices
from analysis.stopping import NOT_JUDGED, Decided, Terms, by_round, early_verdicts, played, verdict
from tests.conftest import CommandLine, Install, Refused
from tests.records import make_passport, make_record
from tests.running import COMMAND, episodes_csv, wambench
from wambench import plugins, stopping, sweepfile
from wambench.cells import Cell
from wambench.errors import UserError
from wambench.stopping import Rounds, Stopping, StoppingRule
from wambench.store import Store, StoredCell, lighten, merge_runs
from wambench.sweeping.agenda import Agenda, Until

TWINS = {
    "policies": ["expert", {"name": "expert", "label": "twin"}, "random"],
    "suites": {"toy": "all"},
    "init_states": "0-4",
    "seeds": "0-3",
}
ROUNDS, TASKS = 20, 3
DECIDED = ("--until-decided", "all", "--effect", "0.5")
SHORT = TWINS | {"suites": {"toy": [0, 1]}, "seeds": "0-1"}
PLAYED = 10 * 2  # cells of a policy in all of SHORT


Sweep = Callable[..., Any]


@pytest.fixture
def sweep(toy: object, swept: CommandLine, tmp_path: Path) -> Sweep:
    """Run a sweep into a run directory of this name; returns what it prints as JSON."""

    def run(name: str, *options: str, content: Mapping[str, Any] = SHORT) -> Any:
        ended = swept(tmp_path / "s.yaml", content, tmp_path / name, "--json", *options)
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    return run


def record(run: Path) -> Stopping:
    with Store.read(run) as store:
        found = store.stopping()
    assert found is not None
    return found


# -- on real Ray -------------------------------------------------------------------------------


def test_a_sweep_ends_early_and_at_the_same_round_with_more_workers(
    sweep: Sweep, tmp_path: Path
) -> None:
    result = sweep("one", *DECIDED, "--workers", "1")
    left = record(tmp_path / "one").left
    assert set(left) == set(result["left"]) == {"expert", "twin", "random"}
    assert "better than random after" in left["expert"].why
    assert "not 50 points apart from twin after" in left["expert"].why
    assert "worse than twin after" in left["random"].why
    with Store.read(tmp_path / "one") as store:
        cells = store.cells()
    rounds = {label: sum(c.cell.policy == label for c in cells) / 2 for label in left}
    assert rounds == {label: one.rounds for label, one in left.items()}
    assert max(rounds.values()) < 10, "it ended early"
    assert all(one.outcome for one in cells), "nothing is missing that nobody asks for"
    assert result["spared"] == 3 * PLAYED - len(cells) and result["lost"] == 0
    assert result["spared_share"] == result["spared"] / (3 * PLAYED) >= 0.3

    sweep("two", *DECIDED, "--workers", "2")
    assert episodes_csv(tmp_path / "two") == episodes_csv(tmp_path / "one")
    assert record(tmp_path / "two") == record(tmp_path / "one")


@pytest.mark.slow
def test_a_sweep_that_was_killed_ends_at_the_same_round(sweep: Sweep, tmp_path: Path) -> None:
    result = sweep("one", *DECIDED)
    killed_after(tmp_path, "killed", result["done"] // 3)
    sweep("killed", *DECIDED, "--workers", "2")
    assert episodes_csv(tmp_path / "killed") == episodes_csv(tmp_path / "one")
    assert record(tmp_path / "killed") == record(tmp_path / "one")
    again = sweep("killed", *DECIDED)
    assert (again["done"], again["spared"]) == (0, result["spared"])


def killed_after(folder: Path, name: str, cells: int) -> None:
    """Begin a sweep and kill its driver when so many cells are known."""
    process = subprocess.Popen(
        [*COMMAND, "sweep", str(folder / "s.yaml"), "--out", str(folder / name), *DECIDED],
        stderr=subprocess.DEVNULL,
    )
    for _ in range(1200):
        time.sleep(0.05)
        if (folder / name / "run.sqlite").exists():
            try:
                with Store.read(folder / name) as store:
                    if len(store.known()) >= cells:
                        break
            except UserError:  # not written yet
                continue
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


DIES = """
import os
import numpy as np
from wambench import Policy, PolicySpec

class Dies(Policy):
    spec = PolicySpec(paradigm="test", about="dies once", horizon=4)
    def act(self, observations):
        return [self.chunk(seen) for seen in observations]
    def chunk(self, seen):
        deadly = os.environ.get("DEADLY", "")  # other sweeps run in processes without it
        if os.path.exists(deadly) and seen.instruction == "go right":
            os.unlink(deadly)
            os._exit(3)
        return np.zeros((4, 2))
"""


@pytest.mark.slow
def test_a_lost_cell_is_missing_and_delays_the_decision(
    sweep: Sweep, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one cell of its first round is lost, nothing is decided of a policy."""
    install("dying", {"dying.py": DIES}, {plugins.POLICIES: {"dies": "dying:Dies"}})
    monkeypatch.setenv("DEADLY", str(tmp_path / "deadly"))
    content = SHORT | {"policies": ["expert", "dies"], "init_states": "0-2"}
    undisturbed = sweep("undisturbed", *DECIDED, content=content)
    assert undisturbed["left"]["dies"]["why"].startswith("worse than expert")

    (tmp_path / "deadly").touch()
    once = (*DECIDED, "--attempts", "1", "--workers", "1")
    ended = wambench("sweep", tmp_path / "s.yaml", "--out", tmp_path / "run", *once)
    assert ended.returncode == 2 and "1 cells failed by infrastructure" in ended.stderr
    assert record(tmp_path / "run").left == {}
    with Store.read(tmp_path / "run") as store:
        missing = [c.cell for c in store.cells() if c.outcome is None]
    assert [(cell.policy, cell.task, cell.seed) for cell in missing] == [("dies", "go right", 0)]

    sweep("run", *DECIDED, content=content)
    found = record(tmp_path / "run").left
    assert {label: one.why for label, one in found.items()} == {
        label: one["why"] for label, one in undisturbed["left"].items()
    }
    with Store.read(tmp_path / "run") as store:
        assert all(c.outcome for c in store.cells())


# -- what is asked for, without Ray ------------------------------------------------------------

Outcome = Callable[[Cell], bool | None]
"""Whether a cell succeeds; None: infrastructure fails."""


def plan_of(**changes: Any) -> sweepfile.Plan:
    content = TWINS | {"policies": ["expert", "frozen", "random"]} | changes
    return sweepfile.plan(sweepfile.SweepFile.model_validate(content))


def until(rule: StoppingRule, look_every: int = 1) -> Until:
    return Until("decided", rule, look_every)


def run(
    folder: Path, plan: sweepfile.Plan, rule: Until | None, outcome: Outcome, at_most: int = 10**9
) -> Agenda:
    """What the driver does with an agenda; stops after ``at_most`` episodes as if it was killed."""
    with Store.write(folder, "a test") as store:
        store.set_passport(make_passport())
        agenda = Agenda(plan, plan.cells, store, rule)
        while waiting := agenda.next():
            for cell in reversed(waiting):  # in what order makes no difference
                won = outcome(cell)
                if won is not None:
                    if not at_most:
                        return agenda
                    at_most -= 1
                    ended = "success" if won else "failure"
                    store.add_episode(make_record(cell, outcome=ended))  # type: ignore[arg-type]
        return agenda


def stored(run: Path) -> dict[str, str | None]:
    with Store.read(run) as store:
        return {known.cell.key: known.outcome for known in store.cells()}


def expert_wins(cell: Cell) -> bool:
    return cell.policy == "expert" or (cell.policy == "frozen" and cell.init_state == 0)


def hard(cell: Cell) -> bool:
    """Each its share of successes, by chance that the cell decides."""
    return (
        int(cell.key[:4], 16) / 2**16 < {"expert": 0.9, "frozen": 0.6, "random": 0.55}[cell.policy]
    )


@pytest.mark.usefixtures("toy")
def test_policies_leave_one_by_one_and_others_play_on(tmp_path: Path) -> None:
    plan = plan_of()
    rule = Decided(list(plan.choices), [("expert", "random")], 0.2)
    agenda = run(tmp_path / "run", plan, until(rule), expert_wins)
    assert set(agenda.left) == {"expert", "random"}
    counts = dict.fromkeys(plan.choices, 0)
    with Store.read(tmp_path / "run") as store:
        for known in store.cells():
            counts[known.cell.policy] += 1
    assert counts["frozen"] == ROUNDS * TASKS, "it is in no comparison"
    assert counts["expert"] == counts["random"] == TASKS * agenda.left["expert"].rounds
    assert agenda.spared() == 2 * ROUNDS * TASKS - counts["expert"] - counts["random"] > 0


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("outcome", [expert_wins, hard])
def test_where_it_ends_depends_on_outcomes_alone(tmp_path: Path, outcome: Outcome) -> None:
    plan = plan_of()
    rule = Decided(list(plan.choices), effect=0.2)
    run(tmp_path / "whole", plan, until(rule), outcome)
    whole, left = stored(tmp_path / "whole"), record(tmp_path / "whole").left

    for at_most in (5, 11, 40):
        run(tmp_path / "cut", plan, until(rule), outcome, at_most)
    run(tmp_path / "cut", plan, until(rule), outcome)
    assert stored(tmp_path / "cut") == whole and record(tmp_path / "cut").left == left

    run(tmp_path / "fives", plan, until(rule, 5), outcome)
    run(tmp_path / "fives", plan, until(rule, 1), outcome)  # nothing new, and nothing forgotten
    fives = record(tmp_path / "fives").left
    assert {name: one.why for name, one in fives.items()} == {
        name: one.why for name, one in left.items()
    }, "the same decisions after the same rounds, though more are played"
    assert all(fives[name].rounds == -(-one.rounds // 5) * 5 for name, one in left.items())


@pytest.mark.usefixtures("toy")
def test_a_run_begun_without_a_rule_asks_for_no_more_than_it_needs(tmp_path: Path) -> None:
    plan = plan_of()
    rule = Decided(list(plan.choices), effect=0.2)
    agenda = run(tmp_path / "fresh", plan, until(rule), expert_wins)
    run(tmp_path / "run", plan, None, expert_wins, at_most=30)
    assert list(stored(tmp_path / "run").values()).count(None) == len(plan.cells) - 30
    run(tmp_path / "run", plan, until(rule), expert_wins)
    found = stored(tmp_path / "run")
    assert None not in found.values() and len(found) < len(plan.cells)
    assert record(tmp_path / "run").left == agenda.left

    run(tmp_path / "run", plan, None, expert_wins)
    assert len(stored(tmp_path / "run")) == len(plan.cells), "without the option it plays the rest"
    assert record(tmp_path / "run").left == agenda.left, "and does not forget"


@pytest.mark.usefixtures("toy")
def test_a_pair_waits_for_a_lost_cell_and_no_other_pair_does(tmp_path: Path) -> None:
    plan = plan_of()
    rule = Decided(list(plan.choices), [("expert", "random"), ("expert", "frozen")], 0.2)

    def lost(cell: Cell) -> bool | None:
        early = (cell.policy, cell.task_index, cell.init_state, cell.seed) == ("frozen", 1, 0, 1)
        return None if early else expert_wins(cell)

    run(tmp_path / "whole", plan, until(rule), expert_wins)
    run(tmp_path / "run", plan, until(rule), lost)
    assert set(record(tmp_path / "run").left) == {"random"}
    assert list(stored(tmp_path / "run").values()).count(None) == 1, "reported as missing"
    run(tmp_path / "run", plan, until(rule), expert_wins)
    found, whole = (record(tmp_path / name).left for name in ("run", "whole"))
    assert {k: v.why for k, v in found.items()} == {k: v.why for k, v in whole.items()}


@pytest.mark.usefixtures("toy")
def test_the_terms_of_a_run_cannot_be_changed_under_way(tmp_path: Path) -> None:
    plan, labels = plan_of(seeds="0-1"), ["expert", "frozen", "random"]
    run(tmp_path / "run", plan, until(Decided(labels, effect=0.2)), expert_wins, at_most=9)
    before = stored(tmp_path / "run")
    for changed, rule, names in [
        (plan, Decided(labels, effect=0.1), ("effect", "0.2 against 0.1")),
        (plan, Decided(labels, [("expert", "random")], 0.2), ("pairs",)),
        (plan_of(suites={"toy": [0, 1]}), Decided(labels, effect=0.2), ("tasks",)),
        (plan_of(seeds="2-3"), Decided(labels, effect=0.2), ("initial states and seeds",)),
    ]:
        with pytest.raises(UserError) as refusal:
            run(tmp_path / "run", changed, until(rule), expert_wins)
        assert "\n" not in str(refusal.value) and "choose another --out" in str(refusal.value)
        assert all(name in str(refusal.value) for name in names)
    assert stored(tmp_path / "run") == before
    # More rounds at the end are no other rule.
    more = plan_of(seeds="0-1", init_states="0-4")
    run(tmp_path / "run", more, until(Decided(labels, effect=0.2)), expert_wins)


class Broken(StoppingRule):
    """Says what it is given, or raises it."""

    def __init__(self, said: Any) -> None:
        self._said = said

    @property
    def settings(self) -> Mapping[str, Any]:
        return {}

    def finished(self, cells: Sequence[Any], rounds: Rounds) -> Mapping[str, str]:
        if isinstance(self._said, Exception):
            raise self._said
        return self._said  # type: ignore[no-any-return]


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (ValueError("no\nidea"), "fails: ValueError: no idea"),
        (None, "fails: TypeError"),
        ({"nobody": "why not"}, "stops 'nobody', which is no policy of this sweep"),
    ],
)
def test_a_broken_rule_is_one_line(tmp_path: Path, said: Any, expected: str) -> None:
    with pytest.raises(UserError) as refusal:
        run(tmp_path / "run", plan_of(), until(Broken(said)), expert_wins)
    assert expected in str(refusal.value) and "\n" not in str(refusal.value)
    assert len(stored(tmp_path / "run")) == 9, "the first round is stored"


# -- refusals ----------------------------------------------------------------------------------

PAIR = "--until-decided expert,random"
REFUSED = {
    "limit": (f"{PAIR} --limit 3", ("--limit 3", "--until-decided")),
    "shard": (f"{PAIR} --shard 1/2", ("--shard 1/2", "--until-decided")),
    "effect alone": ("--effect 0.1", ("--effect 0.1", "--until-decided")),
    "looks alone": ("--look-every 2", ("--look-every 2", "--until-decided")),
    "effect": (f"{PAIR} --effect 10", ("--effect 10", "0.1")),
    "one policy": ("--until-decided expert", ("'expert'", "expert,random", "all")),
    "itself": ("--until-decided random,random", ("random,random", "two different")),
    "unknown": ("--until-decided expert,rando", ("'rando'", "random")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_before_anything_starts(
    refused: Refused, work: Path, what: str
) -> None:
    options, expected = REFUSED[what]
    (work / "s.yaml").write_text(yaml.safe_dump(TWINS))
    refused("sweep", "s.yaml", "--out", "run", *options.split(), expected=expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise OSError('boom')", ("fails to import", "boom")),
        ("def rule(policies, pairs=None):\n    raise KeyError('x')", ("refuses", "KeyError")),
        ("def rule(policies, pairs=None):\n    return 3", ("gives int",)),
    ],
)
def test_a_rule_of_a_stranger_that_breaks_is_one_line(
    refused: Refused,
    install: Install,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    expected: tuple[str, ...],
) -> None:
    install("ours", {"ours.py": source}, {plugins.STOPPING: {"mine": "ours:rule"}})
    monkeypatch.setattr("wambench.sweeping.until.RULE", "mine")
    (work / "s.yaml").write_text(yaml.safe_dump(TWINS))
    refused("sweep", "s.yaml", "--out", "run", *PAIR.split(), expected=("'mine'", *expected))


@pytest.mark.usefixtures("toy")
def test_a_dry_run_says_at_most(work: Path, wambench: CommandLine) -> None:
    labels = {"policies": ["expert", {"name": "random", "label": "random, as ever"}]}
    (work / "s.yaml").write_text(yaml.safe_dump(TWINS | labels))
    pair = "expert,random, as ever"
    ended = wambench("sweep", "s.yaml", "--out", "run", "--dry-run", "--until-decided", pair)
    assert ended.code == 0 and f"at most {2 * ROUNDS * TASKS} cells to run" in ended.out


def asked_of(ended: Mapping[str, Mapping[Any, bool | None]]) -> Asked:
    """Policy -> place -> whether it succeeded, None without an outcome; as of a store's cells."""
    outcome = {True: "success", False: "failure", None: None}
    return by_policy(
        StoredCell(
            Cell("", label, "", suite, task, "", state, seed), outcome[won], None, "", None, {}, 0
        )
        for label, places in ended.items()
        for (suite, task, state, seed), won in places.items()
    )


# -- what is said of it ------------------------------------------------------------------------


def record_of(terms: Decided, rounds: int, left: Mapping[str, int] | None = None) -> Stopping:
    return Stopping(
        rule="decided",
        settings=terms.settings,
        rounds=Rounds(order=[(i, 0) for i in range(rounds)], tasks=[("toy", 0), ("toy", 1)]),
        left={k: stopping.Left(rounds=v, why="it is enough") for k, v in (left or {}).items()},
    )


def test_rounds_count_up_to_the_first_that_is_incomplete() -> None:
    rounds = record_of(Decided(["p", "q"]), 4).rounds
    first = {("toy", task, i, 0): True for task in (0, 1) for i in range(4)}
    second: dict[Any, bool | None] = {place: place[1] == 1 for place in first}

    def outcomes() -> NDArray[np.int8]:
        ended = by_round(asked_of({"p": first, "q": second}), rounds, ["p", "q"])
        return played(ended["p"], ended["q"])

    assert outcomes().tolist() == [[1, 0]] * 4
    second["toy", 0, 2, 0] = None
    assert outcomes().tolist() == [[1, 0]] * 2
    del second["toy", 1, 0, 0]
    assert outcomes().shape == (0, 2)


def test_verdicts_of_watched_pairs_are_those_of_the_rule() -> None:
    terms = Terms([("p", "q"), ("p", "r")], effect=0.1)
    ones = np.ones((30, 4), dtype=np.int8)
    won = verdict(ones, terms, 30)
    alone = verdict(ones, Terms([("p", "q")], effect=0.1), 30)
    assert won.kind == "better" and won.text.startswith("better, after ")
    assert int(won.text.split()[2]) > int(alone.text.split()[2]), "more pairs ask for more"
    assert won.p_difference <= 0.05 and verdict(-ones, terms, 30).kind == "worse"
    same = verdict(0 * ones, terms, 30)
    assert (same.kind, same.p_difference) == ("undecided", 1.0) and same.p_equivalence <= 0.2
    assert same.text.startswith("not 10 points apart, after ")
    assert verdict(ones[:1], terms, 30).text == "undecided after 1 of 30 rounds"
    assert verdict(ones[:0], terms, 30).text == "undecided: no complete round"


def test_of_many_equal_policies_some_is_called_better_in_5_percent_of_sweeps_at_most() -> None:
    """Four equal policies, all six pairs, looked at after every round."""
    random, runs, wrong = np.random.default_rng(3), 1000, 0
    pairs = [(a, b) for a in range(4) for b in range(a)]
    terms = Terms([(str(a), str(b)) for a, b in pairs], effect=0.2)
    ease = np.array([0.1, 0.3, 0.5, 0.8])  # of the tasks, the same for all
    for _ in range(runs):
        won = (random.random((4, 60, 4)) < ease).astype(np.int8)
        decisions = {terms.stop(won[a] - won[b]).decision for a, b in pairs}
        wrong += bool(decisions & {"better", "worse"})
    print(f"\n{wrong} of {runs}")
    assert wrong <= 0.05 * runs


def test_of_pairs_that_the_rule_did_not_watch_nothing_is_said() -> None:
    places = [("toy", task, i, 0) for task in (0, 1) for i in range(30)]
    asked = asked_of(
        {
            label: dict.fromkeys(places[:: 1 if label in "st" else 2], label == "p")
            for label in "pqrst"
        }
    )
    terms = Decided(list("pqrst"), [("p", "q"), ("q", "r")], 0.2)
    pairs = [("q", "p"), ("p", "r"), ("p", "s"), ("s", "t")]
    left = record_of(terms, 30, {"p": 15, "q": 15})
    found = early_verdicts(left, asked, pairs)
    assert set(found) == {("q", "p"), ("p", "r"), ("p", "s")}
    assert {found["p", "r"].text, found["p", "s"].text} == {NOT_JUDGED}
    assert early_verdicts(None, asked, pairs) == {}
    verdicts = {(one.first, one.second): one.verdict for one in compare(asked, pairs, judged=found)}
    assert list(verdicts) == pairs and {k: verdicts[k] for k in found} == found
    (unseen,) = (one for one in compare(asked, pairs, judged=found) if one.first == "q")
    assert unseen.found.p_value == found["q", "p"].p_difference, "not that of another test"
    (alone,) = compare(asked, [("s", "t")])
    assert verdicts["s", "t"] == alone.verdict, "judged as if the others were not there"


@pytest.mark.usefixtures("toy")
def test_a_report_says_that_and_how_a_run_ended_early(
    tmp_path: Path, wambench: CommandLine
) -> None:
    plan = plan_of()
    rule = Decided(list(plan.choices), [("expert", "random")], 0.2)
    agenda = run(tmp_path / "run", plan, until(rule), expert_wins)
    rounds = agenda.left["expert"].rounds
    ended = wambench("report", tmp_path / "run", "--json")
    assert ended.code == 0, ended.err
    tables = json.loads(ended.out)
    said = {(c["first"], c["second"]): c["verdict"] for c in tables["comparisons"]}
    assert said["expert", "random"]["text"] == f"better, after {rounds} of {ROUNDS} rounds"
    assert said["expert", "frozen"]["text"] == NOT_JUDGED
    notice = next(line for line in tables["notices"] if "Ended early" in line)
    assert f"expert, random after {rounds} of {ROUNDS} rounds" in notice
    assert tables["missing"] == 0
    assert not any("not given the same cells" in line for line in tables["notices"])
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Ended early by a rule" in page and f"better, after {rounds}" in page
    shown = wambench("runs", "show", tmp_path / "run").out
    assert f"expert ended early, after {rounds} rounds: better than random" in shown
    content = json.loads(wambench("runs", "show", tmp_path / "run", "--json").out)
    assert content["stopping"]["left"]["random"]["rounds"] == rounds


def test_a_run_whose_rule_never_ended_it_still_says_so() -> None:
    found = notices([], by_policy([]), make_passport(), record_of(Decided(["p", "q"]), 5))
    assert any("could end after any round" in line for line in found)
    assert not any("take the number of episodes" in line for line in found)


@pytest.mark.usefixtures("toy")
def test_copies_and_merged_runs_remember_the_rule(tmp_path: Path) -> None:
    plan = plan_of()
    for name, effect in (("run", 0.2), ("other", 0.3)):
        run(tmp_path / name, plan, until(Decided(list(plan.choices), effect=effect)), expert_wins)
    lighten(tmp_path / "run", tmp_path / "light")
    plain = plan_of(policies=["noisy-expert"])
    run(tmp_path / "plain", plain, None, lambda cell: True)
    merge_runs([tmp_path / "plain", tmp_path / "run"], tmp_path / "all")
    before = record(tmp_path / "run")
    assert record(tmp_path / "light") == record(tmp_path / "all") == before
    with pytest.raises(UserError, match="ended early by different rules"):
        merge_runs([tmp_path / "run", tmp_path / "other"], tmp_path / "both")
    assert not (tmp_path / "both").exists()


@pytest.mark.usefixtures("toy")
def test_what_was_spared_here_and_played_there_is_in_the_merged_run(tmp_path: Path) -> None:
    plan = plan_of()
    run(tmp_path / "run", plan, until(Decided(list(plan.choices), effect=0.2)), expert_wins)
    run(tmp_path / "full", plan, None, expert_wins)
    merge_runs([tmp_path / "run", tmp_path / "full"], tmp_path / "one")
    merge_runs([tmp_path / "full", tmp_path / "run"], tmp_path / "other")
    full = stored(tmp_path / "full")
    assert stored(tmp_path / "one") == stored(tmp_path / "other") == full
    assert len(stored(tmp_path / "run")) < len(full) == len(plan.cells)


@pytest.mark.usefixtures("toy")
def test_rounds_have_the_order_of_the_file() -> None:
    rounds = Rounds.of(plan_of(seeds=[3, 1], init_states=[4, 2]).cells)
    assert rounds.order == ((4, 3), (4, 1), (2, 3), (2, 1))
    assert rounds.tasks == (("toy", 0), ("toy", 1), ("toy", 2))
