"""Episodes as a LeRobot data set: what a policy saw comes back, whole, the same each time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from baselines.scripted import ExpertPolicy, FrozenPolicy
from baselines.training.data.dataset import open_demos
from tests.conftest import CommandLine, check_refusal, tree
from tests.recorded import record_run
from wambench.lerobot import recording
from wambench.lerobot.folder import export_lerobot
from wambench.lerobot.plan import Look
from wambench.protocols import protocol
from wambench.store import STORE_NAME, Store, lighten
from wambench.suite import Suite
from wambench.trace import Trace

CAMERAS = {"agentview": "image", "wrist": "wrist_image"}

# ---------------------------------------------------------------- LIBERO


def seen_by_policies(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / "seen.npz") as content:
        return dict(content)


def test_what_policies_saw_in_libero_comes_back(
    watched_runs: tuple[Path, Path], tmp_path: Path, wambench: CommandLine
) -> None:
    """Actions and states to float32, frames but for H.264's loss, read by our own reader."""
    run, folder = tmp_path / "run", tmp_path / "set"
    merged = wambench("merge", *watched_runs, "--out", run)
    assert merged.code == 2 and "max_steps" in merged.err  # other budgets, other protocol
    merged = wambench("merge", *watched_runs, "--out", run, "--allow-mismatch", "protocol")
    assert merged.code == 0, merged.err
    ended = wambench("export", run, "--lerobot", folder, "--size", "64")
    assert ended.code == 0, ended.err
    assert "3 episodes, 66 frames" in ended.out and "known already" not in ended.out

    with Store.read(run) as store:
        stored = {known.cell.key: known for known in store.cells()}
        traces = {key: store.trace(key) for key in stored}
    seen = {key: value for one in watched_runs for key, value in seen_by_policies(one).items()}
    lines = (folder / "meta/episodes.jsonl").read_text().splitlines()
    listed = [json.loads(line) for line in lines]
    demos = open_demos(folder, validation=0.0)
    read = {episode.source.rsplit(" ", 1)[1]: episode for episode in demos.episodes}
    assert len(listed) == len(read) == 3
    for about in listed:
        episode, key = read[str(about["episode_index"])], about["cell"]
        cell = stored[key].cell
        assert about["outcome"] == stored[key].outcome
        assert (about["suite"], about["suite_task"]) == (cell.suite, cell.task_index)
        assert about["tasks"] == [episode.instruction] and "pick up the" in episode.instruction
        actions = traces[key].actions
        assert about["length"] == len(episode) == len(actions)
        np.testing.assert_array_equal(episode.actions, actions.astype(np.float32))
        np.testing.assert_array_equal(episode.state, seen[f"{key}/state"].astype(np.float32))
        for camera, name in CAMERAS.items():
            frames, expected = episode.images[camera], seen[f"{key}/{camera}"]
            assert frames.shape == expected.shape
            gaps = np.abs(frames.astype(float) - expected).mean(axis=(1, 2, 3))
            assert gaps.max() < 6, "what compression may cost at this size"
            others = np.abs(frames[:-6].astype(float) - expected[6:]).mean(axis=(1, 2, 3))
            assert gaps[:-6].mean() < others.mean(), "each frame is its own step's"
            video = f"observation.images.{name}/episode_{about['episode_index']:06d}.mp4"
            with av.open(str(folder / "videos/chunk-000" / video)) as film:
                times = [frame.time for frame in film.decode(video=0)]
            np.testing.assert_allclose(times, np.arange(len(actions)) / 20, atol=1e-6)


# ---------------------------------------------------------------- a point robot

SIZE = 16
RULES = protocol("wambench-1", {"settle_steps": 5, "replan_steps": 3, "image_size": [SIZE, SIZE]})


@pytest.fixture
def toy_run(toy: Suite, tmp_path: Path) -> Path:
    """Expert and frozen policy on two tasks from two states: eight episodes, half successes."""
    policies = {"expert": ExpertPolicy(), "frozen": FrozenPolicy()}
    return record_run(tmp_path / "toy-run", toy, policies, [0, 2], [0, 1], RULES)


def exported(run: Path, folder: Path, *options: str, wambench: CommandLine) -> str:
    ended = wambench("export", run, "--lerobot", folder, "--size", SIZE, *options)
    assert ended.code == 0, ended.err
    return ended.out


def meta(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / "meta" / name).read_text().splitlines()]


def tables(folder: Path) -> list[pd.DataFrame]:
    return [pd.read_parquet(file) for file in sorted(folder.glob("data/*/*.parquet"))]


def test_the_layout_is_lerobots(toy_run: Path, tmp_path: Path, wambench: CommandLine) -> None:
    exported(toy_run, tmp_path / "set", wambench=wambench)
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    episodes, found = meta(tmp_path / "set", "episodes.jsonl"), tables(tmp_path / "set")
    assert info["codebase_version"] == "v2.1" and info["fps"] == 10
    assert (info["total_episodes"], info["total_videos"], info["total_chunks"]) == (8, 8, 1)
    assert info["total_frames"] == sum(map(len, found)) == sum(row["length"] for row in episodes)
    assert info["splits"] == {"train": "0:8"}
    picture = info["features"].pop("observation.images.image")
    assert picture["dtype"] == "video" and picture["shape"] == [SIZE, SIZE, 3]
    assert info["features"]["action"]["shape"] == [2]
    assert set(found[0]) == set(info["features"])
    for name, feature in info["features"].items():
        assert feature["shape"] == [1] or len(found[0][name][0]) == feature["shape"][0]
    rows = pd.concat(found)
    assert list(rows["index"]) == list(range(info["total_frames"]))
    for about, table in zip(episodes, found, strict=True):
        succeeded, last = about["outcome"] == "success", len(table) - 1
        assert (table.episode_index == about["episode_index"]).all()
        assert list(table.frame_index) == list(range(len(table)))
        np.testing.assert_allclose(table.timestamp, table.frame_index / 10, atol=1e-6)
        assert list(table["next.done"]) == [False] * last + [True]
        assert list(table["next.success"]) == [False] * last + [succeeded]
        assert table["next.reward"].sum() == succeeded
        tasks = {row["task_index"]: row["task"] for row in meta(tmp_path / "set", "tasks.jsonl")}
        assert [tasks[table.task_index[0]]] == about["tasks"]


def test_statistics_are_those_of_the_rows_and_frames(
    toy_run: Path, tmp_path: Path, wambench: CommandLine
) -> None:
    exported(toy_run, tmp_path / "set", wambench=wambench)
    statistics = meta(tmp_path / "set", "episodes_stats.jsonl")
    for one, table in zip(statistics, tables(tmp_path / "set"), strict=True):
        assert set(one["stats"]) == {*table, "observation.images.image"}
        for name in table:
            values = np.stack(list(table[name])).reshape(len(table), -1).astype(float)
            for key, expected in (("mean", values.mean(0)), ("std", values.std(0))):
                np.testing.assert_allclose(one["stats"][name][key], expected, atol=1e-6)
            np.testing.assert_allclose(np.float64(one["stats"][name]["max"]), values.max(0))
            assert one["stats"][name]["count"] == [len(table)]
        # The toy's frame: a red and a green column, upper half, one pixel wide; blue is nowhere.
        picture = one["stats"]["observation.images.image"]
        assert np.shape(picture["mean"]) == (3, 1, 1) and picture["count"] == [len(table)]
        np.testing.assert_allclose(np.ravel(picture["max"]), [1, 1, 0])
        share = 1 / 2 / SIZE
        np.testing.assert_allclose(np.ravel(picture["mean"]), [share, share, 0], atol=1e-9)
        spread = np.sqrt(share * (1 - share))
        np.testing.assert_allclose(np.ravel(picture["std"]), [spread, spread, 0], atol=1e-9)


def test_the_same_export_gives_the_same_bytes(
    toy_run: Path, tmp_path: Path, wambench: CommandLine
) -> None:
    for name in ("a", "b"):
        exported(toy_run, tmp_path / name, wambench=wambench)
    first, second = (
        {Path(path).relative_to(tmp_path / name): digest for path, digest in files.items()}
        for name, files in ((n, tree(tmp_path / n)) for n in ("a", "b"))
    )
    assert first == second
    again = exported(toy_run, tmp_path / "a", wambench=wambench)
    assert "8 of them known already" in again
    assert tree(tmp_path / "a") == {
        str(tmp_path / "a" / path): digest for path, digest in first.items()
    }


def test_a_stopped_export_goes_on_and_ends_alike(
    toy_run: Path, tmp_path: Path, wambench: CommandLine
) -> None:
    """Stopped after three episodes, and one table torn: nothing but the missing is drawn."""
    exported(toy_run, tmp_path / "whole", wambench=wambench)
    told: list[int] = []

    def stop(entry: object, total: int) -> None:
        told.append(total)
        if len(told) == 3:
            raise KeyboardInterrupt

    folder = tmp_path / "stopped"
    with Store.read(toy_run) as store, pytest.raises(KeyboardInterrupt):
        export_lerobot(store, store.cells(), folder, look=Look(size=SIZE), on_episode=stop)
    assert not (folder / "meta/info.json").exists(), "LeRobot must not take it for whole"
    written = sorted(folder.glob("data/*/*.parquet"))
    assert len(written) == 3
    written[0].write_bytes(written[0].read_bytes()[:100])
    before = written[1].stat().st_mtime_ns
    assert "2 of them known already" in exported(toy_run, folder, wambench=wambench)
    assert written[1].stat().st_mtime_ns == before
    assert {Path(p).relative_to(folder): d for p, d in tree(folder).items()} == {
        Path(p).relative_to(tmp_path / "whole"): d for p, d in tree(tmp_path / "whole").items()
    }


@pytest.mark.parametrize(
    ("options", "episodes", "policies"),
    [
        (("--outcome", "success"), 4, {"expert"}),
        (("--outcome", "failure"), 4, {"frozen"}),
        (("--policy", "frozen", "--task", "2"), 2, {"frozen"}),
        (("--init", "1", "--seed", "0", "--suite", "toy"), 4, {"expert", "frozen"}),
    ],
)
def test_episodes_can_be_chosen(
    toy_run: Path,
    tmp_path: Path,
    wambench: CommandLine,
    options: tuple[str, ...],
    episodes: int,
    policies: set[str],
) -> None:
    said = exported(toy_run, tmp_path / "set", *options, wambench=wambench)
    listed = meta(tmp_path / "set", "episodes.jsonl")
    assert f"{episodes} episodes" in said and len(listed) == episodes
    assert {row["policy"] for row in listed} == policies
    assert [row["episode_index"] for row in listed] == list(range(episodes))


# ---------------------------------------------------------------- refusals


REFUSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "policy": ("--policy exprt", ("no policy 'exprt'", "expert")),
    "nothing left": ("--policy expert --outcome failure", ("none of the 4", "failed")),
    "odd size": ("--size 17", ("--size 17 is odd", "18")),
    "rendering": ("--rendering fine", ("toy has no rendering 'fine'", "exact")),
    "outcome": ("--outcome won", ("'won'", "success")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_gets_one_line(
    toy_run: Path, tmp_path: Path, wambench: CommandLine, what: str
) -> None:
    options, expected = REFUSED[what]
    folder = tmp_path / "set"
    ended = wambench("export", toy_run, "--lerobot", folder, *options.split())
    check_refusal(ended.code, ended.out, ended.err, expected)
    assert not folder.exists()


@pytest.mark.parametrize("option", ["--suite toy", "--outcome success", "--size 64", "--policy p"])
def test_options_of_lerobot_need_it(
    toy_run: Path, tmp_path: Path, wambench: CommandLine, option: str
) -> None:
    ended = wambench("export", toy_run, "--episodes", tmp_path / "e.csv", *option.split())
    check_refusal(ended.code, ended.out, ended.err, (option.split()[0], "--lerobot"))
    assert not (tmp_path / "e.csv").exists()


def _full(folder: Path) -> None:
    folder.mkdir()
    (folder / "holiday.jpg").write_text("mine")


def _file(folder: Path) -> None:
    folder.write_text("a file")


@pytest.mark.parametrize("spoil", [_full, _file])
def test_a_folder_with_something_else_is_left_alone(
    toy_run: Path, tmp_path: Path, wambench: CommandLine, spoil: Callable[[Path], None]
) -> None:
    folder = tmp_path / "set"
    spoil(folder)
    before = tree(tmp_path)
    ended = wambench("export", toy_run, "--lerobot", folder, "--size", SIZE)
    check_refusal(ended.code, ended.out, ended.err, ("is there already", "new or empty"))
    assert tree(tmp_path) == before


def test_another_export_is_not_mixed_in(
    toy_run: Path, tmp_path: Path, wambench: CommandLine
) -> None:
    exported(toy_run, tmp_path / "set", "--policy", "expert", wambench=wambench)
    before = tree(tmp_path / "set")
    for options in (("--size", "18", "--policy", "expert"), ("--size", "16")):
        ended = wambench("export", toy_run, "--lerobot", tmp_path / "set", *options)
        check_refusal(ended.code, ended.out, ended.err, ("another", "folder"))
    assert tree(tmp_path / "set") == before


def test_a_light_run_says_so(toy_run: Path, tmp_path: Path, wambench: CommandLine) -> None:
    lighten(toy_run, tmp_path / "light")
    ended = wambench("export", tmp_path / "light", "--lerobot", tmp_path / "set")
    check_refusal(ended.code, ended.out, ended.err, ("without the courses of its episodes",))
    assert not (tmp_path / "set").exists()


def test_a_course_that_is_not_the_stored_one_is_refused(
    toy_run: Path, tmp_path: Path, wambench: CommandLine
) -> None:
    """One bit of one action: the frames would show what never happened."""
    with Store.read(toy_run) as store:
        cell = next(known.cell for known in store.cells() if known.cell.policy == "expert")
        trace = store.trace(cell.key)
    trace.actions[2, 0] = np.nextafter(trace.actions[2, 0], 2)
    spoiled = Trace(trace.actions, trace.snapshots, trace.digests).pack()
    with sqlite3.connect(toy_run / STORE_NAME) as database:
        database.execute("UPDATE episodes SET trace = ? WHERE cell_key = ?", (spoiled, cell.key))
    ended = wambench("export", toy_run, "--lerobot", tmp_path / "set", "--size", SIZE)
    check_refusal(
        ended.code, ended.out, ended.err,
        (cell.describe(), "the state after 3 steps is not the stored one"),
    )  # fmt: skip
    assert not list((tmp_path / "set").rglob("*.parquet"))
    assert not (tmp_path / "set/meta/info.json").exists()


def test_a_drawing_process_that_dies_is_reported(
    toy_run: Path, tmp_path: Path, wambench: CommandLine
) -> None:
    module = next((tmp_path / "site-packages").glob("toybench.py"))
    source = module.read_text()
    module.write_text(
        source.replace("        self.looks.append(cameras)", "        import os; os._exit(7)")
    )
    ended = wambench("export", toy_run, "--lerobot", tmp_path / "set", "--size", SIZE)
    expected = ("died (exit code 7)", recording.GOES_ON)
    check_refusal(ended.code, ended.out, ended.err, expected)
    module.write_text(source)
    assert "8 episodes" in exported(toy_run, tmp_path / "set", wambench=wambench)
