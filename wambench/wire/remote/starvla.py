"""Asking starVLA's servers: openpi's arrays, several examples in a request, errors that answer."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from wambench.contract import EpisodeStart, Observation
from wambench.errors import PolicyFault
from wambench.wire.remote.line import Line
from wambench.wire.remote.openpi import exchange, metadata
from wambench.wire.remote.session import (
    OURS,
    Reply,
    Session,
    Terms,
    cell_of,
    fault,
    rows,
    state,
)

SAMPLING = {"do_sample": False, "use_ddim": True, "num_ddim_steps": 10}  # as its own client


class StarvlaSession(Session):
    """The server speaks first, and says more of itself than openpi's."""

    def __init__(self, connection: Line) -> None:
        super().__init__(connection)
        self.metadata = metadata(connection)
        self._numbers = itertools.count()

    def contradictions(self, terms: Terms) -> list[str]:
        """Chunk size, picture size and the statistics that are to be used."""
        said, found = self.metadata, []
        size = said.get("action_chunk_size")
        if size is None:
            found.append(
                "action_chunk_size is missing: a server of before 2026-05 is not supported"
            )
        elif size != terms.horizon:
            found.append(f"action_chunk_size is {size}, not {terms.horizon}; add horizon: {size}")
        keys = said.get("available_unnorm_keys")
        if isinstance(keys, list):
            listed = ", ".join(map(str, keys))
            if terms.unnorm_key is None and len(keys) > 1:
                found.append(f"available_unnorm_keys are {listed}; choose one as unnorm_key")
            elif terms.unnorm_key is not None and terms.unnorm_key not in keys:
                found.append(f"available_unnorm_keys are {listed}, not {terms.unnorm_key}")
        return found

    def ask(self, seen: Observation, start: EpisodeStart, terms: Terms) -> Reply:
        """One example in one request."""
        images = sorted(terms.wire.images.items(), key=lambda item: item[1])
        example: dict[str, Any] = {
            "image": [seen.images[name] for name, _ in images],
            "lang": seen.instruction,
        }
        if terms.wire.state:
            example[terms.wire.state_key] = state(seen, terms.wire)
        if terms.ours:
            example[OURS] = cell_of(seen)
        number = f"{seen.episode}-{next(self._numbers)}"
        payload = {"examples": [example], "unnorm_key": terms.unnorm_key, **SAMPLING}
        request: dict[str, Any] = {"type": "infer", "request_id": number, "payload": payload}
        answer, look = exchange(self.connection, request)
        peer = self.connection.address
        if answer.get("request_id") != number:
            raise self.connection.failure("the answer to another request", str(dict(answer)))
        if answer.get("ok") is not True:
            error = answer.get("error")
            text = error.get("message") if isinstance(error, Mapping) else error
            raise fault(peer, text or "an error without a word")
        data = answer.get("data")
        if isinstance(data, Mapping) and "normalized_actions" in data:
            raise PolicyFault(f"{peer} answers normalized_actions: a server of before 2026-05")
        actions = data.get("actions") if isinstance(data, Mapping) else None
        if isinstance(actions, np.ndarray) and actions.ndim == 3 and len(actions) == 1:
            actions = actions[0]
        return Reply(rows(actions, peer), look)
