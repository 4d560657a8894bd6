"""Asking vla-eval's model servers: an episode a connection, one action a question.

The chunk lives in the server. Where it is known how many actions that has, one look asks for all
of them at once: the questions after the first hold no pictures, as vla-eval's own RoboTwin does it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from time import monotonic, perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wambench import plugins
from wambench.contract import EpisodeStart, Observation
from wambench.errors import UserError
from wambench.wire.limits import CLIENT_BYTES, METADATA_BYTES, WireError, told
from wambench.wire.remote.line import Line
from wambench.wire.remote.session import (
    OURS,
    Look,
    Reply,
    Session,
    Terms,
    cell_of,
    fault,
    rows,
    state,
)
from wambench.wire.vla_eval import PROTOCOL_VERSION, Frame, Type, decode, encode

HARNESS_VERSION = "0.8.0"  # whose client this is taken for
OF_THE_PROTOCOL = (
    "seed", "env_seed", "absolute_action", "max_episode_steps", "success_mode",
    "deterministic_episodes", "max_steps",
)  # fmt: skip
"""What some servers ask of a benchmark, though a protocol of wambench decides it."""

FORMATS = {
    "position": ("delta_xyz", "raw"),
    "rotation": ("axis_angle", "raw"),
    "gripper": ("binary_close_positive", "raw"),
}
"""Of the parts of an action, where a server says them."""

IMAGES = "images/"


class VlaEvalSession(Session):
    """The client speaks first. Every message has a number, which its answer repeats."""

    def __init__(self, connection: Line) -> None:
        super().__init__(connection)
        self._number = 0
        self._begun, self._since, self._steps = False, 0.0, 0
        hello = {"harness_version": HARNESS_VERSION, "protocol_version": PROTOCOL_VERSION}
        answer, _ = self._exchange("hello", hello, METADATA_BYTES)
        self.metadata = answer.payload
        self._wants = self._map("observation_params")

    @property
    def about(self) -> Mapping[str, Any]:
        """It has a place of its own in this protocol."""
        found = self._map("capabilities").get(OURS)
        return found if isinstance(found, Mapping) else {}

    def contradictions(self, terms: Terms) -> list[str]:
        """What it asks of the benchmark against the protocol, and other forms of actions."""
        found = [
            f"observation_params asks for {name}={self._wants[name]!r}, which the protocol "
            "decides; start the server without it"
            for name in OF_THE_PROTOCOL
            if name in self._wants and not terms.ours
        ]
        spec = self._map("action_spec")
        for part, known in FORMATS.items():
            said = spec.get(part)
            form = said.get("format") if isinstance(said, Mapping) else None
            if form is not None and form not in known:
                found.append(f"action_spec says {part} is {form}, the preset {known[0]}")
        return found

    def ask(self, seen: Observation, start: EpisodeStart, terms: Terms) -> Reply:
        """Ask for as many actions as a chunk has."""
        if not self._begun:
            self._send("episode_start", {"task": _task(start)})
            self._begun, self._since = True, monotonic()
        payload = self._payload(seen, terms)
        chunk: list[NDArray[np.floating]] = []
        look = None
        while len(chunk) < terms.horizon:
            answer, took = self._exchange("observation", payload, CLIENT_BYTES)
            look = took if look is None else look + took
            if answer.type == "error":
                raise self._error(answer, len(chunk), terms)
            found = answer.payload.get("actions", answer.payload.get("action"))
            actions = rows(found, self.connection.address)
            chunk += list(actions)
            if len(actions) > 1:
                break  # a server that has no chunk of its own sends all at once
            payload.pop("images", None)
        self._steps += len(chunk)
        assert look is not None
        return Reply(np.array(chunk), look)

    def end(self) -> None:
        """Say that the episode is over; how it ended is nothing a policy should know."""
        if self._begun and not self.connection.closed:
            ended = {"metrics": {}, "steps": self._steps, "elapsed_sec": monotonic() - self._since}
            self._send("episode_end", ended)
        super().end()

    def _payload(self, seen: Observation, terms: Terms) -> dict[str, Any]:
        wire = terms.wire
        images = {
            key.removeprefix(IMAGES): seen.images[name]
            for name, key in wire.images.items()
            if name != "wrist" or self._wants.get("send_wrist_image", False)
        }
        payload: dict[str, Any] = {"images": images, wire.prompt: seen.instruction}
        if wire.state and self._wants.get("send_state", False):
            sent = seen
            if not terms.ours:
                flipped = not self._wants.get("quat_no_antipodal", False)
                turn = as_vla_eval(seen.proprio["eef_axis_angle"], flipped)
                sent = _with(seen, "eef_axis_angle", turn)
            payload[wire.state_key] = state(sent, wire)
        if terms.ours:
            payload[OURS] = cell_of(seen)
        return payload

    def _error(self, answer: Frame, known: int, terms: Terms) -> Exception:
        text = answer.payload.get("error", "an error without a word")
        if known:
            text = (
                f"{text} (after {known} of {terms.horizon} actions, asked without pictures: its "
                f"chunk is not of {terms.horizon}; set horizon)"
            )
        self.connection.close()  # what it says to later questions could be of this one
        return fault(self.connection.address, text)

    def _map(self, name: str) -> Mapping[str, Any]:
        found = self.metadata.get(name)
        return found if isinstance(found, Mapping) else {}

    def _send(self, kind: Type, payload: Mapping[str, Any]) -> tuple[int, int, float, float]:
        self._number += 1
        began = perf_counter()
        # Pictures as they are: to pack them as PNG takes longer than many a policy.
        message = encode(Frame.now(kind, payload, self._number), "raw")
        encoded = perf_counter()
        self.connection.send(message)
        return self._number, len(message), 1000 * (encoded - began), encoded

    def _exchange(self, kind: Type, payload: Mapping[str, Any], most: int) -> tuple[Frame, Look]:
        number, sent, encode_ms, since = self._send(kind, payload)
        message = self.connection.receive()
        received = perf_counter()
        try:
            if isinstance(message, str):
                raise WireError("a text; frames are bytes")
            answer = decode(message, most)
            if answer.seq != number:
                raise WireError(f"the answer to {answer.seq}; {number} was asked")
        except WireError as error:
            raise self.connection.failure(error, message) from None
        if answer.type != "error" and answer.type != ("hello" if kind == "hello" else "action"):
            raise self.connection.failure(f"a frame of type {answer.type}", message)
        if kind == "hello" and answer.type == "error":
            self.connection.close()
            said = told(answer.payload.get("error"))
            raise UserError(f"policy 'remote': {self.connection.address} refuses: {said}")
        decoded = perf_counter()
        look = Look(
            encode_ms=encode_ms,
            round_trip_ms=1000 * (received - since),
            decode_ms=1000 * (decoded - received),
            sent_bytes=sent,
            received_bytes=len(message),
        )
        return answer, look


def as_vla_eval(turn: NDArray[np.float64], flipped: bool) -> NDArray[np.float64]:
    """An axis-angle [3] as vla-eval's benchmark sends it.

    Args:
        turn: as our suites give it, its angle in [0, 2 pi).
        flipped: as the quaternion of w >= 0, so the angle is at most pi. The gripper points down,
            so the angle is nearly pi, and the sign of the whole jumps from frame to frame.

    It is rounded to float32 on its way, as theirs is.
    """
    angle = float(np.linalg.norm(turn))
    if flipped and angle > math.pi:
        turn = turn * (1 - 2 * math.pi / angle)
    return turn.astype(np.float32).astype(np.float64)


def _with(seen: Observation, name: str, value: NDArray[np.float64]) -> Observation:
    return replace(seen, proprio={**seen.proprio, name: value})


def _task(start: EpisodeStart) -> Mapping[str, Any]:
    """As its own benchmark names one; suites that are not here have no numbers."""
    try:
        tasks = plugins.make_suite(start.suite).tasks()
    except UserError:
        tasks = []
    number = next((task.index for task in tasks if task.name == start.task), 0)
    return {
        "name": start.instruction,
        "suite": start.suite,
        "task_id": number,
        "episode_idx": start.init_state,
    }
