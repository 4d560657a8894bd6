"""LIBERO-Plus: what its suites list, tell, lock and show. Against the released package:
``test_plus_truth.py``."""

from __future__ import annotations

import pickle
import zipfile
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import zoom

from tasks.libero.plus import PlusSuite, noise, scenes, wheel
from tasks.libero.plus.variants import AXES, BROKEN, parse, variants
from tasks.libero.suite import init_states
from tests import plus_cells
from tests.running import in_process
from tests.snippets import called_in_simulators_process
from wambench import Task, plugins, sweepfile
from wambench.errors import UserError
from wambench.suite import first_task

BASES = ("spatial", "object", "goal", "10")
installed = pytest.mark.skipif(bool(wheel.lock()), reason=wheel.lock())
# Upstream's own classification of its tasks, as counted by axis and base suite.
COUNTS = {
    "camera": (376, 396, 408, 419),
    "robot": (350, 398, 409, 393),
    "language": (390, 354, 410, 383),
    "light": (292, 297, 279, 274),
    "background": (258, 248, 281, 289),
    "noise": (351, 422, 379, 449),
    "layout": (385, 403, 425, 312),
}
OPEN = COUNTS | {
    "light": (0, 0, 0, 0),
    "background": (0, 62, 0, 0),
    "layout": (177, 195, 185, 139),
}


@pytest.fixture(autouse=True)
def no_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(scenes.ASSETS, raising=False)


def tasks(axis: str, base: str) -> list[Task]:
    return list(plugins.make_suite(f"libero_plus_{axis}_{base}").tasks())


@installed
def test_all_10030_tasks_are_there_once_and_7045_can_be_run() -> None:
    found: dict[str, list[int]] = {axis: [] for axis in AXES}
    runnable: dict[str, list[int]] = {axis: [] for axis in AXES}
    seen: Counter[tuple[str, str]] = Counter()
    for axis in AXES:
        for base in BASES:
            listed = tasks(axis, base)
            assert [task.name for task in listed] == [
                task.name for task in plugins.make_suite(f"libero_{base}").tasks()
            ]
            found[axis].append(sum(task.init_states for task in listed))
            runnable[axis].append(sum(len(task.open_states) for task in listed))
            seen.update((base, state.name) for task in listed for state in task.named)
    assert {axis: tuple(counts) for axis, counts in found.items()} == COUNTS
    assert {axis: tuple(counts) for axis, counts in runnable.items()} == OPEN
    assert sum(map(sum, runnable.values())) == 7045
    assert set(seen.values()) == {1}
    official = {(base, v.name) for base in BASES for v in variants(f"libero_{base}")}
    assert set(seen) == official and len(official) == 10030


@installed
def test_initial_states_are_in_the_official_order() -> None:
    order = {variant.name: k for k, variant in enumerate(variants("libero_goal"))}
    for axis in AXES:
        for task in tasks(axis, "goal"):
            places = [order[state.name] for state in task.named]
            assert places == sorted(places)


@installed
def test_the_perturbation_is_not_told() -> None:
    """Upstream's task.language is the file's name, with ``view 0 0 100 0 0 initstate 451``."""
    leaking = 0
    for axis in AXES:
        for base in BASES:
            for task in tasks(axis, base):
                for state in task.named:
                    leaks = state.told("as_released") != state.told("clean")
                    leaking += leaks
                    assert leaks == (axis != "language")
                    if axis != "language":
                        assert state.told("clean") == task.instruction
                        assert state.told("as_released").startswith(task.instruction)
                    assert not set("_0123456789") & set(state.told("clean")) or axis == "language"
    assert leaking == 8493


@installed
def test_rewritten_sentences_and_the_broken_one() -> None:
    kinds: Counter[str] = Counter()
    for base in BASES:
        for task in tasks("language", base):
            for state in task.named:
                assert state.factors is not None
                kinds[state.factors.kind] += 1
                assert "_view_" not in state.instruction and state.instruction.islower()
                assert (state.name == BROKEN) == (state.factors.kind == "broken sentence")
    assert kinds == {"": 1536, "broken sentence": 1}


@installed
def test_magnitudes_are_physical_and_of_the_base_task() -> None:
    kinds: dict[str, Counter[tuple[str, str]]] = {axis: Counter() for axis in AXES}
    sizes: dict[str, set[float | None]] = {axis: set() for axis in AXES}
    for axis in AXES:
        for base in BASES:
            for task in tasks(axis, base):
                for state in task.named:
                    one = state.factors
                    assert one is not None and one.axis == axis
                    told = (one.base_suite, one.base_task, one.base_state)
                    assert told == (f"libero_{base}", task.name, None if axis == "layout" else 0)
                    kinds[axis][one.kind, one.unit] += 1
                    sizes[axis].add(one.magnitude)
    assert kinds["camera"] == {
        ("azimuth and elevation", "degrees"): 549, ("azimuth", "degrees"): 443,
        ("distance", "times as far"): 313, ("turn", "degrees"): 294,
    }  # fmt: skip
    assert kinds["layout"] == {("moved objects", "level"): 696, ("added objects", "objects"): 829}
    assert kinds["background"] == {("one surface", ""): 613, ("two surfaces", ""): 463}
    assert {kind for kind, _ in kinds["noise"]} == {
        "motion blur", "gaussian blur", "zoom blur", "fog", "glass blur",
    }  # fmt: skip
    assert sizes["robot"] == {0.1, 0.2, 0.3, 0.4, 0.5}
    assert sizes["noise"] == {float(n) for n in range(1, 11)}
    assert sizes["layout"] == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert sizes["language"] == sizes["light"] == sizes["background"] == {None}


@pytest.mark.parametrize(
    ("name", "axis", "kind", "magnitude"),
    [
        ("do_it_view_345_0_100_0_0_initstate_0", "camera", "azimuth", 15.0),
        ("do_it_view_285_15_100_0_0_initstate_0", "camera", "azimuth and elevation", 75.0),
        ("do_it_view_0_0_137_0_0_initstate_0", "camera", "distance", 1.37),
        ("do_it_view_0_0_100_352_4_initstate_0", "camera", "turn", 8.0),
        ("do_it_view_0_0_100_0_0_initstate_100", "robot", "", 0.1),
        ("do_it_view_0_0_100_0_0_initstate_101", "robot", "", 0.2),
        ("do_it_view_0_0_100_0_0_initstate_0_noise_50", "noise", "glass blur", 10.0),
        ("do_it_language_7_view_0_0_100_0_0_initstate_0", "language", "", None),
        ("do_it_light_9", "light", "", None),
        ("do_it_tb_9", "background", "two surfaces", None),
        ("do_it_add_9", "layout", "added objects", None),
        ("do_it_moved_level3_sample2", "layout", "moved objects", 3.0),
        ("do_it_level3_sample2", "layout", "moved objects", 3.0),
    ],
)
def test_names(name: str, axis: str, kind: str, magnitude: float | None) -> None:
    found = parse(name)
    assert (found.base, found.axis, found.kind, found.magnitude) == ("do_it", axis, kind, magnitude)


def test_a_name_that_is_none() -> None:
    with pytest.raises(UserError, match="'do_it' is not the name of a LIBERO-Plus task"):
        parse("do_it")


@installed
def test_start_poses_lie_in_five_bands() -> None:
    poses = wheel.start_poses()
    away = np.linalg.norm(poses[1:] - poses[0], axis=1)
    np.testing.assert_allclose(away, np.repeat([0.1, 0.2, 0.3, 0.4, 0.5], 100), atol=1e-7)


@installed
def test_base_tasks_and_initial_states_are_liberos() -> None:
    """So LIBERO's are taken for the axes that change neither; rewritten goals say the same."""
    for base in BASES:
        suite = f"libero_{base}"
        for task in plugins.make_suite(suite).tasks():
            theirs = wheel.load_states(wheel.file(f"init_files/{suite}/{task.name}.pruned_init"))
            assert np.array_equal(theirs, init_states(suite, task.index))
            assert goals(wheel.goal_file(suite, task.name)) == goals(
                scenes.scene_of(suite, parse(f"{task.name}_view_0_0_100_0_0_initstate_1")).goals
            )
        for variant in variants(suite):
            if variant.axis == "language":
                own = goals(wheel.goal_file(suite, variant.goals))
                assert own == goals(wheel.goal_file(suite, variant.base))


def goals(file: Path) -> str:
    """A BDDL but for its sentence and its blanks."""
    text = " ".join(file.read_text().lower().split())
    before, _, rest = text.partition("(:language")
    return before + rest.partition(")")[2]


@installed
def test_listing_imports_no_simulator_and_nothing_of_the_wheel() -> None:
    loaded = in_process(
        "import sys, json\n"
        "from tasks.libero.plus import PlusSuite\n"
        "for axis in ('camera', 'layout', 'background'):\n"
        "    suite = PlusSuite(axis, 'object')\n"
        "    suite.tasks(), suite.fingerprint(), suite.diagnose()\n"
        "names = ('mujoco', 'robosuite', 'torch', 'numba', 'liberoplus')\n"
        "print(json.dumps([m for m in names if m in sys.modules]))"
    )
    assert loaded == []


@installed
def test_cells_change_their_keys_with_the_files_they_use(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = [
        plugins.make_suite(f"libero_plus_{axis}_{base}").fingerprint()["plus_files"]
        for axis in ("robot", "language", "layout") for base in ("goal", "object")
    ]  # fmt: skip
    assert len(set(prints)) == 5  # both robot suites read the task map and the start poses


def test_without_the_wheel_the_suites_are_listed_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    line = wheel.lock.__wrapped__()
    assert "make setup-plus" in line and "\n" not in line
    monkeypatch.setattr(wheel, "lock", lambda: line)
    suite = PlusSuite("camera", "goal")
    assert len(suite.tasks()) == 10 and not any(task.open_states for task in suite.tasks())
    with pytest.raises(UserError, match="libero_plus_camera_goal is locked: the data of LIBERO-P"):
        first_task(suite)
    (check,) = suite.diagnose()
    assert not check.ok and not check.required and "make setup-plus" in check.remedy


@installed
def test_another_version_and_a_damaged_file_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(metadata, "version", lambda name: "0.1.4")
        assert "is version 0.1.4, not 0.1.5; run make setup-plus" in wheel.lock.__wrapped__()
    changed = tmp_path / wheel.MAP
    changed.parent.mkdir(parents=True)
    changed.write_text("libero_task_map = {}")
    monkeypatch.setattr(wheel, "root", lambda: tmp_path)
    assert "is damaged: benchmark/libero_suite_task_map.py" in wheel.lock.__wrapped__()
    with pytest.raises(UserError, match=r"lacks bddl_files/libero_goal/x\.bddl"):
        wheel.goal_file("libero_goal", "x")


class Trap:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("trapped"),)


def test_states_that_hold_more_than_arrays_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("states.pruned_init", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Trap()))
    with pytest.raises(UserError, match="is not an array"):
        wheel.load_states(Path("states.pruned_init"))
    assert not Path("trapped").exists()
    Path("none.pruned_init").write_bytes(b"no zip")
    with pytest.raises(UserError, match="holds no states"):
        wheel.load_states(Path("none.pruned_init"))


@installed
def test_a_sweep_runs_each_variant_once() -> None:
    """Not the first ten of them fifty times; and a sample is spread over tasks and magnitudes."""
    file = {"policies": ["expert"], "suites": {"libero_plus_robot_goal": "all"}}
    plan = sweepfile.plan(sweepfile.SweepFile.model_validate(file))
    assert len(plan.cells) == len({(c.task, c.init_state) for c in plan.cells}) == 409
    told = sweepfile.plan(
        sweepfile.SweepFile.model_validate(
            file | {"protocol_changes": {"instructions": "as_released"}}
        )
    )
    assert {c.key for c in plan.cells}.isdisjoint(c.key for c in told.cells)
    noisy = {"policies": ["expert"], "suites": {"libero_plus_noise_goal": "all"}}
    with pytest.raises(UserError, match="render_size"):
        sweepfile.plan(
            sweepfile.SweepFile.model_validate(
                noisy | {"protocol_changes": {"render_size": [128, 128]}}
            )
        )


def reference_zoom(picture: np.ndarray, severity: int) -> np.ndarray:
    """Zoom blur as LIBERO-Plus words it: enlarge, trim, add."""
    stop, step = noise.ZOOMS[severity]
    pixels = (picture / 255.0).astype(np.float32)
    total, factors = np.zeros_like(pixels), np.arange(1, stop, step)
    for factor in factors:
        cut = int(np.ceil(256 / factor))
        top = (256 - cut) // 2
        large = zoom(pixels[top : top + cut, top : top + cut], (factor, factor, 1), order=1)
        trim = (len(large) - 256) // 2
        total += large[trim : trim + 256, trim : trim + 256]
    return (np.clip((pixels + total) / (len(factors) + 1), 0, 1) * 255).astype(np.uint8)


def reference_motion(picture: np.ndarray, severity: int, angle: float) -> np.ndarray:
    """Motion blur one step of the streak after the other."""
    length, sigma = noise.STREAKS[severity]
    steps = np.arange(2 * length + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    out = np.zeros(picture.shape)
    places = np.arange(256)
    for step, weight in zip(steps, weights / weights.sum(), strict=True):
        rows = np.clip(places + int(np.ceil(step * np.sin(angle) - 0.5)), 0, 255)
        columns = np.clip(places + int(np.ceil(step * np.cos(angle) - 0.5)), 0, 255)
        out += weight * picture[rows][:, columns]
    return np.floor(out).astype(np.uint8)


def picture() -> np.ndarray:
    rough = np.random.default_rng(3).integers(0, 256, (16, 16, 3)).astype(float)
    smooth = zoom(rough, (16, 16, 1), order=1)
    return smooth.astype(np.uint8)


@pytest.mark.parametrize("severity", range(10))
def test_fused_noises_equal_their_plain_forms(severity: int) -> None:
    image = picture()
    generator = np.random.RandomState(severity)
    off = noise.zoomed(image, severity, generator).astype(int) - reference_zoom(image, severity)
    assert np.abs(off).max() <= 1
    angle = np.radians(np.random.RandomState(severity).uniform(-45, 45))
    blurred = noise.motion(image, severity, generator).astype(int)
    assert np.abs(blurred - reference_motion(image, severity, angle)).max() <= 1


def test_noises_are_drawn_from_their_generator_and_grow() -> None:
    image = picture()
    for kind in range(5):
        harm = []
        for severity in (0, 5, 9):
            number = 10 * kind + severity + 1
            one, same = (noise.corrupt(image, number, np.random.RandomState(5)) for _ in "ab")
            assert np.array_equal(one, same)
            harm.append(np.abs(one.astype(int) - image).mean())
        assert 0 < harm[0] < harm[2], (kind, harm)
    with pytest.raises(ValueError, match="256 x 256 pixels"):
        noise.corrupt(image[:128, :128], 1, np.random.RandomState(0))


def test_glass_reaches_the_edge_as_mended_upstream() -> None:
    image = picture()
    whole, first = (noise.glass(image, 9, np.random.RandomState(1), size) for size in (256, 224))
    beyond = np.abs(whole.astype(int) - first)[240:, 240:]
    assert beyond.max() > 0


@installed
@pytest.mark.slow
@pytest.mark.usefixtures("full_size_only")
def test_variants_depend_on_themselves_alone() -> None:
    """Whatever was open before: state, frames, and what the policy sees of them."""
    for name, states in (
        ("libero_plus_camera_goal", [0, 20, 30]),
        ("libero_plus_robot_goal", [0, 30]),
        ("libero_plus_noise_goal", [0, 12, 30]),
        ("libero_plus_layout_goal", [40, 41]),
    ):
        listed = plugins.make_suite(name).tasks()[0]
        states = [state for state in states if state in listed.open_states]
        states = states if len(states) > 1 else list(listed.open_states[:2])
        found = called_in_simulators_process(plus_cells.alone_and_after_others, name, states)
        assert found["first"] == found["again"] and found["alone"] == found["first"][-1:]
        assert len({str(one) for one in found["first"]}) == len(states)


@installed
def test_what_a_variant_changes_of_its_plain_cell() -> None:
    found = called_in_simulators_process(plus_cells.beside_the_plain_one)
    digest, agentview, wrist, *_ = found["plain"]
    for axis in ("camera", "noise"):
        # The physics is the plain cell's, and so is what the wrist sees.
        assert found[axis]["state"] and found[axis]["asked"] == 0.0
        assert found[axis]["seen"][0] == digest and found[axis]["seen"][2] == wrist
        assert found[axis]["seen"][1] != agentview, "moved, or rounded to four digits"
        corrupted = found[axis]["seen"][3:] != found[axis]["seen"][1:3]
        assert corrupted == (axis == "noise") and found[axis]["seen"][4] == wrist
    # As released: the pose is asked for, and overwritten by the initial state.
    assert found["robot"]["state"] and abs(found["robot"]["asked"] - 0.5) < 1e-6
    assert found["robot"]["seen"][0] != digest, "the controller pulls"
    posed = found["robot_posed"]
    assert posed["pose"] == 0.0 and posed["joints"] > 0.05 and posed["others"]


@installed
@pytest.mark.parametrize("base", ["goal", pytest.param("object", marks=pytest.mark.slow)])
def test_frames_of_moved_cameras_lack_nothing(base: str) -> None:
    names = [f"libero_plus_camera_{base}"]
    found = called_in_simulators_process(plus_cells.unculled, names)
    assert len(found) == 8 and all(found)


@installed
def test_regions_are_those_of_the_moved_camera() -> None:
    found = called_in_simulators_process(plus_cells.regions_move)
    assert all(sum(masks.values()) == 128 * 128 for masks in found.values())
    for role in ("object", "goal", "gripper", "distractor"):
        assert found["far"][role] < 0.5 * found["near"][role]


@installed
def test_an_archive_unlocks_what_it_holds(tmp_path: Path) -> None:
    """Stand-ins for it: the archive itself, 6.4 GB, is in no package index."""
    plus_cells.fake_archive(tmp_path)
    found = called_in_simulators_process(plus_cells.archived, str(tmp_path))
    light, added = found["light"], found["layout"]
    assert light["lock"] == added["lock"] == ""
    moved = sum(state.name.count("_level") for state in tasks("layout", "goal")[0].named)
    assert light["open"] == 1 and moved < added["open"] < 42, "the rest is missing, and locked"
    assert light["mean"] < 100, "the stand-in is dark"
    assert set(light["objects"]) < set(added["objects"])
    assert added["numbers"] == light["numbers"] + 7 + 6, "a free body more"


@installed
def test_an_archive_that_is_none_is_named_in_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(scenes.ASSETS, str(tmp_path))
    listed = tasks("light", "goal")
    assert not any(task.open_states for task in listed)
    line = listed[0].named[0].locked
    assert line == f"{scenes.ASSETS}={tmp_path} has no folder scenes; name the unpacked archive"


@installed
def test_variants_open_fast_and_noise_is_cheap() -> None:
    found = called_in_simulators_process(plus_cells.costs)
    print(found)
    assert found["switch"] <= 0.5 and found["noise"] <= 0.060
