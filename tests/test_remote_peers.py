"""Our client asks vla-eval 0.8.0's own model server class, unmodified, in a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.test_remote import episodes, loaded
from tests.test_wire_peers import installed
from wambench.contract import Observation
from wambench.errors import PolicyFault
from wambench.wire.remote.vla_eval import as_vla_eval

# Its first line of output: the port, and what vla-eval makes of some quaternions.
THEIRS = """
import json, sys
import anyio, numpy as np
from vla_eval.model_servers.predict import PredictModelServer
from vla_eval.model_servers.serve import serve_async
from vla_eval.rotation import quat_to_axisangle
from vla_eval.specs import GRIPPER_CLOSE_POS, POSITION_DELTA, ROTATION_AA

rows, buffered, flipped, quats = json.loads(sys.argv[1])

class Echo(PredictModelServer):
    def get_observation_params(self):
        wants = {"send_wrist_image": True, "send_state": True}
        return wants if flipped else wants | {"quat_no_antipodal": True}

    def get_action_spec(self):
        return {"position": POSITION_DELTA, "rotation": ROTATION_AA, "gripper": GRIPPER_CLOSE_POS}

    def get_observation_spec(self):
        return {}

    def predict(self, obs, ctx):
        if "raise" in obs["task_description"]:
            raise ValueError("no such thing")
        means = [obs["images"][name].mean() / 255 for name in ("agentview", "wrist")]
        chunk = [
            [*means, *np.roll(obs["states"], -3 - row)[:4], row % 3 / 2 - 0.5]
            for row in range(rows)
        ]
        return {"actions": np.array(chunk if rows > 1 else chunk[0])}

async def main():
    async with anyio.create_task_group() as group:
        server = Echo(chunk_size=rows if buffered else None)
        port = await group.start(serve_async, server, "127.0.0.1", 0)
        turns = [quat_to_axisangle(np.array(quat)).tolist() for quat in quats]
        print(json.dumps([port, turns]), flush=True)

anyio.run(main)
"""

DOWN = np.array([[-0.9995, 0.0005, 0.0291, -0.0005], [0.9995, -0.0005, -0.0291, 0.0007]])
QUATS = [*(DOWN / np.linalg.norm(DOWN, axis=1, keepdims=True)).tolist(), [0.0, 0.6, 0.0, 0.8]]
"""x, y, z, w; a gripper that points down has w of either sign near 0."""


def turned(quat: Sequence[float]) -> NDArray[np.float64]:
    """An axis-angle [3] as robosuite makes it, its angle in [0, 2 pi)."""
    angle = 2 * math.acos(quat[3])
    return np.array(quat[:3]) * angle / math.sin(angle / 2)


@contextlib.contextmanager
def theirs(site: Path, rows: int, buffered: bool, flipped: bool) -> Iterator[tuple[int, Any]]:
    """Their server, answering chunks of so many rows; gives its port and ``QUATS`` as it has them.

    Args:
        buffered: the server keeps the chunk and answers row by row.
        flipped: it takes vla-eval's axis-angle as it comes, turned to w >= 0.
    """
    words = json.dumps([rows, buffered, flipped, QUATS])
    process = subprocess.Popen(
        [sys.executable, "-c", THEIRS, words], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(site)},
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def expected(seen: Observation, rows: int, flipped: bool) -> NDArray[np.float32]:
    """What the server makes of an observation, in float32; our preset takes a gripper's sign."""
    turn = as_vla_eval(seen.proprio["eef_axis_angle"], flipped)
    state = np.concatenate([seen.proprio["eef_pos"], turn, seen.proprio["gripper_qpos"]])
    means = [seen.images[name].mean() / 255 for name in ("agentview", "wrist")]
    chunk = [
        [*means, *np.roll(state, -3 - row)[:4], -1 if row % 3 == 0 else 1] for row in range(rows)
    ]
    return np.array(chunk, np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("flipped", [True, False], ids=["flipped", "quat_no_antipodal"])
@pytest.mark.parametrize(
    ("rows", "buffered"), [(1, False), (5, True), (5, False)], ids=["one", "buffered", "whole"]
)
def test_vla_evals_own_server_answers_to_what_is_seen(
    tmp_path_factory: pytest.TempPathFactory, rows: int, buffered: bool, flipped: bool
) -> None:
    site = installed(tmp_path_factory, "site-vla-eval-alone", ("vla-eval==0.8.0",))
    with theirs(site, rows, buffered, flipped) as (port, turns):
        for quat, turn in zip(QUATS, turns, strict=True):
            assert np.allclose(as_vla_eval(turned(quat), flipped=True), turn, atol=1e-6)
        policy = loaded(
            f"vla-eval://127.0.0.1:{port}", timeout=30, patience=30, preset="vla-eval-libero",
            horizon=rows, identity="echo@1",
        )  # fmt: skip
        assert policy.repeats
        starts = episodes(policy, len(QUATS))
        for step in range(3):  # side by side, each with the pictures of a moment
            moment = [
                dataclasses.replace(
                    seen,
                    step=step * rows,
                    images={name: image // (step + 1) for name, image in seen.images.items()},
                    proprio={**seen.proprio, "eef_axis_angle": turned(quat)},
                )
                for seen, quat in zip(starts, QUATS, strict=True)
            ]
            for seen, chunk in zip(moment, policy.act(moment), strict=True):
                assert np.array_equal(chunk, expected(seen, rows, flipped))
        with pytest.raises(PolicyFault, match="ValueError: no such thing"):
            policy.act(episodes(policy, 1, "raise it"))
        (seen,) = episodes(policy, 1)
        assert np.array_equal(policy.act([seen])[0], expected(seen, rows, flipped))
        for start in starts:
            policy.forget(start.episode)
