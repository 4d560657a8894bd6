"""Asking GR00T's servers over ZMQ: a question, an answer; nothing is known of episodes."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any, ClassVar

from wambench.contract import EpisodeStart, Observation
from wambench.errors import PolicyFault, UserError
from wambench.wire.gr00t import ACTION, STATE, chunk, decode, encode, observation
from wambench.wire.limits import CLIENT_BYTES, METADATA_BYTES, WireError, shown, told
from wambench.wire.remote.line import Line
from wambench.wire.remote.over_zmq import ZmqConnection
from wambench.wire.remote.session import Look, Reply, Session, Terms, fault, rows, state


class Gr00tSession(Session):
    """The client speaks first, and asks what the policy is made of."""

    line: ClassVar[type[Line]] = ZmqConnection

    def __init__(self, connection: Line) -> None:
        super().__init__(connection)
        try:
            self._call("ping", METADATA_BYTES)
            found, _ = self._call("get_modality_config", METADATA_BYTES)
        except PolicyFault as error:
            connection.close()
            unknown = "unauthorized" in str(error).lower()
            remedy = "; name a token_file that holds its token" if unknown else ""
            raise UserError(f"policy 'remote': {error}{remedy}") from None
        if not isinstance(found, Mapping):
            raise connection.failure("modalities that are no map", str(found))
        self.metadata = found

    def contradictions(self, terms: Terms) -> list[str]:
        """Names of what it wants and answers, the moments that it wants, actions of a chunk."""
        found = []
        sent = {
            "video": {*terms.wire.images.values()},
            "state": {*STATE},
            "language": {terms.wire.prompt},
        }
        for part, names in sent.items():
            if odd := [key for key in self._said(part, "modality_keys") if key not in names]:
                found.append(f"{part} modality_keys has {told(odd)}, which is not sent")
            moments = self._said(part, "delta_indices")
            if len(moments) > 1:
                found.append(f"{part} delta_indices is {shown(moments)}; only [0] is sent")
        keys = self._said("action", "modality_keys")
        if keys and set(ACTION) - {*map(str, keys)}:
            found.append(f"action modality_keys is {told(keys)}, not {', '.join(ACTION)}")
        size = len(self._said("action", "delta_indices"))
        if size not in (0, terms.horizon):
            found.append(
                f"action delta_indices has {size}, not {terms.horizon}; add horizon: {size}"
            )
        return found

    def ask(self, seen: Observation, start: EpisodeStart, terms: Terms) -> Reply:
        """One request, one reply."""
        wire = terms.wire
        video = {key: seen.images[name] for name, key in wire.images.items()}
        shows = observation(video, state(seen, wire), wire.prompt, seen.instruction)
        data = {"observation": shows, "options": None}
        answer, look = self._call("get_action", CLIENT_BYTES, data)
        peer = self.connection.address
        try:
            return Reply(rows(chunk(answer), peer), look)
        except WireError as error:
            raise PolicyFault(f"{peer} answers {error}") from None

    def _said(self, part: str, field: str) -> list[Any]:
        """What it says of a modality; nothing: an empty list."""
        config = self.metadata.get(part)
        said = config.get(field) if isinstance(config, Mapping) else None
        return said if isinstance(said, list) else []

    def _call(self, endpoint: str, most: int, data: object = None) -> tuple[Any, Look]:
        """Ask an endpoint; its answer of at most ``most`` bytes."""
        token = self.connection.token
        request = {"endpoint": endpoint, "data": data, "api_token": token}
        began = perf_counter()
        question = encode({key: value for key, value in request.items() if value is not None})
        encoded = perf_counter()
        self.connection.send(question)
        message = self.connection.receive()
        received = perf_counter()
        try:
            if isinstance(message, str):
                raise WireError("a text; messages are bytes")
            answer = decode(message, most)
        except WireError as error:
            raise self.connection.failure(error, message) from None
        if isinstance(answer, Mapping) and "error" in answer:
            raise fault(self.connection.address, answer["error"] or "an error without a word")
        return answer, Look.ended((began, encoded, received), question, message)
