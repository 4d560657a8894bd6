"""Run the command line as a user does: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-c", "from wambench.cli import main; main()"]


def wambench(*arguments: str | Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run ``wambench ARGUMENTS`` to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def sweep(file: Path, content: str, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Write a sweep file and run it; asserts success."""
    file.write_text(content)
    result = wambench("sweep", file, "--out", out, *options)
    assert result.returncode == 0, result.stderr
    return result


def episodes_csv(run: Path) -> bytes:
    """The run's deterministic table, as bytes."""
    file = run.parent / f"{run.name}-episodes.csv"
    result = wambench("export", run, "--episodes", file)
    assert result.returncode == 0, result.stderr
    return file.read_bytes()
