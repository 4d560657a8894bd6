"""starVLA's messages, in openpi's dialect: envelopes, examples, and the gripper as 1 = open.

A server speaks first: one map of metadata. A request is the keywords of ``predict_action``, alone
or as ``payload`` of an envelope; several examples may be asked about at once. (starVLA 0ed0aad.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wambench.wire.limits import WireError, shown

INFER, PING, RESULT, UNKNOWN = "infer", "ping", "inference_result", "unknown"
NO_NUMBER = "default"  # request_id of who gave none
UNNORM_KEY = "franka"  # what starVLA's own models of a Panda arm answer to; ours need no statistics
SAMPLING = ("do_sample", "use_ddim", "num_ddim_steps")  # of their models; ours know how they draw
EXAMPLES = 64  # of one request
CAMERAS = ("agentview", "wrist")  # the order of an example's pictures
ACTION_KEYS = [f"action.{name}" for name in ("x", "y", "z", "roll", "pitch", "yaw", "gripper")]


@dataclass(frozen=True)
class Request:
    """One message of a client.

    Attributes:
        type: ``infer``, ``ping`` or ``unknown``.
        number: whatever text or number the client gave it.
        payload: what is asked; not yet checked.
        named: the type as the client named it.
    """

    type: str
    number: str | int
    payload: Any
    named: str

    @classmethod
    def of(cls, message: Any) -> Request:
        """A request, flat or enveloped; WireError for what is no map."""
        if not isinstance(message, Mapping):
            raise WireError(f"a request must be a map, not a {type(message).__name__}")
        named, number = message.get("type", INFER), message.get("request_id", NO_NUMBER)
        known = {INFER: INFER, "predict_action": INFER, PING: PING}
        kind = known.get(named, UNKNOWN) if isinstance(named, str) else UNKNOWN
        flat = {k: v for k, v in message.items() if k not in ("type", "request_id")}
        is_number = isinstance(number, str) or type(number) is int
        return cls(
            kind, number if is_number else NO_NUMBER, message.get("payload", flat), shown(named)
        )


def examples(payload: Any) -> Sequence[Mapping[str, Any]]:
    """The 1 to 64 examples of a payload, each with its pictures as ``image/0``, ``image/1``.

    Raises:
        WireError: names the keyword that is missing, unknown or unfit.
    """
    if not isinstance(payload, Mapping):
        raise WireError(f"the payload must be a map, not a {type(payload).__name__}")
    for key in payload:
        if key not in ("examples", "unnorm_key", *SAMPLING):
            raise WireError(f"{shown(key)} is no keyword of predict_action")
    key = payload.get("unnorm_key")
    if key is not None and not (isinstance(key, str) and key == UNNORM_KEY):
        raise WireError(f"'unnorm_key' is {shown(key)}; available: {UNNORM_KEY!r}")
    found = payload.get("examples")
    if not isinstance(found, list) or not 1 <= len(found) <= EXAMPLES:
        raise WireError(f"'examples' must be a list of 1 to {EXAMPLES} maps, not {shown(found)}")
    return [_flat(example) for example in found]


def _flat(example: Any) -> Mapping[str, Any]:
    if not isinstance(example, Mapping):
        raise WireError(f"an example must be a map, not {shown(example)}")
    pictures = example.get("image")
    if not isinstance(pictures, list) or len(pictures) > len(CAMERAS):
        raise WireError(f"'image' must be a list of {', '.join(CAMERAS)}, not {shown(pictures)}")
    return {**example, **{f"image/{n}": picture for n, picture in enumerate(pictures)}}


def rows(chunk: NDArray[np.float64]) -> NDArray[np.float64]:
    """A chunk [T, 7] as clients want it: they apply 1 - 2 * (v > 0.5) to the gripper."""
    out = chunk.copy()
    out[:, -1] = (1 - chunk[:, -1]) / 2
    return out


def result(request: Request, actions: NDArray[np.float64]) -> Mapping[str, Any]:
    """The answer to a request: actions [B, T, 7]."""
    return {**_head(request, "ok"), "data": {"actions": actions}}


def pong(request: Request) -> Mapping[str, Any]:
    """The answer to a ping."""
    return _head(request, "ok")


def fault(request: Request, text: str) -> Mapping[str, Any]:
    """What went wrong with a request; the connection goes on."""
    return {**_head(request, "error"), "error": {"message": text}}


def _head(request: Request, status: str) -> Mapping[str, Any]:
    kind = RESULT if request.type == INFER else request.type
    return {
        "status": status, "ok": status == "ok", "type": kind, "request_id": request.number,
    }  # fmt: skip
