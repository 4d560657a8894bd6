"""``wambench imagine``: planted imaginations get the right scores; a branch disturbs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from analysis.imagination import moments as gathering
from analysis.imagination.figure import EACH, Pictured, draw, error_map
from analysis.imagination.guided import Place, check, led
from analysis.imagination.moments import Episode, Looking, TaskProcess, moments
from analysis.imagination.scoring import compared
from analysis.imagination.study import Found, study
from analysis.imagination.summary import summary
from analysis.statistics.clusters import means_of_clusters, ratios_of_clusters
from baselines.nano.given import Bank
from tests.conftest import Refused
from tests.recorded import record_run
from tests.records import grid, make_run
from tests.running import wambench
from tests.snippets import in_simulators_process
from tests.toy import SPEC
from wambench import Observation, Policy, PolicySpec, Suite, UserError, plugins
from wambench import episode as episode_loop
from wambench.cells import PolicyChoice
from wambench.clock import Stopwatch
from wambench.contract import mismatches, orient
from wambench.episode import Setting, begin, observe
from wambench.inference import Imagined, Inference, Program
from wambench.protocols import protocol
from wambench.store import Store
from wambench.suite import branched

SIDE, OFFSETS, STRIDE = 32, (4, 8), 8
RULES = protocol("wambench-1", {"image_size": [SIDE, SIDE], "render_size": [SIDE, SIDE]})
CHUNK = np.tile([0.6, 1.0], (8, 1))  # not what the stored episodes did
Dream = Callable[[Observation], NDArray[np.uint8]]


class Planted(Policy):
    """Pushes to the right, and imagines what it is told to."""

    spec = PolicySpec(
        paradigm="videowam", about="planted", cameras=("agentview",), image_size=(SIDE, SIDE),
        orientation=RULES.orientation, action=SPEC.action, horizon=8,
    )  # fmt: skip

    def __init__(self, dream: Dream, chunk: NDArray[np.float64] = CHUNK) -> None:
        self._dream, self._chunk = dream, chunk

    def act(self, observations: Sequence[Observation]) -> list[Any]:
        return [self._chunk for _ in observations]

    def inference(self, on: object) -> Inference:
        def imagined(seen: Sequence[Observation]) -> Imagined:
            frames = np.stack([self._dream(one) for one in seen])
            return Imagined(frames, self.spec.cameras, OFFSETS)

        nothing: Program[Any] = Program([])
        return Inference(nothing, list, {}, lambda state: None, imagined=imagined)


class Stored(Planted):
    """What made the stored episodes: it goes slowly left."""

    def act(self, observations: Sequence[Observation]) -> list[Any]:
        return [np.tile([-0.2, 0.0], (8, 1)) for _ in observations]


@pytest.fixture
def episodes(toy: Suite, tmp_path: Path) -> Sequence[Episode]:
    """Three of a task that it cannot do."""
    record_run(tmp_path / "run", toy, {"slow": Stored(copied)}, [1], [0, 2, 4], RULES)
    with Store.read(tmp_path / "run") as store:
        return [
            Episode(one.cell, str(one.outcome), store.trace(one.cell.key)) for one in store.cells()
        ]


def copied(seen: Observation) -> NDArray[np.uint8]:
    """The present frame."""
    return np.stack([seen.images["agentview"]] * len(OFFSETS))[None]


def true(episodes: Sequence[Episode], chunk: NDArray[np.float64] = CHUNK) -> Dream:
    """What the chunk shows, by another simulator that goes the whole way."""
    by_key = {episode.cell.key: episode for episode in episodes}

    def dream(seen: Observation) -> NDArray[np.uint8]:
        episode = by_key[seen.episode]
        suite = plugins.make_suite("toy")
        simulator = suite.open(suite.tasks()[episode.cell.task_index], "exact")
        simulator.reset(episode.cell.init_state, RULES.simulator_seed)
        settling = [np.array(SPEC.settle_action)] * RULES.settle_steps
        for action in (*settling, *episode.trace.actions[: seen.step]):
            simulator.step(action)
        frames = []
        for action in chunk:
            simulator.step(action)
            picture = simulator.draw(simulator.snapshot(), ("agentview",), (SIDE, SIDE))
            frames.append(orient(picture["agentview"], RULES.orientation))
        return np.stack([frames[ahead - 1] for ahead in OFFSETS])[None]

    return dream


def found(episodes: Sequence[Episode], dream: Dream) -> Found:
    return study("p", Planted(dream), OFFSETS, episodes, RULES, STRIDE)


def skills(rows: pd.DataFrame, truth: str = "executed") -> dict[tuple[str, str], float]:
    """(Prediction, region) -> skill at the last offset."""
    means = summary(rows)
    chosen = means[(means["measure"] == "skill") & (means["truth"] == truth)]
    chosen = chosen[chosen["offset"] == OFFSETS[-1]]
    keys = zip(chosen["prediction"], chosen["region"], strict=True)
    return dict(zip(keys, chosen["mean"], strict=True))


def test_a_true_imagination_scores_best_and_its_branches_disturb_nothing(
    episodes: Sequence[Episode],
) -> None:
    result = found(episodes, true(episodes))
    assert len(result.moments) == sum(-(-len(e.trace.actions) // STRIDE) for e in episodes)
    rows = result.rows[result.rows["truth"] == "executed"]
    own = rows[rows["prediction"] == "imagined"]
    assert (own["error"] == 0).all() and (own["ssim"] > 0.999).all()  # to the pixel
    skill = skills(result.rows)
    assert skill["imagined", "all"] == skill["imagined", "change"] == 1
    assert skill["copy", "all"] == 0 and skill["noise", "all"] < -1
    assert skill["other", "all"] < 1 and skill["other", "change"] < 1
    psnr = rows[rows["region"] == "all"].groupby("prediction")["psnr"].mean()
    assert psnr.idxmax() == "imagined" and psnr.idxmin() == "noise"
    assert 1 <= len(result.pictured) <= 2 * EACH
    for one in result.pictured:
        assert np.array_equal(one.imagined, one.executed) and one.expert is not None
        assert (error_map(one.imagined, one.executed) == 255).all()
        assert (error_map(one.present, one.executed) < 255).any()


def test_the_picture_has_a_column_for_each_moment(tmp_path: Path) -> None:
    frame = np.zeros((8, 8, 3), np.uint8)
    some = Pictured("a", frame, frame, frame + 64, None)
    draw([some, some], "two moments", tmp_path / "x.png")
    image = Image.open(tmp_path / "x.png")
    draw([some], "one moment", tmp_path / "y.png")
    assert image.width > 1.5 * Image.open(tmp_path / "y.png").width
    assert error_map(frame, frame + 64)[0, 0, 0] == round(255 * (1 - 64 / 128))


def test_the_truth_of_another_action_is_told_from_ones_own(episodes: Sequence[Episode]) -> None:
    expert = np.tile([0.0, 1.0], (8, 1))
    skill = skills(found(episodes, true(episodes, expert)).rows)
    assert skill["imagined", "all"] < 0.9


def test_a_copy_has_no_skill_and_another_moment_is_no_truth(episodes: Sequence[Episode]) -> None:
    skill = skills(found(episodes, copied).rows)
    assert skill["imagined", "all"] == skill["imagined", "change"] == 0
    rows = found(episodes, true(episodes)).rows
    assert skills(rows, "expert")["imagined", "all"] < 1  # it is another's action


def test_a_branch_that_disturbs_its_episode_is_found(
    episodes: Sequence[Episode], monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = Looking(RULES, Planted.spec, STRIDE, OFFSETS)
    assert len(moments(episodes[:1], looking)) > 1

    def careless(simulator: Any, choose: Any, steps: int) -> NDArray[np.float64]:
        out = [simulator.snapshot()]
        for step in range(steps):
            simulator.step(choose(step))
            out.append(simulator.snapshot())
        return np.array(out)

    with pytest.raises(UserError, match="3 actions cannot show what is imagined 8 steps ahead"):
        gathering.executed([(episodes[0], {0: [CHUNK[:3]]})], looking)
    chunks = {step: [CHUNK] for step in range(0, 24, STRIDE)}
    assert len(gathering.executed([(episodes[0], chunks)], looking)) == 3
    with monkeypatch.context() as patch:
        patch.setattr(gathering, "branched", careless)  # of the policy's chunks
        with pytest.raises(UserError, match="goes another way than it was stored, from step 1 on"):
            gathering.executed([(episodes[0], chunks)], looking)
    with monkeypatch.context() as patch:
        patch.setattr(episode_loop, "branched", careless)  # of the expert's actions
        with pytest.raises(UserError, match="goes another way than it was stored, from step 1 on"):
            moments(episodes[:1], looking)
    trace = episodes[0].trace
    other = replace(episodes[0], trace=replace(trace, digests=trace.digests + np.uint64(1)))
    with pytest.raises(UserError, match="from step 0 on"):
        moments([other], looking)


def test_a_branch_leaves_the_simulator_as_it_is(toy: Suite) -> None:
    simulator = toy.open(toy.tasks()[0], "exact")
    simulator.reset(0, 0)
    before = simulator.digest()
    actions = [np.array([0.3 * n, 1.0]) for n in range(5)]
    seen = branched(simulator, lambda step: actions[step], 5)
    assert simulator.digest() == before and len(seen) == 6
    for action, snapshot in zip(actions, seen[1:], strict=True):
        simulator.step(action)
        assert (simulator.snapshot() == snapshot).all()

    def fails(step: int) -> Any:
        raise ValueError("no such action")

    with pytest.raises(RuntimeError, match="ValueError: no such action"):
        branched(simulator, fails, 1)


def test_an_oracle_is_shown_what_the_expert_would_do(
    toy: Suite, episodes: Sequence[Episode]
) -> None:
    spec = Planted.spec.model_copy(update={"foresees": (2, 5)})
    rules = RULES.model_copy(update={"gripper": "raw"})
    episode, simulator = episodes[0], toy.open(toy.tasks()[1], "exact")
    setting = Setting(rules, toy.spec, spec, toy.tasks()[1].start(episode.cell.init_state))
    begin(episode.cell, setting, simulator, Stopwatch())
    before = simulator.digest()
    seen = observe(episode.cell, setting, simulator, 0, Stopwatch())
    assert simulator.digest() == before
    for step in range(1, 6):
        simulator.step(simulator.privileged(("expert_action",))["expert_action"])
        if step in spec.foresees:
            then = observe(episode.cell, setting, simulator, step, Stopwatch())
            shown = seen.foreseen["agentview"][spec.foresees.index(step)]
            assert (shown == then.images["agentview"]).all()
    assert (seen.foreseen["agentview"][0] != seen.images["agentview"]).any()

    blind = toy.spec.model_copy(update={"privileged": {}})
    (problem,) = mismatches(spec, blind, image_size=(SIDE, SIDE), orientation=rules.orientation)
    assert "'expert_action'" in problem
    identity = PolicyChoice("p", "p").identity(Planted(copied))
    assert "foresees" not in identity["spec"]  # cells of others keep their keys


def test_measures_are_the_literatures() -> None:
    random = np.random.default_rng(0)
    true = random.integers(0, 256, (32, 32, 3), np.uint8)
    near = np.clip(true + random.normal(0, 9, true.shape), 0, 255).astype(np.uint8)
    half, dot = np.zeros((32, 32), bool), np.zeros((32, 32), bool)
    half[:16], dot[0, 0] = True, True
    rows = {
        row["region"]: row
        for row in compared(near, true, {"all": half | True, "half": half, "dot": dot})
    }
    assert set(rows) == {"all", "half"}  # one pixel tells nothing
    assert rows["all"]["psnr"] == pytest.approx(peak_signal_noise_ratio(true, near))
    _, similar = structural_similarity(true, near, channel_axis=2, data_range=255, full=True)
    assert rows["half"]["ssim"] == pytest.approx(similar[:16].mean())
    broken = near.copy()
    broken[16:] = 0  # outside of the region
    (again,) = compared(broken, true, {"half": half})
    assert (again["psnr"], again["error"]) == (rows["half"]["psnr"], rows["half"]["error"])
    (same,) = compared(true, true, {"all": half | True})
    assert same["error"] == 0 and 58 < same["psnr"] < 60


def test_a_ratio_of_clusters_is_of_sums_and_its_interval_covers() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        size = random.uniform(0.01, 3, (30, 1))
        found, low, high = ratios_of_clusters(size * random.normal(0.7, 0.3, (30, 1)), size)
        hits += bool(low[0] < 0.7 < high[0])
        assert low[0] < found[0] < high[0]
    assert hits >= 85
    values = random.normal(size=(9, 2))
    same = zip(means_of_clusters(values), ratios_of_clusters(values, values * 0 + 1), strict=True)
    assert all((one == other).all() for one, other in same)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("gone --out study", ("'gone'", "not a run directory")),
        ("run --out notes.txt", ("'notes.txt'", "another --out")),
    ],
)
def test_bad_input_is_refused_in_one_line(
    refused: Refused, work: Path, command: str, expected: tuple[str, ...]
) -> None:
    (work / "notes.txt").write_text("notes")
    make_run(work / "run", grid())
    refused("imagine", *command.split(), expected=expected)


def test_without_a_run_moments_are_the_experts(toy: Suite) -> None:
    places = [Place("toy", 1, state) for state in (0, 2)]
    check(places, "p", Planted.spec, RULES)
    led_there = led(places, RULES)
    assert [one.outcome for one in led_there] == ["success", "success"]
    result = study("p", Planted(true(led_there)), OFFSETS, led_there, RULES, STRIDE)
    assert skills(result.rows)["imagined", "all"] == 1
    for moment in result.moments:  # nothing but the expert was at work
        assert moment.expert is not None and moment.step < len(moment.episode.trace.actions)
        if moment.step + OFFSETS[-1] <= len(moment.episode.trace.actions):
            assert (moment.expert.frames == moment.stored).all()
    blind = Planted.spec.model_copy(update={"cameras": ("wrist",)})
    for wrong, spec, said in (
        (Place("toy", 7, 0), Planted.spec, "--task 7: toy has tasks 0-2"),
        (Place("toy", 1, 9), Planted.spec, "--init 9: toy/1 has initial states 0-4"),
        (places[0], blind, "policy 'p' needs camera 'wrist', which toy lacks"),
    ):
        with pytest.raises(UserError, match=said):
            check([wrong], "p", spec, RULES)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("--out study", ("--policy is missing", "or a run")),
        ("--policy nano-imagewam --suite toy --init 0 --out study", ("--task is missing",)),
        ("run --suite toy --out study", ("--suite is nothing with a run", "leave it out")),
        ("--episodes 3 --out study", ("--episodes is nothing without a run",)),
        ("--policy expert --suite toy --task 0 --init 0 --out study", ("imagines no frames",)),
        ("--policy nano-imagewam --suite toy --task 0 --init 0 --out study",
         ("policy 'nano-imagewam' needs", "--suite")),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("toy")
def test_the_two_ways_to_choose_moments_do_not_mix(
    refused: Refused, work: Path, command: str, expected: tuple[str, ...]
) -> None:
    refused("imagine", *command.split(), expected=expected)


def test_policies_that_imagine_nothing_are_refused(
    refused: Refused, work: Path, toy: Suite
) -> None:
    policies = {name: plugins.make_policy(name, {}) for name in ("expert", "random")}
    record_run(work / "run", toy, policies, [0], [0], protocol("wambench-1"))
    for command, expected in (
        ("run --out study", ("no policy of this run imagines", "world-action model")),
        ("run --out study --policy expert", ("'expert'", "imagines no frames")),
        ("run --out study --policy exprt", ("'exprt'", "expert, random")),
    ):
        refused("imagine", *command.split(), expected=expected)


NAMES = ("nano-fastwam-idm", "nano-imagewam")
REAL = """
import sys
from pathlib import Path
from tests.recorded import record_run
from wambench import plugins
from wambench.protocols import protocol
suite, rules = plugins.make_suite("libero_object"), protocol("nano-1")
expert = {name: plugins.make_policy("expert", {}) for name in sys.argv[2:]}
record_run(Path(sys.argv[1]), suite, expert, [2, 6], [30], rules)
print(0)
"""


@pytest.mark.slow
def test_nano_policies_on_real_episodes(tmp_path: Path) -> None:
    in_simulators_process(REAL, str(tmp_path / "run"), *NAMES)  # the expert under their names
    with Store.read(tmp_path / "run") as store:
        stored = store.cells()[0]
        one = Episode(stored.cell, str(stored.outcome), store.trace(stored.cell.key))
    spec = plugins.make_policy(NAMES[0], {}).spec
    with TaskProcess() as process:  # the expert's own future is what it did, to the pixel
        found = process.moments([one], Looking(protocol("nano-1"), spec, 24, (8, 16)))
    whole = [moment for moment in found if moment.step + 16 <= len(one.trace.actions)]
    assert len(whole) >= 3
    for moment in whole:
        assert moment.expert is not None and (moment.expert.frames == moment.stored).all()

    out = tmp_path / "study"
    ended = wambench("imagine", tmp_path / "run", "--out", out, "--stride", "48",
                    "--seeds", "2", timeout=900)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert all((out / f"{name}.png").is_file() for name in NAMES)
    rows, means = pd.read_csv(out / "rows.csv"), pd.read_csv(out / "summary.csv")
    assert set(rows["region"]) == {"all", "change", "object", "gripper", "goal"}
    assert set(rows["truth"]) == {"executed", "expert"}
    chosen = means[(means["region"] == "all") & (means["measure"] == "skill")]
    skill = chosen.groupby(["policy", "prediction"])["mean"].mean()
    error = rows[rows["region"] == "all"].groupby(["policy", "prediction"])["error"].mean()
    pixels = means[means["measure"] == "displacement"].groupby("prediction")["mean"].mean()
    assert {"tracker", "copy", "imagined"} <= set(pixels.index) and pixels["copy"] >= 2
    follows = means[means["measure"] == "consistency"].groupby("prediction")["mean"].mean()
    assert abs(follows["shuffled"]) < 0.2 and (out / "consistency.csv").is_file()
    for name in NAMES:
        assert skill[name, "copy"] == 0 and skill[name, "untrained"] < 0
        assert error[name, "imagined"] < error[name, "untrained"] < error[name, "noise"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["policies"]["nano-imagewam"]["offsets"] == [16]
    bank = Bank.read(out / "futures.npz", (8, 16))
    assert len(bank.frames) == manifest["policies"]["nano-fastwam-idm"]["moments"]
    options = {"future": "other", "futures": str(out / "futures.npz")}
    plugins.make_policy("nano-fastwam-joint", options).load()
