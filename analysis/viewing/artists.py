"""Frames on demand: one process for each open task, few of them, and what they drew in memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections import OrderedDict

from analysis.failures import Failure
from analysis.viewing.drawing import Answer, Frame, Refusal, Wanted, Why, serve
from wambench.errors import UserError
from wambench.protocols import Protocol

PROCESSES = 2  # of 1 to 2 GB each
KEPT_BYTES = 64_000_000  # of frames, some thousands
PATIENCE_S = 300.0  # a simulator that takes longer to open a task or to draw it has hung

Table = tuple[str, str, str]
"""Suite, task and the protocol as text."""


class _Gone(Exception):
    """The process was ended to make room for another."""


class _Artist:
    """A process that opens one task when it is told which, used by one thread at a time."""

    def __init__(self, suite: str) -> None:
        self.suite = suite
        spawn = multiprocessing.get_context("spawn")
        self._pipe, there = spawn.Pipe()
        self._process = spawn.Process(
            target=serve, args=(there, suite), daemon=True, name=f"draws {suite}"
        )
        self._process.start()
        there.close()
        self._lock = threading.Lock()
        self.is_open = self._is_closed = False

    def open(self, task: str, rules: Protocol) -> None:
        """Begin to open a task; what comes of it is told to the first who asks."""
        with contextlib.suppress(OSError):  # its process died: who asks is told that, too
            self._pipe.send((task, rules))

    def ask(self, wanted: Wanted) -> Answer:
        """Raises _Gone, or UserError if the process died or hung."""
        with self._lock:
            if self._is_closed:
                raise _Gone
            try:
                if not self.is_open:
                    opened = self._receive()
                    if isinstance(opened, Refusal):
                        return opened
                    self.is_open = True
                self._pipe.send(wanted)
                return self._receive()
            except (EOFError, OSError) as error:
                self._end()
                raise UserError(
                    f"the process that draws this task is gone ({error or 'it ended'}); ask again, "
                    "or see wambench doctor"
                ) from None

    def _receive(self) -> Answer:
        if not self._pipe.poll(PATIENCE_S):
            raise OSError(f"no answer in {PATIENCE_S:g} s")
        answer: Answer = self._pipe.recv()
        return answer

    def kill(self) -> None:
        """End the process now; who waits for its answer is told that it is gone."""
        self._process.kill()

    def close(self) -> None:
        """End the process, once it is not asked any more."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        self._is_closed = True
        self._pipe.close()
        self._process.kill()
        self._process.join()


class Artists:
    """Draws what is asked for. Thread-safe; close it at the end."""

    def __init__(self, processes: int = PROCESSES, kept_bytes: int = KEPT_BYTES) -> None:
        self._processes, self._kept_bytes = processes, kept_bytes
        self._artists: OrderedDict[Table, _Artist] = OrderedDict()
        self._frames: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._spare: _Artist | None = None  # is made ready for the next task of the same suite
        self._bytes = 0
        self._lock = threading.Lock()
        self._is_closed = False

    def expect(self, suite: str, task: str, rules: Protocol, *, likely: bool) -> None:
        """Begin to open a task: that takes most of a first frame's time.

        One that is not ``likely`` to be asked for is opened only if no other is.
        """
        with self._lock:
            idle = not self._artists
        if likely or idle:
            self._artist(suite, task, rules)

    def draw(self, frame: Frame, step: int, rules: Protocol) -> bytes:
        """A frame as JPEG; UserError where it cannot be drawn."""
        name = (frame.cell.key, rules.model_dump_json(), step, frame.camera)
        with self._lock:
            known = self._frames.get(name)
            if known is not None:
                self._frames.move_to_end(name)
                return known
        drawn = self._ask(frame, rules)
        assert isinstance(drawn, bytes)
        with self._lock:
            if name not in self._frames:
                self._frames[name] = drawn
                self._bytes += len(drawn)
            while self._bytes > self._kept_bytes:
                self._bytes -= len(self._frames.popitem(last=False)[1])
        return drawn

    def explain(self, why: Why, rules: Protocol) -> Failure:
        """Why an episode failed; UserError where that cannot be told."""
        found = self._ask(why, rules)
        assert isinstance(found, Failure)
        return found

    def close(self) -> None:
        """End all processes, and make no more."""
        with self._lock:
            self._is_closed = True
            artists, self._artists = list(self._artists.values()), OrderedDict()
            artists += [self._spare] if self._spare else []
            self._spare = None
        for artist in artists:
            artist.kill()
        for artist in artists:
            artist.close()

    def _ask(self, wanted: Wanted, rules: Protocol) -> Answer:
        while True:
            artist = self._artist(wanted.cell.suite, wanted.cell.task, rules)
            try:
                answer = artist.ask(wanted)
            except _Gone:
                self._forget(artist)
                continue
            except UserError:
                self._forget(artist)
                raise
            if isinstance(answer, Refusal):
                if not artist.is_open:
                    self._forget(artist)
                    artist.close()
                raise UserError(answer.line)
            return answer

    def _artist(self, suite: str, task: str, rules: Protocol) -> _Artist:
        table = (suite, task, rules.model_dump_json())
        dismissed = []
        with self._lock:
            if self._is_closed:
                raise UserError("the server is about to end")
            artist = self._artists.get(table)
            if artist is None:
                while len(self._artists) >= self._processes:
                    dismissed.append(self._artists.popitem(last=False)[1])
                artist = self._spare
                if artist is None or artist.suite != suite:
                    dismissed += [artist] if artist else []
                    artist = _Artist(suite)
                artist.open(task, rules)
                self._artists[table], self._spare = artist, _Artist(suite)
            self._artists.move_to_end(table)
        for one in dismissed:
            one.close()
        return artist

    def _forget(self, artist: _Artist) -> None:
        with self._lock:
            for table, one in list(self._artists.items()):
                if one is artist:
                    del self._artists[table]
