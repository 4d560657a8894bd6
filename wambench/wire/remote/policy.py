"""The policy ``remote``: whatever a server answers, behind the interface of every other policy.

A server that comes back is asked again what it was asked at first: one that answers otherwise is
another policy, and its process is given up (a sweep then compares, and stops).
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from wambench.cells import digest_of
from wambench.contract import EpisodeStart, Observation
from wambench.errors import (
    InfrastructureFailure,
    PolicyFault,
    PolicyProcessDead,
    UserError,
    one_line,
)
from wambench.policy import Policy
from wambench.profile.acting import start_of
from wambench.profile.observations import observations
from wambench.wire.limits import CONNECTIONS
from wambench.wire.remote.address import Address
from wambench.wire.remote.agreement import Agreement, by_preset, by_server
from wambench.wire.remote.connection import connected
from wambench.wire.remote.gr00t import Gr00tSession
from wambench.wire.remote.openpi import OpenpiSession
from wambench.wire.remote.options import RemoteOptions
from wambench.wire.remote.places import Episode, Seat
from wambench.wire.remote.presets import translated
from wambench.wire.remote.session import Reply, Session
from wambench.wire.remote.starvla import StarvlaSession
from wambench.wire.remote.vla_eval import VlaEvalSession
from wambench.wire.tokens import read_token

SESSIONS: Mapping[str, type[Session]] = {
    "openpi": OpenpiSession,
    "vla-eval": VlaEvalSession,
    "starvla": StarvlaSession,
    "gr00t": Gr00tSession,
}
EPISODIC = ("vla-eval",)  # an episode has a connection of its own
TRIES = 3  # of one question over new connections, where the protocol knows no episodes
PROBE = "probe"


class RemotePolicy(Policy):
    """A policy that a server answers for."""

    logistics: ClassVar[frozenset[str]] = frozenset(
        {"url", "timeout", "patience", "connections", "token_file"}
    )

    def __init__(self, url: Any, **options: Any) -> None:
        """Options: see :class:`RemoteOptions`. Without a preset the server is asked, at once."""
        try:
            self.options = RemoteOptions(url=url, **options)
        except ValidationError as error:
            raise UserError(f"policy 'remote': {one_line(error)}") from None
        file = self.options.token_file
        self._token = None if file is None else read_token(Path(file), "token_file")
        self._protocol = self.options.url[0].protocol
        self._episodic = self._protocol in EPISODIC
        agreed = self._agreed()
        self.spec, self.terms, self._claimed = agreed.spec, agreed.terms, agreed.claimed
        self._seats: queue.LifoQueue[Seat] = queue.LifoQueue()
        self._episodes: dict[str, Episode] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._first: bytes | None = None  # answer to the probe, of a server that repeats itself
        # An idle connection to each address: when it ends, another server may have come.
        self._guards: dict[Address, Seat] = {}
        self._guarding = threading.Lock()

    # -- what it is --------------------------------------------------------------------------

    def _agreed(self) -> Agreement:
        """What the preset says, or a server of wambench."""
        options = self.options
        seats = CONNECTIONS if self._episodic else options.connections
        batch = min(seats * len(options.url), CONNECTIONS)
        if options.preset is not None:
            return by_preset(options, options.preset, batch)
        session = self._opened(options.url[0], patience=0)
        claimed = session.about
        session.end()
        return by_server(claimed, options, batch)

    def fingerprint(self) -> Mapping[str, str]:
        """What is served, by its name; UserError where nobody says it."""
        claimed = self._claimed.get("identity")
        identity = self.options.identity or (claimed if isinstance(claimed, str) else None)
        if identity is None:
            raise UserError(
                f"policy 'remote': what {self.options.url[0]} serves has no name, so its results "
                "could never be told from another's; add identity: a name that changes with it "
                "(the checkpoint's and the first digits of its hash)"
            )
        terms = {
            "wire": self.terms.wire.model_dump(mode="json"),
            "gripper": self.terms.gripper,
            "unnorm_key": self.terms.unnorm_key,
        }
        return {
            "protocol": self._protocol,
            "terms": digest_of(terms),
            "identity": identity if self.options.identity else f"claimed {identity}",
        }

    def config(self) -> Mapping[str, Any]:
        """Address and what the server claims."""
        return {"served_at": [str(one) for one in self.options.url], "claimed": self._claimed}

    # -- life --------------------------------------------------------------------------------

    def load(self) -> None:
        """Reach every server and see that it answers as was agreed.

        Raises:
            UserError: it contradicts the preset, or the servers differ.
            InfrastructureFailure: it cannot be reached.
        """
        self._seats = queue.LifoQueue()
        self._threads = ThreadPoolExecutor(self.spec.max_batch)
        answers = []
        for address in self.options.url:
            guard = self._guards[address] = Seat(address)
            answers += [self._probe(self._session(guard)) for _ in range(2)]
            for _ in range(self.options.connections):
                self._seats.put(Seat(address))
        pairs = list(zip(answers[::2], answers[1::2], strict=True))
        if any(one != other for one, other in pairs):
            return  # it does not repeat itself, so nothing can be held against it
        for address, (answer, _) in zip(self.options.url, pairs, strict=True):
            if answer != answers[0]:
                raise UserError(
                    f"policy 'remote': {address} answers otherwise than {self.options.url[0]}; "
                    "all addresses must serve the same"
                )
        self._first = answers[0]

    @property
    def repeats(self) -> bool:
        """Whether the loaded policy answers the same question alike."""
        return self._first is not None

    def reset(self, start: EpisodeStart) -> None:
        """Begin an episode."""
        if not start.instruction.strip():
            raise PolicyFault("the instruction is empty; servers answer anything to that")
        if self._episodic:
            busy = [one.seat.address for one in self._episodes.values()]
            address = min(self.options.url, key=busy.count)
        else:
            address = self.options.url[0]
        self._episodes[start.episode] = Episode(start, Seat(address))

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """Ask for each row over a connection of its own.

        Should one row fail, all are asked again one by one: those that were answered keep their
        answer, as a server with a chunk of its own would have gone on.
        """
        if self._threads is None:
            raise RuntimeError("load() first")
        asked = [self._threads.submit(self._answer, seen) for seen in observations]
        return [future.result() for future in [*map(_ended, asked)]]

    def measured(self, episode: str) -> Mapping[str, Sequence[float]]:
        """Of every look of an episode; see :class:`Look`."""
        here = self._episodes.get(episode)
        looks = [asdict(look) for look in here.looks] if here else []
        return {
            f"wire_{name}": [look[name] for look in looks] for name in (looks[0] if looks else ())
        }

    def forget(self, episode: str) -> None:
        """End an episode."""
        if here := self._episodes.pop(episode, None):
            here.seat.close()

    # -- one question ------------------------------------------------------------------------

    def _answer(self, seen: Observation) -> NDArray[np.floating]:
        here = self._episodes[seen.episode]
        if here.question is not seen:
            reply = self._asked_in(here, seen) if self._episodic else self._asked(here, seen)
            here.looks.append(reply.look)
            here.chunk, here.question = translated(reply.chunk, self.terms.gripper), seen
        return here.chunk

    def _asked_in(self, here: Episode, seen: Observation) -> Reply:
        """Over the episode's own connection: if that ends, so does the episode."""
        if here.looks and not here.seat.alive:
            raise InfrastructureFailure(f"{here.seat.address} lost the episode")
        return self._ask(here, here.seat, seen)

    def _asked(self, here: Episode, seen: Observation) -> Reply:
        """Over whichever connection is free; a new one if it breaks."""
        seat = self._seats.get()
        try:
            for _ in range(TRIES - 1):
                try:
                    return self._ask(here, seat, seen)
                except PolicyProcessDead:
                    raise
                except InfrastructureFailure:
                    continue
            return self._ask(here, seat, seen)
        finally:
            self._seats.put(seat)

    def _ask(self, here: Episode, seat: Seat, seen: Observation) -> Reply:
        if not seat.alive:
            self._renew(seat)
        assert seat.session is not None
        try:
            return seat.session.ask(seen, here.start, self.terms)
        except InfrastructureFailure:
            self._guards[seat.address].close()
            raise

    def _renew(self, seat: Seat) -> None:
        """Connect; what comes back after a break must be what was there."""
        guard = self._guards[seat.address]
        try:
            with self._guarding:
                if not guard.alive:
                    answer = self._probe(self._session(guard))
                    if self._first is not None and answer != self._first:
                        guard.close()
                        raise PolicyProcessDead(
                            f"{seat.address} answers otherwise than before: it serves something "
                            "else now"
                        )
            self._session(seat)
        except UserError as error:  # it was right when the policy was loaded
            raise PolicyProcessDead(str(error)) from None

    def _session(self, seat: Seat) -> Session:
        seat.close()
        session = seat.session = self._opened(seat.address, self.options.patience)
        if problems := session.contradictions(self.terms):
            seat.close()
            raise UserError(f"policy 'remote': {seat.address}: {'; '.join(problems)}")
        return session

    def _opened(self, address: Address, patience: float) -> Session:
        try:
            kind, timeout = SESSIONS[self._protocol], self.options.timeout
            return kind(connected(kind.line, address, self._token, timeout, patience))
        except InfrastructureFailure as error:
            if patience:
                raise
            raise UserError(f"policy 'remote': {error}; is the server running?") from None

    def _probe(self, session: Session) -> bytes:
        """The hash of its answer to a fixed question; UserError if that is no chunk as agreed."""
        (seen,) = observations(self.spec, 1)
        try:
            chunk = session.ask(seen, start_of(self.spec, seen, PROBE), self.terms).chunk
        except PolicyFault as error:
            raise UserError(f"policy 'remote': asked with a made-up observation, {error}") from None
        wanted = (self.terms.horizon, self.terms.wire.action.dim)
        if chunk.shape != wanted:
            raise UserError(
                f"policy 'remote': {session.connection.address} answers {chunk.shape[0]} actions "
                f"of {chunk.shape[1]} numbers, {wanted[0]} of {wanted[1]} were agreed; "
                f"add horizon: {chunk.shape[0]}, or choose another preset"
            )
        return hashlib.blake2b(np.ascontiguousarray(chunk).tobytes(), digest_size=16).digest()


def _ended(future: Any) -> Any:
    """Wait for one, whatever came of it: an error must not leave others on their way."""
    future.exception()
    return future
