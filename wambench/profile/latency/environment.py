"""The machine while it was measured: read, never set."""

from __future__ import annotations

import platform
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Literal, Self

import psutil

from wambench.contract import Frozen
from wambench.profile.latency.nvidia import GpuReader, GpuReading, Process

READ_SECONDS = 1.0  # between two readings while something runs
MOST_READINGS = 60  # that a record keeps of what was read meanwhile


class Device(Frozen):
    """What computes.

    Attributes:
        software: torch, CUDA, threads, … as the policy's process has them.
        matmul_flops: best rate of a large matrix product in a number format, FLOP/s, measured
            before the policy; no policy can be much faster.
    """

    name: str
    kind: Literal["cpu", "gpu"]
    cpu: str
    cores: int
    memory_gb: float
    driver: str | None = None
    power_limit_w: float | None = None
    system: str
    software: Mapping[str, str]
    matmul_flops: Mapping[str, float]


class Reading(Frozen):
    """The machine at one moment. ``second``: since the audit began; ``load``: of one minute."""

    second: float
    load: float
    cpu_mhz: float | None
    gpu: GpuReading | None = None


class Environment(Frozen):
    """The machine before, while and after a policy was measured.

    Attributes:
        own_processes: of this audit that may be on the GPU.
        other_cpu_share: of all cores, taken by programs that are not this audit.
    """

    before: Reading
    during: tuple[Reading, ...]
    after: Reading
    own_processes: int
    other_cpu_share: float

    @property
    def readings(self) -> tuple[Reading, ...]:
        """All of them in order."""
        return (self.before, *self.during, self.after)

    def strangers(self) -> Iterable[Process]:
        """Processes on the GPU that are not this audit's.

        A container sees its own processes under other numbers, so while the audit runs only a
        surplus tells.
        """
        gpu = self.before.gpu
        if gpu and gpu.processes:
            return gpu.processes
        for reading in self.readings:
            if reading.gpu and len(reading.gpu.processes) > self.own_processes:
                return reading.gpu.processes[self.own_processes :]
        return ()


class Watch:
    """Reads the machine from a thread while policies, in their own processes, are measured."""

    def __init__(self, gpu: GpuReader | None, *, every_seconds: float = READ_SECONDS) -> None:
        self.gpu, self._every = gpu, every_seconds
        self._began = monotonic()
        self._others = _OtherPrograms()
        self._during: list[Reading] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.before = self.read()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def read(self) -> Reading:
        """The machine now."""
        return Reading(
            second=round(monotonic() - self._began, 2),
            load=round(psutil.getloadavg()[0], 2),
            cpu_mhz=_cpu_mhz(),
            gpu=self.gpu.read() if self.gpu else None,
        )

    def joules(self) -> float | None:
        """The GPU's energy counter, if it has one."""
        return self.gpu.joules() if self.gpu else None

    def environment(self, own_processes: int) -> Environment:
        """All that was read so far."""
        return Environment(
            before=self.before,
            during=_thinned(self._during),
            after=self.read(),
            own_processes=own_processes,
            other_cpu_share=round(self._others.share(), 3),
        )

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._during.append(self.read())


def _thinned(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """Evenly fewer readings, and of those left out the ones with most processes or throttling."""
    every = -(-len(readings) // MOST_READINGS) or 1
    kept = list(readings[::every])
    telling = [reading for reading in readings if reading.gpu]
    for weight in (_throttles, _processes):
        most = max(telling, key=weight, default=None)
        if most is not None and most not in kept:
            kept.append(most)
    return tuple(sorted(kept, key=lambda reading: reading.second))


def _throttles(reading: Reading) -> int:
    return len(reading.gpu.throttled) if reading.gpu else 0


def _processes(reading: Reading) -> int:
    return len(reading.gpu.processes) if reading.gpu else 0


class _OtherPrograms:
    """How much of the machine's cores programs use that this process did not start."""

    def __init__(self) -> None:
        self._busy, self._total = _machine_seconds()
        self._own = self._family_seconds()

    def share(self) -> float:
        """Since this was made; 0..1."""
        busy, total = _machine_seconds()
        passed = total - self._total
        if passed <= 0:
            return 0.0
        others = busy - self._busy - (self._family_seconds() - self._own)
        return min(max(others / passed, 0.0), 1.0)

    @staticmethod
    def _family_seconds() -> float:
        me = psutil.Process()
        family = [me, *me.children(recursive=True)]
        seconds = 0.0
        for process in family:
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue  # it has ended
            seconds += times.user + times.system + times.children_user + times.children_system
        return seconds


def _machine_seconds() -> tuple[float, float]:
    """CPU seconds of the whole machine since it started: busy, and all."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    counted = (times.user, times.nice, times.system, getattr(times, "irq", 0.0),
               getattr(times, "softirq", 0.0))  # fmt: skip
    return sum(counted), sum(counted) + idle


def slug(name: str) -> str:
    """A device's name as a folder's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def cpu_name() -> str:
    """The processor's model."""
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine() or "CPU"


def _cpu_mhz() -> float | None:
    try:
        found = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    return round(found.current, 1) if found and found.current else None
