"""What this machine, or a cluster, has to run things on: cores, memory, GPUs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from wambench.errors import UserError

RESERVE_MB = 1500  # Ray's own processes, its object store and the driver
MONITOR = "RAY_memory_usage_threshold"
SOCKET_FOLDER = 107 - len("/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Node:
    """One machine. ``memory_mb``: what policies and simulators may use of it."""

    cores: int
    memory_mb: int
    gpus: int


def this_machine(memory_gb: float | None = None, gpus: int | None = None) -> Node:
    """What may be used here; ``memory_gb`` and ``gpus`` allow less of it (or another number)."""
    memory = available_mb()
    if memory_gb is not None:
        memory = min(memory, int(memory_gb * 1e9 / 2**20))
    return Node(cores(), max(0, memory - RESERVE_MB), _gpus() if gpus is None else gpus)


def cluster_nodes(nodes: Sequence[Mapping[str, Any]]) -> list[Node]:
    """What a cluster has; ``nodes`` as ``ray.nodes()`` lists them."""
    return [
        Node(
            int(node["Resources"].get("CPU", 0)),
            int(node["Resources"].get("memory", 0) / 2**20),
            int(node["Resources"].get("GPU", 0)),
        )
        for node in nodes
        if node["Alive"]
    ]


def cores() -> int:
    """Cores this process may use: its affinity's and its cgroup's, not the host's."""
    allowed = len(os.sched_getaffinity(0))
    for folder in _cgroup_folders("cpu"):
        old = _numbers(folder / "cpu.cfs_quota_us") + _numbers(folder / "cpu.cfs_period_us")
        limits = _numbers(folder / "cpu.max") or old
        if len(limits) == 2 and min(limits) > 0:
            allowed = min(allowed, max(1, limits[0] // limits[1]))
    return allowed


def available_mb() -> int:
    """Memory that is free for this process in MiB: the machine's, or less by a cgroup's limit."""
    free = psutil.virtual_memory().available
    for folder in _cgroup_folders("memory"):
        limit = _memory_limit(folder)
        used = _numbers(folder / "memory.current") or _numbers(folder / "memory.usage_in_bytes")
        if limit and used:
            # The page cache counts as used, and makes room when it is needed.
            free = min(free, limit[0] - used[0] + _page_cache(folder))
    return int(free / 2**20)


def total_mb() -> int:
    """Memory that this process may have in MiB: the machine's, or a cgroup's limit of it."""
    limits = [limit for folder in _cgroup_folders("memory") for limit in _memory_limit(folder)]
    return int(min([psutil.virtual_memory().total, *limits]) / 2**20)


def memory_pressure() -> str:
    """Why Ray's memory monitor ends processes here; empty if it does not."""
    try:
        most = float(os.environ.get(MONITOR, "0.95"))
    except ValueError:
        return ""
    used = psutil.virtual_memory().percent / 100
    if used < most:
        return ""
    return (
        f"{100 * used:.0f} % of the memory is used, and Ray's memory monitor ends every process "
        f"above {100 * most:.0f} %; free some memory, or set {MONITOR} higher"
    )


def ray_folder() -> Path | None:
    """Where Ray should keep its sockets; None: where it does by itself.

    The path of a socket has 107 bytes, of which Ray's own names take 68. Raises UserError if no
    folder is short enough.
    """
    wanted = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(os.fsencode(wanted)) <= SOCKET_FOLDER:
        return None
    for folder in (Path("/tmp"), Path("/var/tmp")):
        if os.access(folder, os.W_OK | os.X_OK):
            return folder / "ray"
    raise UserError(
        f"the temporary folder {wanted!r} is too long for Ray's sockets ({SOCKET_FOLDER} bytes "
        "at most); set RAY_TMPDIR to a shorter one"
    )


def _gpus() -> int:
    """GPUs that CUDA would show; found by the driver's own tool, without torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    tool = shutil.which("nvidia-smi")
    if tool is None or visible in ("", "-1"):
        return 0
    try:
        run = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    found = sum(line.startswith("GPU ") for line in run.stdout.splitlines())
    return min(found, len(visible.split(","))) if visible else found


def _memory_limit(folder: Path) -> tuple[int, ...]:
    """Bytes; empty without a limit."""
    return _numbers(folder / "memory.max") or _numbers(folder / "memory.limit_in_bytes")


def _cgroup_folders(controller: str) -> Iterator[Path]:
    """Folders of this process's cgroup and of those around it, in version 2 and 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = CGROUPS / controllers if controllers else CGROUPS
        inner = root / place.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder.is_dir():
                yield folder
            if folder == root:
                break


def _numbers(file: Path) -> tuple[int, ...]:
    """The whole numbers in a cgroup's file; none if it says "max" or is not there."""
    try:
        words = file.read_text().split()
    except OSError:
        return ()
    return tuple(int(word) for word in words) if words and words[0].isdigit() else ()


def _page_cache(folder: Path) -> int:
    """Bytes of inactive files that a cgroup holds."""
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    counted = dict(line.split() for line in lines)
    return int(counted.get("total_inactive_file") or counted.get("inactive_file") or 0)
