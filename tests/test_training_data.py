"""Demonstrations: files of every layout read alike, split, cut into samples, refused when unfit."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from baselines.core.checkpoints.statistics import read_statistics
from baselines.training.data.chunks import Chunks
from baselines.training.data.dataset import Demonstrations, open_demos
from baselines.training.data.episodes import Episode
from baselines.training.data.statistics import (
    check_hash,
    check_statistics,
    training_statistics,
    write_statistics,
)
from wambench import UserError
from wambench.contract import orient
from wambench.episode import fit_image
from wambench.protocols import protocol

SIDE, FPS = 32, 10
CORNERS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200), "white": (200,) * 3}


@dataclass
class Demo:
    """What a test writes: upright frames, red top left, green top right; brighter step by step."""

    instruction: str = "pick up the milk and place it in the basket"
    init_state: int = 0
    seed: int = 0
    steps: int = 6
    side: int = SIDE
    changes: dict[str, Any] = field(default_factory=dict)  # data set in the file -> other content

    def numbers(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.init_state, self.seed, self.steps])
        out = {
            "ee_pos": rng.normal(size=(self.steps, 3)),
            "ee_ori": rng.normal(size=(self.steps, 3)),
            "gripper_states": rng.normal(size=(self.steps, 2)),
            "actions": rng.uniform(-1, 1, (self.steps, 7)),
            "expert_actions": rng.uniform(-1, 1, (self.steps, 7)),
        }
        for name in ("actions", "expert_actions"):
            out[name][:, 6] = np.where(np.arange(self.steps) < self.steps / 2, -1, 1)
        return out

    def state(self) -> np.ndarray:
        n = self.numbers()
        return np.concatenate([n["ee_pos"], n["ee_ori"], n["gripper_states"]], axis=1)

    def frames(self, camera: str) -> np.ndarray:
        half, dim = self.side // 2, 1 if camera == "agentview" else 2
        frames = np.zeros((self.steps, self.side, self.side, 3), np.uint8)
        for step in range(self.steps):
            for number, colour in enumerate(CORNERS.values()):
                row, column = divmod(number, 2)
                there = np.s_[row * half : (row + 1) * half, column * half : (column + 1) * half]
                frames[step][there] = np.array(colour) // dim + brightness(step) * (
                    np.array(colour) > 0
                )
        return frames


def brightness(step: int) -> int:
    return 9 * (step % 6)


def expected(demo: Demo, camera: str) -> np.ndarray:
    return np.stack([orient(frame, "rotated_180") for frame in demo.frames(camera)])


# ---------------------------------------------------------------- writers


def write_hdf5(file: Path, demos: Sequence[Demo], ours: bool = True) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as content:
        data = content.create_group("data")
        words = {"language_instruction": demos[0].instruction if ours else "Pick the milk"}
        data.attrs["problem_info"] = json.dumps(words)
        if ours:
            attrs = {"suite": "libero_object", "task": "the_task", "orientation": "opengl"}
            content.attrs.update(attrs)
        else:
            data.attrs["macros_image_convention"] = "opengl"
        for number, demo in enumerate(demos):
            group = data.create_group(f"demo_{number}")
            numbers = demo.numbers()
            arrays = {f"obs/{n}": numbers[n] for n in ("ee_pos", "ee_ori", "gripper_states")}
            arrays["actions"] = numbers["actions"]
            arrays["obs/agentview_rgb"] = demo.frames("agentview")[:, ::-1]
            arrays["obs/eye_in_hand_rgb"] = demo.frames("wrist")[:, ::-1]
            if ours:
                arrays["expert_actions"] = numbers["expert_actions"]
                group.attrs.update(init_state=demo.init_state, seed=demo.seed)
                group.attrs["instruction"] = demo.instruction
            else:
                group.attrs["init_state"] = np.zeros(30)
            for name, values in {**arrays, **demo.changes}.items():
                if values is not None:
                    group[name] = values
    return file


def write_video(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "4", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def table(demo: Demo, index: int, task: int, names: Sequence[str], opening: bool) -> pd.DataFrame:
    actions = demo.numbers()["actions"].astype(np.float32)
    if opening:
        actions[:, 6] = (1 - actions[:, 6]) / 2
    columns = {
        names[0]: list(demo.state().astype(np.float32)),
        names[1]: list(actions),
        "frame_index": range(demo.steps),
        "episode_index": index,
        "task_index": task,
    }
    return pd.DataFrame(columns)


KEYS = {"agentview": "observation.images.image", "wrist": "observation.images.wrist_image"}
NAMES = ("observation.state", "action")


def write_info(root: Path, version: str, dtype: str, keys: Mapping[str, str], names: Any) -> None:
    v3 = version.startswith("v3")
    chunk = "chunk-{chunk_index:03d}/file-{file_index:03d}"
    single = "chunk-{episode_chunk:03d}/%sepisode_{episode_index:06d}"
    features = {key: {"dtype": "float32"} for key in [*names, "task_index"]}
    (root / "meta").mkdir(parents=True)
    info = {
        "codebase_version": version,
        "fps": FPS,
        "chunks_size": 2,
        "data_path": f"data/{chunk if v3 else single % ''}.parquet",
        "video_path": f"videos/{{video_key}}/{chunk}.mp4"
        if v3
        else f"videos/{single % '{video_key}/'}.mp4",
        "features": features | {key: {"dtype": dtype} for key in keys.values()},
    }
    (root / "meta" / "info.json").write_text(json.dumps(info))


def write_v2(
    root: Path, demos: Sequence[Demo], *, pictures: bool = False, opening: bool = False
) -> Path:
    keys = {"agentview": "image", "wrist": "wrist_image"} if pictures else KEYS
    names = ("state", "actions") if pictures else NAMES
    write_info(root, "v2.1", "image" if pictures else "video", keys, names)
    tasks = sorted({demo.instruction for demo in demos})
    episodes = []
    for index, demo in enumerate(demos):
        rows = table(demo, index, tasks.index(demo.instruction), names, opening)
        for camera, key in keys.items():
            frames = expected(demo, camera)
            if pictures:
                rows[key] = [{"bytes": png(frame), "path": None} for frame in frames]
            else:
                there = root / f"videos/chunk-{index // 2:03d}/{key}"
                write_video(there / f"episode_{index:06d}.mp4", frames)
        file = root / f"data/chunk-{index // 2:03d}/episode_{index:06d}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(file)
        episodes.append({"episode_index": index, "tasks": [demo.instruction], "length": demo.steps})
    (root / "meta/episodes.jsonl").write_text("\n".join(map(json.dumps, episodes)))
    lines = [json.dumps({"task_index": n, "task": task}) for n, task in enumerate(tasks)]
    (root / "meta/tasks.jsonl").write_text("\n".join(lines))
    return root


def write_v3(root: Path, demos: Sequence[Demo], per_file: int = 2) -> Path:
    write_info(root, "v3.0", "video", KEYS, NAMES)
    tasks = sorted({demo.instruction for demo in demos})
    rows = []
    for first in range(0, len(demos), per_file):
        group, file = demos[first : first + per_file], first // per_file
        tables = [
            table(demo, first + n, tasks.index(demo.instruction), NAMES, False)
            for n, demo in enumerate(group)
        ]
        path = root / f"data/chunk-000/file-{file:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.concat(tables).to_parquet(path)
        for camera, key in KEYS.items():
            video = root / f"videos/{key}/chunk-000/file-{file:03d}.mp4"
            write_video(video, np.concatenate([expected(demo, camera) for demo in group]))
        start = 0
        for n, demo in enumerate(group):
            row = {"episode_index": first + n, "tasks": [demo.instruction], "length": demo.steps}
            row |= {"data/chunk_index": 0, "data/file_index": file}
            for key in KEYS.values():
                row |= {f"videos/{key}/chunk_index": 0, f"videos/{key}/file_index": file}
                row[f"videos/{key}/from_timestamp"] = start / FPS
                row[f"videos/{key}/to_timestamp"] = (start + demo.steps) / FPS
            rows.append(row)
            start += demo.steps
    (root / "meta/episodes/chunk-000").mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(root / "meta/episodes/chunk-000/file-000.parquet")
    numbers = pd.DataFrame({"task_index": range(len(tasks))}, index=tasks)
    numbers.to_parquet(root / "meta/tasks.parquet")
    return root


def png(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()


DEMOS = [Demo(init_state=0, steps=6), Demo(init_state=1, steps=4), Demo(init_state=2, steps=5)]


def opened(path: Path, **options: Any) -> Demonstrations:
    return open_demos(path, **{"validation": 0.0, **options})


def by_length(demos: Demonstrations) -> dict[int, Episode]:
    return {len(episode): episode for episode in demos.episodes}


# ---------------------------------------------------------------- layouts


def test_our_files_come_back_turned_with_the_experts_labels(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a" / "b_demo.hdf5", DEMOS)
    demos = opened(tmp_path)
    assert demos.unchecked == 0
    for demo in DEMOS:
        episode = by_length(demos)[demo.steps]
        numbers = demo.numbers()
        assert (episode.suite, episode.task) == ("libero_object", "the_task")
        assert (episode.init_state, episode.seed) == (demo.init_state, demo.seed)
        assert episode.instruction == demo.instruction
        np.testing.assert_allclose(episode.state, demo.state(), rtol=1e-6)
        np.testing.assert_allclose(episode.actions, numbers["actions"], rtol=1e-6)
        np.testing.assert_allclose(episode.labels, numbers["expert_actions"], rtol=1e-6)
        assert episode.state.dtype == episode.labels.dtype == np.float32
        for camera in ("agentview", "wrist"):
            np.testing.assert_array_equal(episode.images[camera], expected(demo, camera))
    # upright it is red top left; turned as policies train on it, red is top right
    assert episode.images["agentview"][0, 0, -1].tolist() == list(CORNERS["red"])


def test_liberos_own_files_are_shifted_by_the_step_they_come_late(tmp_path: Path) -> None:
    name = "KITCHEN_SCENE10_put_the_milk_in_the_basket_demo.hdf5"
    write_hdf5(tmp_path / "libero_90" / name, DEMOS, ours=False)
    demos = opened(tmp_path)
    episode, demo = by_length(demos)[5], DEMOS[0]
    assert demos.unchecked == 3
    assert (episode.suite, episode.init_state, episode.seed) == ("libero_90", None, None)
    assert episode.instruction == "put the milk in the basket"  # as the benchmark says it
    actions = demo.numbers()["actions"]
    np.testing.assert_allclose(episode.actions, actions[1:], rtol=1e-6)
    np.testing.assert_allclose(episode.labels, actions[1:], rtol=1e-6)
    np.testing.assert_allclose(episode.state, demo.state()[:-1], rtol=1e-6)
    np.testing.assert_array_equal(episode.images["wrist"], expected(demo, "wrist")[:-1])


@pytest.mark.parametrize("convention", ["upright", "rotated_180"])
def test_a_file_says_how_its_frames_lie(tmp_path: Path, convention: Any) -> None:
    demo = DEMOS[0]
    frames = {n: np.stack([orient(f, convention) for f in demo.frames(n)]) for n in KEYS}
    changes = {"obs/agentview_rgb": frames["agentview"], "obs/eye_in_hand_rgb": frames["wrist"]}
    file = write_hdf5(tmp_path / "a.hdf5", [replace(demo, changes=changes)])
    with h5py.File(file, "a") as content:
        content.attrs["orientation"] = convention
    images = opened(file).train[0].images
    np.testing.assert_array_equal(images["agentview"], expected(demo, "agentview"))


def test_frames_are_resized_as_evaluation_resizes_them(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a.hdf5", DEMOS[:1])
    demos = opened(tmp_path, size=(12, 20))
    rules = protocol("wambench-1").model_copy(update={"image_size": (12, 20)})
    assert demos.size == (12, 20) and rules.orientation == "rotated_180"
    for camera in demos.cameras:
        seen = [fit_image(frame, rules) for frame in DEMOS[0].frames(camera)]
        np.testing.assert_array_equal(demos.train[0].images[camera], np.stack(seen))


@pytest.mark.parametrize("write", [write_v2, write_v3])
def test_lerobot_videos(tmp_path: Path, write: Callable[..., Path]) -> None:
    spoken = [replace(DEMOS[1], instruction="open the drawer"), DEMOS[0], DEMOS[2]]
    write(tmp_path / "set", spoken)
    demos = opened(tmp_path)  # a folder of data sets will do
    assert demos.instructions == ("open the drawer", DEMOS[0].instruction)
    for demo in spoken:
        episode = by_length(demos)[demo.steps]
        assert (episode.instruction, episode.init_state) == (demo.instruction, None)
        np.testing.assert_allclose(episode.state, demo.state(), rtol=1e-6)
        np.testing.assert_allclose(episode.labels, demo.numbers()["actions"], rtol=1e-6)
        for camera in KEYS:
            inside = np.s_[:, 4:12, 20:28]  # away from the edges, where a video blurs
            there = episode.images[camera][inside].astype(int).mean((1, 2))
            wanted = expected(demo, camera)[inside].astype(int).mean((1, 2))
            assert np.abs(there - wanted).max() < 4.5  # half of the difference of two steps


def test_lerobot_pictures_in_tables_and_an_opening_gripper(tmp_path: Path) -> None:
    write_v2(tmp_path / "set", DEMOS, pictures=True, opening=True)
    with pytest.raises(UserError, match=r"'.*set': the gripper's action is never negative"):
        opened(tmp_path)
    episode = by_length(opened(tmp_path, opening_gripper=True))[6]
    np.testing.assert_allclose(episode.actions, DEMOS[0].numbers()["actions"], atol=1e-6)
    np.testing.assert_array_equal(episode.images["wrist"], expected(DEMOS[0], "wrist"))
    shutil.rmtree(tmp_path / "set")
    write_v2(tmp_path / "set", DEMOS, pictures=True)
    with pytest.raises(UserError, match="reaches -1, so it is not 0 to 1"):
        opened(tmp_path, opening_gripper=True)


def test_cameras_can_be_chosen_and_named(tmp_path: Path) -> None:
    file = write_hdf5(tmp_path / "a.hdf5", DEMOS[:1])
    assert list(opened(file, cameras=["wrist"]).train[0].images) == ["wrist"]
    swapped = opened(file, cameras=["agentview"], camera_keys={"agentview": "eye_in_hand_rgb"})
    np.testing.assert_array_equal(swapped.train[0].images["agentview"], expected(DEMOS[0], "wrist"))


def test_frames_are_kept_once_and_cannot_be_changed(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a.hdf5", DEMOS)
    views = [episode.images["agentview"] for episode in opened(tmp_path).train]
    assert len({id(view.base) for view in views}) == 1
    with pytest.raises(ValueError, match="read-only"):
        views[0][0] = 0


# ---------------------------------------------------------------- samples


@pytest.fixture
def episodes(tmp_path: Path) -> Demonstrations:
    other = replace(DEMOS[1], instruction="open the drawer")
    write_hdf5(tmp_path / "a.hdf5", [DEMOS[0], other])
    return opened(tmp_path)


def chunks_of(demos: Demonstrations, **options: Any) -> Chunks:
    common = {"episodes": demos.train, "instructions": demos.instructions, "cameras": demos.cameras}
    return Chunks(**{**common, "horizon": 4, **options})


def test_a_chunk_past_the_end_stands_still_and_keeps_its_gripper(episodes: Demonstrations) -> None:
    chunks = chunks_of(episodes)
    short, long = episodes.train  # "open the drawer" sorts first
    assert len(chunks) == 10 and (len(short), len(long)) == (4, 6)
    batch = chunks.at([0, 3, 4, 7])
    assert batch["episode"].tolist() == [0, 0, 1, 1] and batch["step"].tolist() == [0, 3, 0, 3]
    assert batch["instruction"].tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(batch["state"][3], long.state[3])
    np.testing.assert_array_equal(batch["actions"][0], short.labels)
    np.testing.assert_array_equal(batch["actions"][1][0], short.labels[3])
    still = [0] * 6 + [short.labels[3, 6]]
    np.testing.assert_array_equal(batch["actions"][1][1:], [still] * 3)
    np.testing.assert_array_equal(batch["actions"][3][:3], long.labels[3:])
    assert batch["action_is_pad"].tolist() == [
        [False] * 4, [False, True, True, True], [False] * 4, [False] * 3 + [True],
    ]  # fmt: skip
    assert batch["actions"].dtype == np.float32 and short.labels[3, :6].any()
    assert batch["future"].shape == (4, 0, 2, SIDE, SIDE, 3)


def test_the_goal_is_a_chunk_ahead_and_not_past_the_end(episodes: Demonstrations) -> None:
    batch = chunks_of(episodes, future=1).at([4, 5, 6, 9])
    long = episodes.train[1]
    for row, (step, goal, is_pad) in enumerate([(0, 4, 0), (1, 5, 0), (2, 5, 1), (5, 5, 1)]):
        for column, camera in enumerate(episodes.cameras):
            np.testing.assert_array_equal(batch["images"][row, column], long.images[camera][step])
            np.testing.assert_array_equal(
                batch["future"][row, 0, column], long.images[camera][goal]
            )
        assert batch["future_is_pad"][row].tolist() == [bool(is_pad)]


def test_a_clip_is_evenly_spaced_up_to_the_horizon(episodes: Demonstrations) -> None:
    batch = chunks_of(episodes, horizon=6, future=3).at([4 + 1])
    frames = episodes.train[1].images["agentview"]
    np.testing.assert_array_equal(batch["future"][0, :, 0], frames[[3, 5, 5]])
    assert batch["future_is_pad"].tolist() == [[False, False, True]]
    with pytest.raises(ValueError, match="not evenly spaced"):
        chunks_of(episodes, horizon=6, future=4)


def test_frames_of_every_second_step_make_every_second_sample(tmp_path: Path) -> None:
    demos = [replace(DEMOS[0], steps=steps, seed=steps, changes={}) for steps in (10, 13)]
    write_hdf5(tmp_path / "whole" / "a.hdf5", demos)
    for demo in demos:
        for camera, name in (("agentview", "agentview_rgb"), ("wrist", "eye_in_hand_rgb")):
            demo.changes[f"obs/{name}"] = demo.frames(camera)[::2, ::-1]
    sparse = write_hdf5(tmp_path / "sparse" / "a.hdf5", demos)
    with pytest.raises(UserError, match="5 frames for 10 actions; write"):
        opened(tmp_path / "sparse")
    with h5py.File(sparse, "r+") as content:
        content.attrs["draw_every"] = 2
    whole, half = opened(tmp_path / "whole"), opened(tmp_path / "sparse")
    assert half.data_hash != whole.data_hash
    assert sum(len(v) for e in half.episodes for v in e.images.values()) == 2 * (5 + 7)
    options = {"horizon": 8, "future": 2}
    every, second = chunks_of(whole, **options), chunks_of(half, **options)
    assert len(second) == 5 + 7
    there, here = every.at([*range(0, 10, 2), *range(10, 23, 2)]), second.at(range(12))
    assert same({**there, "future": 0}, {**here, "future": 0})
    clear = ~here["future_is_pad"]
    np.testing.assert_array_equal(there["future"][clear], here["future"][clear])
    with pytest.raises(UserError, match=r"frames of every 2 steps, none 1 steps ahead; draw"):
        chunks_of(half, horizon=2, future=2)
    with h5py.File(sparse, "r+") as content:
        content.attrs["draw_every"] = -2
    with pytest.raises(UserError, match="demo_0: draw_every is -2; write the episode again"):
        opened(tmp_path / "sparse")


def same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_a_batch_is_a_function_of_its_number_and_the_seed(episodes: Demonstrations) -> None:
    going = chunks_of(episodes, future=1, batch_size=4, seed=3)
    batches = [going.batch(number) for number in range(12)]
    resumed = chunks_of(episodes, future=1, batch_size=4, seed=3)
    for number in (11, 3, 7):
        assert same(resumed.batch(number), batches[number])
    assert not same(chunks_of(episodes, future=1, batch_size=4, seed=4).batch(0), batches[0])

    drawn = [(e, s) for b in batches for e, s in zip(b["episode"], b["step"], strict=True)]
    epochs = [drawn[first : first + 10] for first in (0, 10, 20, 30)]
    assert all(len(set(epoch)) == 10 for epoch in epochs)  # each sample once
    assert len({tuple(epoch) for epoch in epochs}) == 4  # in another order each time


def test_without_a_seed_samples_come_in_order(episodes: Demonstrations) -> None:
    chunks = chunks_of(episodes, batch_size=6, seed=None)
    steps = [chunks.batch(number)["step"].tolist() for number in (0, 1)]
    assert steps == [[0, 1, 2, 3, 0, 1], [2, 3, 4, 5, 0, 1]]


# ---------------------------------------------------------------- split, hash, statistics


def many(count: int = 20) -> list[Demo]:
    return [Demo(init_state=number, steps=3 + number % 2) for number in range(count)]


def names(episodes: Sequence[Episode]) -> list[int | None]:
    return [episode.init_state for episode in episodes]


def test_validation_is_a_share_of_the_episodes_whatever_the_files(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "one" / "a.hdf5", many())
    write_hdf5(tmp_path / "two" / "z.hdf5", many()[:7:-1])
    write_hdf5(tmp_path / "two" / "sub" / "b.hdf5", many()[:8])
    one, two = (open_demos(tmp_path / name, validation=0.2) for name in ("one", "two"))
    assert len(one.train) == 16 and len(one.validation) == 4
    assert sorted(names(one.episodes)) == list(range(20))
    assert names(one.validation) == names(two.validation)
    assert same(chunks_of(one).batch(2), chunks_of(two).batch(2))
    other = open_demos(tmp_path / "one", validation=0.2, seed=1)
    assert names(other.validation) != names(one.validation)
    assert len(open_demos(tmp_path / "one").validation) == 1  # five percent


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    def hashed(name: str, *files: Sequence[Demo], **options: Any) -> str:
        for number, demos in enumerate(files):
            write_hdf5(tmp_path / name / f"{name}{number}.hdf5", demos)
        return opened(tmp_path / name, **options).data_hash

    first = hashed("one", DEMOS)
    assert hashed("two", DEMOS[2:], DEMOS[1::-1]) == first
    assert hashed("one", validation=0.4) == first
    frames = DEMOS[0].frames("wrist")[:, ::-1].copy()
    frames[3, 2, 1, 0] += 1
    labels = DEMOS[0].numbers()["expert_actions"]
    labels[2, 1] += 1e-3
    for number, change in enumerate(
        (
            {"changes": {"obs/eye_in_hand_rgb": frames}},
            {"changes": {"expert_actions": labels}},
            {"instruction": "open the drawer"},
        )
    ):
        assert hashed(f"other{number}", [replace(DEMOS[0], **change), *DEMOS[1:]]) != first
    assert hashed("one", size=(16, 16)) != first
    assert hashed("one", cameras=["wrist"]) != first


def test_statistics_are_of_the_labels_of_the_training_split(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a.hdf5", many())
    demos = open_demos(tmp_path, validation=0.2)
    written = write_statistics(tmp_path / "dataset_stats.json", demos)
    read = read_statistics(tmp_path / "dataset_stats.json", state_dim=8, action_dim=7)
    trained = [many()[init] for init in names(demos.train) if init is not None]
    labels = np.concatenate([demo.numbers()["expert_actions"] for demo in trained])
    states = np.concatenate([demo.state() for demo in trained])
    for spread, values in ((read.action, labels), (read.state, states)):
        count = len(values)
        mean = values.sum(0) / count
        np.testing.assert_allclose(spread.mean, mean, atol=1e-6)
        np.testing.assert_allclose(spread.std**2, ((values - mean) ** 2).sum(0) / count, atol=1e-6)
        ranked = np.sort(values, axis=0)
        np.testing.assert_allclose(spread.min, ranked[0], atol=1e-6)
        np.testing.assert_allclose(spread.max, ranked[-1], atol=1e-6)
        place = 0.01 * (count - 1)  # between the first two
        assert 0 < place < 1
        low, high = (
            ranked[0] + place * (ranked[1] - ranked[0]),
            ranked[-1] + place * (ranked[-2] - ranked[-1]),
        )
        np.testing.assert_allclose(spread.q01, low, atol=1e-6)
        np.testing.assert_allclose(spread.q99, high, atol=1e-6)
    assert json.loads((tmp_path / "dataset_stats.json").read_text())["data_hash"] == demos.data_hash
    np.testing.assert_array_equal(read.action.std, written.action.std)


def test_statistics_of_other_data_are_told(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a" / "a.hdf5", many())
    write_hdf5(tmp_path / "b" / "a.hdf5", many()[:-1])
    demos, other = opened(tmp_path / "a"), opened(tmp_path / "b")
    check_statistics(training_statistics(demos.train), demos, "mine")
    check_hash(demos.data_hash, demos, "mine")
    line = r"^'s.json' belongs to other data: \w+ of state \d is \S+, of the data \S+; name the"
    with pytest.raises(UserError, match=line):
        check_statistics(training_statistics(other.train), demos, "'s.json'")
    with pytest.raises(UserError, match=rf"^run x belongs to .*{other.data_hash}, here it is"):
        check_hash(other.data_hash, demos, "run x")


# ---------------------------------------------------------------- errors


def changed(**changes: Any) -> Demo:
    return replace(DEMOS[0], changes={name.replace("__", "/"): v for name, v in changes.items()})


def with_nan(name: str, value: float = np.nan) -> np.ndarray:
    values = DEMOS[0].numbers()[name]
    values[2, 1] = value
    return values


@pytest.mark.parametrize(
    ("demo", "line"),
    [
        (changed(obs__eye_in_hand_rgb=None), "no camera 'wrist' under eye_in_hand_rgb or wrist "),
        (changed(actions=with_nan("actions")), "nan in actions at step 2, dimension 1; remove"),
        (changed(obs__ee_ori=with_nan("ee_ori", np.inf)), "inf in state at step 2, dimension 4"),
        (changed(expert_actions=with_nan("actions")), "nan in labels at step 2"),
        (changed(expert_actions=np.zeros((3, 7))), "3 steps of labels, 6 of actions; write"),
        (changed(obs__ee_pos=np.zeros((5, 3))), "lengths differ (ee_pos 5, ee_ori 6, gripper"),
        (changed(obs__agentview_rgb=np.zeros((4, 8, 8, 3), np.uint8)), "4 frames for 6 actions"),
        (changed(obs__agentview_rgb=np.zeros((6, 8, 8, 3))), "float64 [6, 8, 8, 3] instead of"),
        (changed(actions=np.zeros((6, 14)), expert_actions=None), "actions [6, 14] instead of"),
        (changed(obs__ee_pos=None), "lacks 'obs/ee_pos'; write the episode again"),
        (Demo(init_state=37), "initial state 37 is held out for evaluation; remove the episode"),
        (Demo(init_state=30), "initial state 30 is held out"),
        (Demo(instruction=" "), "its instruction is empty; write one"),
        (Demo(steps=0), "has no steps; remove the episode"),
        (Demo(side=16, steps=3), "camera 'agentview' is 16x16, but 32x32 in "),
    ],
)  # fmt: skip
def test_an_unfit_episode_is_one_line(tmp_path: Path, demo: Demo, line: str) -> None:
    write_hdf5(tmp_path / "a.hdf5", DEMOS)
    write_hdf5(tmp_path / "b.hdf5", [DEMOS[1], demo])
    with pytest.raises(UserError) as raised:
        opened(tmp_path, size=(16, 16))
    assert str(raised.value).startswith(f"'{tmp_path}/b.hdf5', demo_1: ")
    assert line in str(raised.value) and "\n" not in str(raised.value)


def test_cameras_of_two_sizes_need_one_named(tmp_path: Path) -> None:
    small = replace(DEMOS[0], side=16).frames("wrist")
    write_hdf5(tmp_path / "a.hdf5", [changed(obs__eye_in_hand_rgb=small)])
    with pytest.raises(UserError, match="camera 'wrist' is 16x16, another one 32x32; name a size"):
        opened(tmp_path)
    assert opened(tmp_path, size=(24, 24)).train[0].images["wrist"].shape[1:] == (24, 24, 3)


def cut(file: Path, share: float = 0.6) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


def test_a_truncated_hdf5_file(tmp_path: Path) -> None:
    cut(write_hdf5(tmp_path / "a.hdf5", DEMOS))
    with pytest.raises(UserError, match=r"a\.hdf5': cannot be read \(OSError.*; copy or write it"):
        opened(tmp_path)


def test_a_file_without_instruction(tmp_path: Path) -> None:
    file = write_hdf5(tmp_path / "a_demo.hdf5", DEMOS, ours=False)
    with h5py.File(file, "a") as content:
        del content["data"].attrs["problem_info"]
    with pytest.raises(UserError, match=r"a_demo\.hdf5', demo_0: no instruction in 'problem_info'"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        ("data/chunk-000/file-000.parquet", r"file-000\.parquet': cannot be read \(ArrowInvalid"),
        (f"videos/{KEYS['wrist']}/chunk-000/file-001.mp4", r"file-001\.mp4': cannot be read \("),
        ("meta/info.json", r"info\.json': cannot be read \(JSONDecodeError"),
        ("meta/episodes/chunk-000/file-000.parquet", r"episodes/.*: cannot be read \(Arrow"),
    ],
)
def test_a_truncated_lerobot_file(tmp_path: Path, spoil: str, line: str) -> None:
    write_v3(tmp_path / "set", DEMOS)
    cut(tmp_path / "set" / spoil)
    with pytest.raises(UserError, match=line) as raised:
        opened(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_video_shorter_than_its_episode(tmp_path: Path) -> None:
    write_v2(tmp_path, DEMOS)
    video = tmp_path / f"videos/chunk-000/{KEYS['wrist']}/episode_000001.mp4"
    write_video(video, expected(DEMOS[1], "wrist")[:3])
    with pytest.raises(UserError, match=r"episode 1: .*episode_000001\.mp4' has 3 of its 4 frames"):
        opened(tmp_path)


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_lerobot_folders_that_do_not_say_enough(tmp_path: Path) -> None:
    info = write_v2(tmp_path / "set", DEMOS) / "meta" / "info.json"
    content = json.loads(info.read_text())
    with pytest.raises(UserError, match=r"info\.json': no camera 'front' under front \(it has obs"):
        opened(tmp_path, cameras=["front"])
    edit(info, codebase_version="v1.6")
    with pytest.raises(UserError, match=r"codebase_version 'v1\.6' is not read; convert it"):
        opened(tmp_path)
    features = {n: f for n, f in content["features"].items() if n != "action"}
    edit(info, codebase_version="v2.0", features=features)
    with pytest.raises(UserError, match=r"lacks feature action or actions \(it has observation"):
        opened(tmp_path)
    edit(info, features=content["features"])
    table = tmp_path / "set/data/chunk-000/episode_000001.parquet"
    rows = pd.read_parquet(table)
    rows.assign(task_index=[0, 0, 1, 1]).to_parquet(table)
    with pytest.raises(
        UserError, match=r"episode 1: changes its instruction midway \(tasks \[0, 1"
    ):
        opened(tmp_path)
    rows.to_parquet(table)
    (tmp_path / "set/meta/tasks.jsonl").unlink()
    assert opened(tmp_path).instructions == (DEMOS[0].instruction,)  # of meta/episodes.jsonl
    (tmp_path / "set/meta/episodes.jsonl").write_text('{"episode_index": 0}')
    with pytest.raises(UserError, match=r"episode 0: no instruction in meta/tasks or meta/epis"):
        opened(tmp_path)


def test_folders_without_demonstrations(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is empty; write demonstrations with 'wambench demos'"):
        opened(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        opened(tmp_path / "none")
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(UserError, match="holds demonstrations of no known layout"):
        opened(tmp_path)
    with h5py.File(tmp_path / "a.hdf5", "w") as content:
        content["x"] = 1
    with pytest.raises(UserError, match=r"a\.hdf5': has no group 'data'"):
        opened(tmp_path)
    with h5py.File(tmp_path / "a.hdf5", "w") as content:
        content.create_group("data")
    with pytest.raises(UserError, match=r"a\.hdf5': holds no episodes"):
        opened(tmp_path)
