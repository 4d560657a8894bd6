"""Run the command line as a user does, in a process of its own, and read what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from wambench.store import Store, episodes_frame, export_table

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
    with Store.read(run) as store:
        export_table(episodes_frame(store), file)
    return file.read_bytes()


def in_process(code: str, *arguments: str) -> Any:
    """Run a snippet that prints JSON last, in a process of its own: one environment a process."""
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.strip().splitlines()[-1])
