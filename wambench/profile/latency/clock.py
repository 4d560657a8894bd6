"""Clocks: of the host, and of a CUDA device by its own events."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns, process_time_ns
from typing import Any, Protocol

Call = Callable[[], object]


@dataclass(frozen=True)
class Timed:
    """One call, in milliseconds.

    Attributes:
        wall_ms: by the host's clock, from a device at rest to a device at rest.
        cpu_ms: that this process computed, all threads; None where the work is another process's.
        device_ms: between two events on the device's stream; None without such a device.
    """

    wall_ms: float
    cpu_ms: float | None = None
    device_ms: float | None = None


class Marks(Protocol):
    """Points in time within one call, read when it is over: reading in between would slow it."""

    def mark(self) -> None:
        """Note that this point was reached."""

    def spans_ms(self) -> list[float]:
        """Milliseconds between neighbouring marks."""


class Clock(Protocol):
    """Times whole calls and parts of calls."""

    has_device: bool

    def synchronise(self) -> None:
        """Wait until the device is at rest."""

    def time(self, call: Call) -> Timed:
        """Time one call, with one wait before and one after."""

    def marks(self) -> Marks:
        """Begin to time the parts of a call."""


class HostClock:
    """For a policy that computes on the CPU, or that is watched from outside."""

    has_device = False

    def synchronise(self) -> None:
        """Nothing runs behind the host's back."""

    def time(self, call: Call) -> Timed:
        """Time one call by wall and CPU."""
        self.synchronise()
        cpu, wall = process_time_ns(), perf_counter_ns()
        call()
        self.synchronise()
        wall, cpu = perf_counter_ns() - wall, process_time_ns() - cpu
        return Timed(wall / 1e6, cpu / 1e6)

    def marks(self) -> Marks:
        """CPU time, since another program's turn is none of the stage's time."""
        return _HostMarks()


class _HostMarks:
    def __init__(self) -> None:
        self._points: list[int] = []

    def mark(self) -> None:
        self._points.append(process_time_ns())

    def spans_ms(self) -> list[float]:
        pairs = zip(self._points, self._points[1:], strict=False)
        return [(after - before) / 1e6 for before, after in pairs]


class CudaClock:
    """For a policy that computes on the current CUDA device, on the current stream."""

    has_device = True

    def __init__(self) -> None:
        import torch

        self._cuda = torch.cuda

    def synchronise(self) -> None:
        """Wait for all streams."""
        self._cuda.synchronize()

    def time(self, call: Call) -> Timed:
        """Time one call by device events and by the host."""
        begin, end = self._event(), self._event()
        self.synchronise()
        cpu, wall = process_time_ns(), perf_counter_ns()
        begin.record()
        call()
        end.record()
        self.synchronise()
        wall, cpu = perf_counter_ns() - wall, process_time_ns() - cpu
        return Timed(wall / 1e6, cpu / 1e6, float(begin.elapsed_time(end)))

    def marks(self) -> Marks:
        """Events, recorded without waiting."""
        return _CudaMarks(self._event, self.synchronise)

    def _event(self) -> Any:
        return self._cuda.Event(enable_timing=True)


class _CudaMarks:
    def __init__(self, event: Callable[[], Any], synchronise: Call) -> None:
        self._event, self._synchronise = event, synchronise
        self._points: list[Any] = []

    def mark(self) -> None:
        event = self._event()
        event.record()
        self._points.append(event)

    def spans_ms(self) -> list[float]:
        self._synchronise()
        pairs = zip(self._points, self._points[1:], strict=False)
        return [float(before.elapsed_time(after)) for before, after in pairs]


def clock_of_this_process() -> Clock:
    """The device's clock if this process has used one, else the host's."""
    torch = sys.modules.get("torch")
    return CudaClock() if torch is not None and torch.cuda.is_initialized() else HostClock()
