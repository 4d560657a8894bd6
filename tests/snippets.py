"""A process that runs snippets of code one after the other: LIBERO is loaded once, not per test.

``python -m tests.snippets`` reads a snippet and its arguments as JSON a line, and answers with
what it printed or why it failed.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def in_simulators_process(code: str, *arguments: str) -> Any:
    """Run a snippet that prints JSON last, in the one process of this worker for simulators."""
    process = _process()
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps([code, arguments]) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer, f"the process of the simulators died: {process.wait()}"
    printed, failed = json.loads(answer)
    assert not failed, failed
    return json.loads(printed.strip().splitlines()[-1])


CALL = """
import importlib, json, sys
module, name, arguments = json.loads(sys.argv[1])
print(json.dumps(getattr(importlib.import_module(module), name)(*arguments)))
"""


def called_in_simulators_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of a module there; arguments and result are what JSON can hold."""
    call = json.dumps([function.__module__, function.__name__, arguments])
    return in_simulators_process(CALL, call)


@functools.cache
def _process() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.snippets"]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print
    for line in sys.stdin:
        code, arguments = json.loads(line)
        sys.argv, printed, failed = ["snippet", *arguments], io.StringIO(), ""
        try:
            with contextlib.redirect_stdout(printed):
                exec(code, {"__name__": "snippet"})
        except Exception:
            failed = traceback.format_exc()
        gc.collect()  # simulators hold gigabytes
        print(json.dumps([printed.getvalue(), failed]), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
