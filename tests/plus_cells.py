"""What our LIBERO-Plus suites show of official tasks, in the terms of ``tests/plus_truth.py``."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from tasks.libero import runtime
from tasks.libero.plus import scenes
from tasks.libero.plus.noise import corrupt
from tasks.libero.plus.variants import Variant, parse
from wambench import plugins

SUITE = "libero_goal"
NOOP = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])


def packed(array: NDArray[Any]) -> Any:
    array = np.ascontiguousarray(array)
    return [str(array.dtype), array.shape, base64.b64encode(array.tobytes()).decode()]


def unpacked(told: Any) -> NDArray[Any]:
    kind, shape, text = told
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape)


def ours(asked: Sequence[tuple[str, str, int, int]]) -> list[dict[str, Any]]:
    """Every cell in the order asked; simulators stay open as long as the task is the same."""
    out: list[dict[str, Any]] = []
    opened: tuple[Any, Any, Any] | None = None
    for base_suite, name, settle_steps, size in asked:
        variant = parse(name)
        suite_name = f"libero_plus_{variant.axis}_{base_suite.removeprefix('libero_')}"
        suite = plugins.make_suite(suite_name)
        task = next(task for task in suite.tasks() if task.name == variant.base)
        if opened is None or opened[0] != (suite_name, task.name):
            if opened is not None:
                opened[1].close()
            opened = (suite_name, task.name), suite.open(task, "exact"), task
        simulator: Any = opened[1]
        simulator.reset([state.name for state in task.named].index(name), 0)
        for _ in range(settle_steps):
            simulator.step(NOOP)
        frames = simulator.draw(simulator.snapshot(), ["agentview", "wrist"], (size, size))
        sensed = simulator.sense(frames, simulator.snapshot())
        out.append(
            {"state": packed(simulator.state())}
            | {camera: packed(frame[::-1]) for camera, frame in frames.items()}
            | {"sensed": packed(sensed["agentview"][::-1])}
        )
    if opened is not None:
        opened[1].close()
    return out


def opened(name: str, task: int = 0) -> tuple[Any, Any]:
    suite = plugins.make_suite(name)
    chosen = suite.tasks()[task]
    return suite.open(chosen, "exact"), chosen


def episode(simulator: Any, state: int, steps: int = 3) -> list[Any]:
    """Digest, and digests of what both cameras draw and the policy sees, after a few steps."""
    simulator.reset(state, 0)
    for _ in range(steps):
        simulator.step(NOOP)
    snapshot = simulator.snapshot()
    frames = simulator.draw(snapshot, ["agentview", "wrist"], (256, 256))
    seen = simulator.sense(frames, snapshot)
    return [
        simulator.digest(),
        *(_hash(frame) for part in (frames, seen) for frame in part.values()),
    ]


def _hash(frame: NDArray[np.uint8]) -> str:
    return hashlib.md5(frame.tobytes()).hexdigest()


def alone_and_after_others(name: str, states: Sequence[int]) -> dict[str, Any]:
    """The same episodes in this order, in the other, and by a simulator that saw one only."""
    simulator, _ = opened(name)
    out = {"first": [episode(simulator, state) for state in states]}
    out["again"] = [episode(simulator, state) for state in reversed(states)][::-1]
    simulator.close()
    simulator, _ = opened(name)
    out["alone"] = [episode(simulator, states[-1])]
    simulator.close()
    return out


def beside_the_plain_one() -> dict[str, Any]:
    """Camera, robot and noise variants of a task held against LIBERO's own initial state 0."""
    plain, _ = opened("libero_goal")
    plain.reset(0, 0)
    own = plain.state()
    joints = np.array(plain._env.robots[0]._ref_joint_pos_indexes)
    out: dict[str, Any] = {"plain": episode(plain, 0)}
    plain.close()
    for axis in ("camera", "robot", "robot_posed", "noise", "language"):
        simulator, task = opened(f"libero_plus_{axis}_goal")
        last = task.init_states - 1
        simulator.reset(last, 0)
        state = simulator.state()
        pose = simulator._env.robots[0].init_qpos
        out[axis] = {
            "state": bool((state == own).all()),
            "others": bool((np.delete(state, 1 + joints) == np.delete(own, 1 + joints)).all()),
            "joints": float(np.abs(state[1 + joints] - own[1 + joints]).max()),
            "pose": float(np.abs(state[1 + joints] - pose).max()),
            "asked": float(np.linalg.norm(pose - simulator._nominal)),
            "seen": episode(simulator, last),
        }
        simulator.close()
    return out


def unculled(names: Sequence[str]) -> list[bool]:
    """Whether frames of moved cameras are those of a drawer that leaves nothing out."""
    out = []
    for name in names:
        simulator, task = opened(name)
        views = [parse(state.name).view for state in task.named]
        kinds = [
            max(range(len(views)), key=lambda k: views[k].distance),
            max(range(len(views)), key=lambda k: views[k].azimuth % 180),
            max(
                range(len(views)), key=lambda k: views[k].elevation * 1000 + views[k].azimuth % 180
            ),
            max(range(len(views)), key=lambda k: views[k].turn),
        ]
        for state in kinds:
            simulator.reset(state, 0)
            asked = (simulator.snapshot(), ["agentview", "wrist"], (256, 256))
            left_out = simulator.draw(*asked)
            culling = simulator._drawer._canvas._culling
            everything, culling._everything = culling._everything, True
            whole = simulator.draw(*asked)
            culling._everything = everything
            out += [bool((whole[camera] == left_out[camera]).all()) for camera in whole]
        simulator.close()
    return out


def regions_move() -> dict[str, Any]:
    """Where the arm is in the picture, by a camera at its place and by one moved around."""
    suite = plugins.make_suite("libero_plus_camera_goal")
    distances = [
        max(parse(state.name).view.distance for state in task.named) for task in suite.tasks()
    ]
    simulator, task = opened("libero_plus_camera_goal", int(np.argmax(distances)))
    out: dict[str, Any] = {}
    views = [parse(state.name).view for state in task.named]
    for name, state in (
        ("near", min(range(len(views)), key=lambda k: views[k].distance)),
        ("far", max(range(len(views)), key=lambda k: views[k].distance)),
    ):
        simulator.reset(state, 0)
        found = simulator.regions(simulator.snapshot(), ["agentview"], (128, 128))["agentview"]
        out[name] = {role: int(mask.sum()) for role, mask in found.items()}
    simulator.close()
    return out


def costs() -> dict[str, float]:
    """CPU seconds: opening the next variant, by axis; the worst noise, per frame."""
    out: dict[str, float] = {}
    simulator, _ = opened("libero_plus_camera_object")
    simulator.reset(0, 0)
    started = process_time()
    for state in range(1, 11):
        simulator.reset(state, 0)
    out["switch"] = (process_time() - started) / 10
    simulator.close()
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    for number in range(1, 51):
        took = []
        for _ in range(3):
            started = process_time()
            corrupt(picture, number, np.random.RandomState(0))
            took.append(process_time() - started)
        out["noise"] = max(out.get("noise", 0.0), min(took))
    return out


def fake_archive(folder: Path) -> None:
    """Stand-ins, made of LIBERO's own files, for what LIBERO-Plus' archive holds.

    The scene of one light variant, very dark, and the objects of one layout variant, laid out in
    the shallow form that LIBERO-Plus has.
    """
    ours, assets = runtime.assets_path(), folder / "their/release/assets"
    (assets / "scenes/lights").mkdir(parents=True)
    (assets / "textures").symlink_to(ours / "textures")
    for part in (ours / "scenes").iterdir():
        (assets / "scenes" / part.name).symlink_to(part)
    os.environ[scenes.ASSETS] = str(folder)
    try:
        wanted = {axis: scenes.scene_of(SUITE, first_of(axis)) for axis in ("light", "layout")}
    finally:
        del os.environ[scenes.ASSETS]
    scene = (ours / "scenes/libero_tabletop_base_style.xml").read_text()
    scene = re.sub(r'file="(?!/)', 'file="../', scene)
    (lit,) = wanted["light"].files()
    lit.write_text(re.sub(r'diffuse="[^"]*"', 'diffuse="0.1 0.1 0.3"', scene))
    (like,) = (ours / "stable_hope_objects/butter").glob("*.xml")
    for added in wanted["layout"].files():
        added.parent.mkdir(parents=True)
        shallow(like).write(added)


def shallow(file: Path) -> ElementTree.ElementTree[Any]:
    """An object of LIBERO without the body around it."""
    tree = ElementTree.parse(file)
    for element in tree.iter():
        if "file" in element.attrib:
            element.set("file", str((file.parent / element.get("file", "")).resolve()))
    worldbody = tree.getroot().find("worldbody")
    assert worldbody is not None
    (outer,) = worldbody.findall("body")
    inner = outer.find("body")
    assert inner is not None
    outer.remove(inner)
    inner.extend(list(outer))
    worldbody.remove(outer)
    worldbody.append(inner)
    return tree


def first_of(axis: str) -> Variant:
    """The first light variant, and the first one with one object added, of libero_goal's first."""
    task = plugins.make_suite(f"libero_plus_{axis}_goal").tasks()[0]
    sizes = (None, 1.0)
    found = [s for s in task.named if s.locked and s.factors and s.factors.magnitude in sizes]
    return parse(found[0].name)


def archived(folder: str) -> dict[str, Any]:
    """What the two variants show, given the stand-ins."""
    names = {axis: first_of(axis).name for axis in ("light", "layout")}
    os.environ[scenes.ASSETS] = folder
    out: dict[str, Any] = {}
    try:
        for axis, name in names.items():
            suite = plugins.make_suite(f"libero_plus_{axis}_goal")
            task = suite.tasks()[0]
            number = [state.name for state in task.named].index(name)
            out[axis] = {"lock": task.lock(number), "open": len(task.open_states)}
            simulator: Any = suite.open(task, "exact")
            simulator.reset(number, 0)
            for _ in range(5):
                simulator.step(NOOP)
            frame = simulator.draw(simulator.snapshot(), ["agentview"], (128, 128))["agentview"]
            out[axis] |= {
                "mean": float(frame.mean()),
                "objects": sorted(simulator._env.objects_dict),
                "numbers": len(simulator.state()),
            }
            simulator.close()
    finally:
        del os.environ[scenes.ASSETS]
    return out
