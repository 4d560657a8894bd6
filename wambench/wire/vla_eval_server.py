"""A policy for vla-eval's benchmarks.

Their client tells of each episode, and asks before every control step; the chunk lives here. Noise
is that of our own cell of the same suite, task, initial state and seed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from websockets.asyncio.server import Server, ServerConnection

from wambench import plugins
from wambench.cells import Cell, noise_seed
from wambench.contract import EpisodeStart
from wambench.errors import InfrastructureFailure, PolicyFault, UserError
from wambench.wire.host import Host
from wambench.wire.limits import SERVER_BYTES, WireError, shown, told
from wambench.wire.listening import hang_up, listen
from wambench.wire.reading import told_noise
from wambench.wire.vla_eval import PROTOCOL_VERSION, Frame, Type, decode, encode

HARNESS_VERSION = "0.8.0"  # whose protocol this is
BEFORE = -1  # the step that the noise of an episode's start is drawn for
NORMAL = 1000


async def start(host: Host, address: str, port: int, token: str | None, *, seed: int = 0) -> Server:
    """Serve; see :func:`listen`."""

    async def converse(connection: ServerConnection) -> None:
        session = _Session(host, seed)
        try:
            async for message in connection:
                try:
                    if isinstance(message, str):
                        raise WireError("a text; frames are bytes")
                    frame = decode(message, SERVER_BYTES)
                except WireError as error:  # as theirs: closed; but with the reason
                    await hang_up(connection, NORMAL, told(error))
                    return
                if answer := await session.take(frame):
                    await connection.send(encode(answer))
        finally:
            await session.end()

    health = json.dumps({"status": "ok"}) + "\n"
    return await listen(converse, address, port, token, {"/health": health})


class _Session:
    """One connection: at most one episode at a time."""

    def __init__(self, host: Host, seed: int) -> None:
        self._host, self._seed = host, seed
        self._cell: Cell | None = None
        self._episode, self._fault = "", "no episode_start came before it"
        self._step = 0
        self._buffer: list[np.ndarray] = []

    async def take(self, frame: Frame) -> Frame | None:
        """What to answer; episode_start and episode_end get none, whatever happens."""
        if frame.type == "hello":
            return _reply("hello", self._hello(), frame)
        if frame.type == "episode_start":
            await self._begin(frame.payload)
        elif frame.type == "episode_end":
            await self.end()
        elif frame.type == "observation":
            return await self._observe(frame)
        return None

    async def end(self) -> None:
        """The episode is over, finished or not."""
        if self._episode:
            await self._host.forget(self._episode)
        self._episode, self._buffer, self._step = "", [], 0
        self._fault = "no episode_start came before it"

    async def _begin(self, payload: Mapping[str, Any]) -> None:
        await self.end()
        try:
            self._cell, instruction = _cell(payload.get("task"), self._host.name, self._seed)
            episode = self._host.new_episode()
            await self._host.begin(
                EpisodeStart(
                    episode=episode,
                    suite=self._cell.suite,
                    task=self._cell.task,
                    instruction=instruction,
                    init_state=self._cell.init_state,
                    action=self._host.preset.action,
                    noise_seed=noise_seed(self._cell, BEFORE),
                )
            )
        except (WireError, PolicyFault, InfrastructureFailure) as error:
            # An answer to episode_start would be taken for that to the first observation, and every
            # later one for that to the next: the fault waits for its question.
            self._fault = f"episode_start failed: {told(error)}"
        else:
            self._episode, self._fault = episode, ""

    async def _observe(self, frame: Frame) -> Frame:
        try:
            if self._fault:
                raise WireError(self._fault)
            if not self._buffer:
                self._buffer = await self._ask(frame.payload)
            action = self._buffer.pop(0)
            self._step += 1
        except (WireError, PolicyFault, InfrastructureFailure) as error:
            kind = type(error).__name__
            return _reply(
                "error", {"error": f"observation_failed: {kind}: {told(str(error))}"}, frame
            )
        return _reply("action", {"actions": action}, frame)

    async def _ask(self, payload: Mapping[str, Any]) -> list[np.ndarray]:
        assert self._cell is not None
        images = payload.get("images")
        flat = {f"images/{k}": v for k, v in images.items()} if isinstance(images, Mapping) else {}
        noise = told_noise(payload)
        if noise is None:
            noise = noise_seed(self._cell, self._step)
        seen = self._host.seen({**payload, **flat}, self._episode, self._step, noise)
        chunk = await self._host.act(seen)
        return list(chunk[: self._host.spec.replan_steps or len(chunk)])

    def _hello(self) -> Mapping[str, Any]:
        host = self._host
        return {
            "harness_version": HARNESS_VERSION,
            "protocol_version": PROTOCOL_VERSION,
            "model_server": f"wambench:{host.name}",
            "capabilities": {"wambench": dict(host.about())},
            "observation_params": {
                "send_wrist_image": "wrist" in host.spec.cameras,
                "send_state": bool(host.spec.proprio),
                "quat_no_antipodal": True,  # as our axis-angles: not flipped to w >= 0
            },
            "action_spec": ACTION_SPEC,
            "observation_spec": OBSERVATION_SPEC,
        }


def _part(name: str, dims: int, format: str, span: float | None = None) -> Mapping[str, Any]:
    limits = {} if span is None else {"range": [-span, span]}
    return {"name": name, "dims": dims, "format": format, **limits}


ACTION_SPEC = {
    "position": _part("position", 3, "delta_xyz", 1),
    "rotation": _part("rotation", 3, "axis_angle", 3.15),
    "gripper": _part("gripper", 1, "binary_close_positive", 1),
}
OBSERVATION_SPEC = {
    "agentview": _part("image", 0, "rgb_hwc_uint8"),
    "wrist": _part("image", 0, "rgb_hwc_uint8"),
    "state": _part("state", 8, "eef_pos3_axisangle3_gripper2"),
    "language": _part("language", 0, "language"),
}


def _cell(task: object, policy: str, seed: int) -> tuple[Cell, str]:
    """Our cell of their task, and its instruction; a suite that is not here gets one of its own."""
    if not isinstance(task, Mapping) or not isinstance(task.get("name"), str):
        raise WireError("an episode_start without a task that has a name")
    instruction = task["name"] if task.get("instruction") is None else task["instruction"]
    if not isinstance(instruction, str) or not instruction.strip():
        raise WireError(f"the task's instruction is {shown(instruction)}; send words")
    suite, number, state = (task.get(name) for name in ("suite", "task_id", "episode_idx"))
    suite = suite if isinstance(suite, str) else ""
    number = number if type(number) is int and number >= 0 else 0
    state = state if type(state) is int and state >= 0 else 0
    name = task["name"]
    try:
        known = plugins.make_suite(suite).tasks() if suite else []
    except UserError:
        known = []
    if number < len(known) and known[number].instruction == instruction:
        name = known[number].name
    return Cell("", policy, "vla-eval", suite, number, name, state, seed), instruction


def _reply(type: Type, payload: Mapping[str, Any], question: Frame) -> Frame:
    return Frame.now(type, payload, question.seq)
