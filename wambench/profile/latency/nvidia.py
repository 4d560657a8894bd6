"""What an NVIDIA GPU says of itself, through pynvml or nvidia-smi; nothing is ever set."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from wambench.contract import Frozen

# Bits of NVML's "clocks event reasons". The harmless ones: an idle GPU, clocks that an
# administrator chose, boards that keep step, a display.
THROTTLING = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
TIMEOUT_SECONDS = 20

Ask = Callable[[Sequence[str]], str]
"""Runs nvidia-smi with arguments and returns what it prints; OSError if it cannot."""


class Process(Frozen):
    """A process that computes on the GPU."""

    pid: int
    name: str
    memory_mb: float | None


class GpuReading(Frozen):
    """A GPU at one moment; None: it does not say."""

    sm_mhz: float | None
    memory_mhz: float | None
    temperature_c: float | None
    power_w: float | None
    utilisation: float | None  # per cent
    throttled: tuple[str, ...]
    processes: tuple[Process, ...]


@dataclass(frozen=True)
class GpuCard:
    """What does not change."""

    name: str
    driver: str
    memory_gb: float
    power_limit_w: float | None


class GpuReader(Protocol):
    """Reads one GPU."""

    def card(self) -> GpuCard:
        """Name, driver, memory, power limit."""

    def read(self) -> GpuReading:
        """Its state now."""

    def joules(self) -> float | None:
        """Energy used since the driver was loaded; None: it does not count."""


def find_reader() -> GpuReader | None:
    """A reader of the GPU that CUDA would use; None on a machine without one."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if visible in ("", "-1"):
        return None
    try:
        return NvmlReader(visible)
    except Exception:  # pynvml is not installed, or finds no driver: its errors are its own
        pass
    try:
        return SmiReader(visible)
    except (OSError, ValueError):
        return None


class NvmlReader:
    """Reads through pynvml."""

    def __init__(self, visible: str, nvml: Any = None) -> None:
        self._nvml = nvml = nvml or importlib.import_module("pynvml")
        nvml.nvmlInit()
        self._handle = (
            nvml.nvmlDeviceGetHandleByIndex(int(visible))
            if visible.isdigit()
            else nvml.nvmlDeviceGetHandleByUUID(visible)
        )

    def card(self) -> GpuCard:
        """Name, driver, memory, power limit."""
        milliwatts = self._get("PowerManagementLimit")
        return GpuCard(
            name=_text(self._nvml.nvmlDeviceGetName(self._handle)),
            driver=_text(self._nvml.nvmlSystemGetDriverVersion()),
            memory_gb=self._nvml.nvmlDeviceGetMemoryInfo(self._handle).total / 1e9,
            power_limit_w=None if milliwatts is None else milliwatts / 1000,
        )

    def read(self) -> GpuReading:
        """Its state now."""
        nvml = self._nvml
        milliwatts, rates = self._get("PowerUsage"), self._get("UtilizationRates")
        reasons = self._get("CurrentClocksThrottleReasons")
        return GpuReading(
            sm_mhz=self._get("ClockInfo", nvml.NVML_CLOCK_SM),
            memory_mhz=self._get("ClockInfo", nvml.NVML_CLOCK_MEM),
            temperature_c=self._get("Temperature", nvml.NVML_TEMPERATURE_GPU),
            power_w=None if milliwatts is None else milliwatts / 1000,
            utilisation=None if rates is None else rates.gpu,
            throttled=_throttled(reasons or 0),
            processes=tuple(
                Process(
                    pid=found.pid,
                    name=self._process_name(found.pid),
                    memory_mb=found.usedGpuMemory / 2**20 if found.usedGpuMemory else None,
                )
                for found in self._get("ComputeRunningProcesses") or ()
            ),
        )

    def joules(self) -> float | None:
        """Energy used since the driver was loaded."""
        millijoules = self._get("TotalEnergyConsumption")
        return None if millijoules is None else millijoules / 1000

    def _get(self, what: str, *arguments: Any) -> Any:
        """One reading; None where this GPU does not support it."""
        try:
            return getattr(self._nvml, f"nvmlDeviceGet{what}")(self._handle, *arguments)
        except (self._nvml.NVMLError, AttributeError):
            return None

    def _process_name(self, pid: int) -> str:
        try:
            return _text(self._nvml.nvmlSystemGetProcessName(pid))
        except self._nvml.NVMLError:
            return "?"


class SmiReader:
    """Reads through the command nvidia-smi, which has no energy counter."""

    def __init__(self, visible: str, ask: Ask | None = None) -> None:
        self._device, self._ask = visible, ask or _nvidia_smi
        self._reasons = "clocks_event_reasons.active"
        try:
            self._query(self._reasons)
        except OSError:  # as drivers before 535 call it
            self._reasons = "clocks_throttle_reasons.active"
        self._card = self._read_card()

    def card(self) -> GpuCard:
        """Name, driver, memory, power limit."""
        return self._card

    def read(self) -> GpuReading:
        """Its state now."""
        sm, memory, temperature, power, utilisation, reasons = self._query(
            "clocks.sm", "clocks.mem", "temperature.gpu", "power.draw", "utilization.gpu",
            self._reasons,
        )  # fmt: skip
        bits = int(reasons, 16) if reasons.startswith("0x") else 0
        return GpuReading(
            sm_mhz=_number(sm),
            memory_mhz=_number(memory),
            temperature_c=_number(temperature),
            power_w=_number(power),
            utilisation=_number(utilisation),
            throttled=_throttled(bits),
            processes=tuple(self._processes()),
        )

    def joules(self) -> float | None:
        """Not to be had from nvidia-smi."""
        return None

    def _read_card(self) -> GpuCard:
        name, driver, memory, limit = self._query(
            "name", "driver_version", "memory.total", "power.limit"
        )
        total = _number(memory) or 0.0
        return GpuCard(name, driver, total * 2**20 / 1e9, _number(limit))

    def _processes(self) -> list[Process]:
        fields = "--query-compute-apps=pid,process_name,used_memory"
        found = []
        for line in self._lines(fields):
            pid, rest = line.split(",", 1)
            name, memory = rest.rsplit(",", 1)
            found.append(Process(pid=int(pid), name=name.strip(), memory_mb=_number(memory)))
        return found

    def _query(self, *fields: str) -> list[str]:
        """One value a field; OSError if it does not know one."""
        lines = self._lines(f"--query-gpu={','.join(fields)}")
        values = [value.strip() for value in lines[0].split(",")] if lines else []
        if len(values) != len(fields):
            raise OSError(f"nvidia-smi answered {lines} to {fields}")
        return values

    def _lines(self, query: str) -> list[str]:
        said = self._ask(["-i", self._device, query, "--format=csv,noheader,nounits"])
        return [line for line in said.splitlines() if line.strip()]


def _nvidia_smi(arguments: Sequence[str]) -> str:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise FileNotFoundError("no nvidia-smi")
    try:
        done = subprocess.run(
            [tool, *arguments], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True
        )
    except subprocess.SubprocessError as error:
        raise OSError(str(error)) from error
    return done.stdout


def _throttled(bits: int) -> tuple[str, ...]:
    return tuple(name for bit, name in THROTTLING.items() if bits & bit)


def _number(said: str) -> float | None:
    """A number, or None for "[N/A]" and the like."""
    try:
        return float(said)
    except ValueError:
        return None


def _text(said: str | bytes) -> str:
    """Some versions of pynvml give bytes."""
    return said.decode() if isinstance(said, bytes) else said
