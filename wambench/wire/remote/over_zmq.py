"""A ZMQ socket to a server: every wait has a limit, every failure one line that names the peer."""

from __future__ import annotations

import itertools
import math
import threading
from time import monotonic
from typing import Any

from wambench.errors import UserError
from wambench.wire.limits import CLIENT_BYTES, told
from wambench.wire.remote.address import Address
from wambench.wire.remote.line import OPEN_SECONDS, Line

NUMBERS = itertools.count()  # of all sockets' events; pyzmq's own names of them may be taken twice


class ZmqConnection(Line):
    """A socket of the kind REQ, which ends when its server goes.

    ZMQ would connect again unasked, to whatever listens there by then; so it may not. Threads take
    turns, as a socket of ZMQ's that is closed while another thread waits ends the process.
    """

    def __init__(self, address: Address, token: str | None, timeout: float) -> None:
        """Connect. UserError where pyzmq is not installed."""
        super().__init__(address, token, timeout)
        try:
            import zmq
            from zmq.utils.monitor import recv_monitor_message
        except ImportError:
            raise UserError(
                f"{address} is asked over ZMQ, and pyzmq is not installed; "
                "pip install 'wambench[gr00t]'"
            ) from None
        self._zmq, self._read_event = zmq, recv_monitor_message
        self._turn = threading.RLock()
        self._reached = self._ready = self._gone = False
        self._socket: Any = zmq.Context.instance().socket(zmq.REQ)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._socket.setsockopt(zmq.IPV6, int(":" in address.host))
        self._socket.setsockopt(zmq.MAXMSGSIZE, CLIENT_BYTES)
        self._events: Any = self._socket.get_monitor_socket(addr=f"inproc://events-{next(NUMBERS)}")
        try:
            self._socket.connect(f"tcp://{address.authority}")
        except zmq.ZMQError as error:
            raise self._failure(f"cannot be reached ({told(error)})") from None
        self._wait(min(OPEN_SECONDS, timeout), until_ready=True)
        if self._ready and not self._gone:
            return
        if self._reached:
            raise self._failure("is no ZMQ server; is it a policy server, and the port its own?")
        raise self._failure("cannot be reached" if self._gone else "does not take connections")

    def send(self, message: bytes) -> None:
        """Send a message."""
        with self._turn:
            try:
                self._socket.send(message, self._zmq.NOBLOCK)
            except self._zmq.ZMQError as error:
                raise self._failure(f"closed the connection ({told(error)})") from None

    def receive(self) -> bytes:
        """The next message, within ``timeout`` seconds."""
        with self._turn:
            if not self._wait(self.timeout):
                if self._gone:
                    raise self._failure("closed the connection without a word")
                raise self._failure(f"sent nothing for {self.timeout:g} s")
            first, *more = self._socket.recv_multipart()
        if more:
            raise self.failure(f"{1 + len(more)} parts instead of one", first)
        return bytes(first)

    def close(self) -> None:
        """End it; may be done twice."""
        with self._turn:
            self._gone = True
            if not self._socket.closed:
                self._socket.disable_monitor()
                self._events.close()
                self._socket.close()

    @property
    def closed(self) -> bool:
        """Whether it has ended at either side."""
        with self._turn:
            if not self._gone:
                self._note_events()
            return self._gone

    def _wait(self, seconds: float, until_ready: bool = False) -> bool:
        """Wait for a message (or until a ZMQ server is there); whether it came."""
        poller, end = self._zmq.Poller(), monotonic() + seconds
        for one in (self._socket, self._events):
            poller.register(one, self._zmq.POLLIN)
        while not self._gone and not (until_ready and self._ready):
            left = end - monotonic()
            if left <= 0:
                return False
            came = dict(poller.poll(math.ceil(1000 * left)))
            if self._socket in came:
                return True
            self._note_events()
        return self._ready and not self._gone

    def _note_events(self) -> None:
        """Learn what became of the connection since it was last asked."""
        zmq = self._zmq
        while self._events.poll(0):
            event = self._read_event(self._events)["event"]
            self._reached |= event == zmq.EVENT_CONNECTED
            self._ready |= event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            self._gone |= event in (zmq.EVENT_CLOSED, zmq.EVENT_DISCONNECTED)
