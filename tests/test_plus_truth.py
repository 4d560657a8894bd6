"""Our LIBERO-Plus against the released package, which runs in an environment of its own.

``WAMBENCH_PLUS_TRUTH_PYTHON`` names that environment's python; ``tests/plus_truth.py`` says what it
must have. Skipped where it is not set.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.libero import runtime
from tasks.libero.plus import wheel
from tasks.libero.plus.noise import corrupt
from tasks.libero.plus.scenes import PROBLEMS
from tasks.libero.plus.variants import AXES, Variant, parse, variants
from tasks.libero.plus.viewpoint import moved
from tests.plus_cells import ours, unpacked
from tests.snippets import called_in_simulators_process
from wambench import plugins

PYTHON = os.environ.get("WAMBENCH_PLUS_TRUTH_PYTHON", "")
SCRIPT = Path(__file__).with_name("plus_truth.py")
BASES = ("libero_spatial", "libero_object", "libero_goal", "libero_10")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="WAMBENCH_PLUS_TRUTH_PYTHON is not set"),
    pytest.mark.skipif(bool(wheel.lock()), reason=wheel.lock()),
]


def truth(request: dict[str, Any]) -> Any:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    run = subprocess.run(
        [PYTHON, str(SCRIPT)], input=json.dumps(request), capture_output=True, text=True,
        check=False, timeout=3600, env=bare,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


def runnable(suite: str, axis: str) -> list[Variant]:
    found = plugins.make_suite(f"libero_plus_{axis}_{suite.removeprefix('libero_')}").tasks()
    names = {task.start(k).name for task in found for k in task.open_states}
    return [variant for variant in variants(suite) if variant.name in names]


def chosen() -> Iterator[tuple[str, str, int, int]]:
    """One task of each kind of perturbation of each base suite (of noise: two kinds)."""
    for number, suite in enumerate(BASES):
        for axis in AXES:
            of_kind: dict[str, list[Variant]] = {}
            for variant in runnable(suite, axis):
                of_kind.setdefault(variant.kind, []).append(variant)
            for kind, found in list(of_kind.items())[: 2 if axis == "noise" else None]:
                if kind != "broken sentence":
                    place = (len(found) * (2 * number + 1)) // (2 * len(BASES))
                    yield suite, found[place].name, 10, 256


def test_states_and_pixels_are_those_of_the_released_package() -> None:
    """Equal to the bit; of noise, whose draw is not upstream's, what is not drawn at random."""
    cells = list(chosen())
    assert len(cells) >= 20
    theirs = truth({"cells": cells, "assets": str(runtime.assets_path())})
    found = called_in_simulators_process(ours, cells)
    for (suite, name, *_), their, our in zip(cells, theirs, found, strict=True):
        same = {
            part: bool(np.array_equal(unpacked(their[part]), unpacked(our[part])))
            for part in ("state", "agentview", "wrist")
        }
        print(f"{suite} {name}: {same}")
        noisy = "_noise_" in name
        assert same == {"state": True, "agentview": not noisy, "wrist": True}, name
        if parse(name).kind == "gaussian blur":  # draws nothing
            off = unpacked(our["sensed"]).astype(int) - unpacked(their["agentview"])
            assert np.abs(off).max() <= 1, name


def test_every_instruction_as_released_is_the_released_package_s() -> None:
    theirs = truth({"names": True})
    for suite in BASES:
        told = {}
        for axis in AXES:
            name = f"libero_plus_{axis}_{suite.removeprefix('libero_')}"
            for task in plugins.make_suite(name).tasks():
                told |= {state.name: state.told("as_released") for state in task.named}
        assert told == theirs[suite]
        assert list(theirs[suite]) == [variant.name for variant in variants(suite)]


def test_every_viewpoint_is_the_released_package_s() -> None:
    """Of all camera tasks, and of a camera left alone, in each of LIBERO's scenes."""
    views = sorted({v.view for suite in BASES for v in variants(suite)}, key=str)
    plain = called_in_simulators_process(plain_views)
    theirs = iter(truth({"views": [[p, *dataclasses.astuple(v)] for p in plain for v in views]}))
    assert len(plain) == 5 and len(views) == 451
    for pose in plain.values():
        for view in views:
            our = moved(*map(np.array, pose), view)
            assert [list(map(float, part)) for part in our] == next(theirs), view


def plain_views() -> dict[str, tuple[list[float], list[float]]]:
    """Where LIBERO has its agentview camera, by problem class."""
    from tasks import gl

    gl.enable()
    runtime.simulation_modules()
    from libero.libero.envs.bddl_base_domain import TASK_MAPPING

    noted: dict[str, tuple[list[float], list[float]]] = {}

    class Arena:
        def set_camera(self, camera_name: str, pos: Any, quat: Any, **_: Any) -> None:
            if camera_name == "agentview":
                noted[name] = list(map(float, pos)), list(map(float, quat))

    for problem in PROBLEMS:
        name = f"libero_{problem}_manipulation"
        TASK_MAPPING[name]._setup_camera(None, Arena())
    return noted


def test_every_noise_is_the_released_package_s(tmp_path: Path) -> None:
    """Given the same generator: equal, or off by one of 255 (see ``noise.py``)."""
    frame = plugins.make_suite("libero_goal").golden_frames("exact")["agentview"]
    picture = np.asarray(Image.fromarray(frame[::-1]).resize((256, 256)))
    np.save(tmp_path / "picture.npy", picture)
    asked = [[number, 7 * number] for number in range(1, 51)]
    theirs = truth({"noise": [str(tmp_path / "picture.npy"), asked]})
    exact = 0
    for (number, seed), their in zip(asked, theirs, strict=True):
        ours = corrupt(picture, number, np.random.RandomState(seed))
        off = np.abs(ours.astype(int) - unpacked(their).astype(int))
        print(f"noise {number}: off by {off.max()}, in {(off > 0).sum()} of {off.size}")
        assert off.max() <= 1, number
        exact += not off.any()
    print(f"{exact} of 50 are equal to the bit")
    assert exact >= 45
