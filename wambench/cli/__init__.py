"""The ``wambench`` command: the top floor, which finds everything below by entry point."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import typer

from wambench import plugins
from wambench.cli import (
    audit,
    conforming,
    doctor,
    episodes,
    exporting,
    importing,
    inventory,
    listing,
    remote,
    runs,
    serving,
    sweep,
)
from wambench.errors import UserError

# Typer carries click's exceptions under a private name; all of a user's mistakes share this base.
UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    name="wambench",
    help="Compare image-editing WAMs, video WAMs and VLAs on the same episodes.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: dict[str, Callable[..., None]] = {
    "sweep": sweep.sweep,
    "merge": runs.merge,
    "export": exporting.export,
    "import": importing.import_,
    "replay": episodes.replay,
    "video": episodes.video,
    "serve": serving.serve,
    "conformance": conforming.conformance,
    "suites": listing.suites,
    "policies": listing.policies,
    "protocols": listing.list_protocols,
    "doctor": doctor.doctor,
}
for name, function in COMMANDS.items():
    app.command(name)(function)
app.add_typer(audit.app, name="audit")
app.add_typer(inventory.app, name="runs")
app.add_typer(remote.app, name="remote")


def main() -> None:
    """Run the command line; exit code 2 and one line for bad input, 130 for Ctrl-C."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character of a name must not cost a command its end.
            stream.reconfigure(errors="backslashreplace")
    try:
        _add_plugins(app, plugins.COMMANDS, sys.argv[1:2])
        if sys.argv[1:2] == ["audit"]:
            _add_plugins(audit.app, plugins.AUDITS, sys.argv[2:3])
        code = app(sys.argv[1:] or ["--help"], prog_name="wambench", standalone_mode=False)
        if code == 130:
            raise KeyboardInterrupt
        raise SystemExit(code)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except UsageError as error:
        message = error.format_message().rstrip(".")
        path = error.ctx.command_path if error.ctx else app.info.name
        print(f"error: {message}; see {path} --help", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None


def _add_plugins(group: typer.Typer, kind: str, first: list[str]) -> None:
    """Load the plug-in command that is called, or for the help all that can be loaded."""
    for name in plugins.installed(kind):
        if first == [name]:
            _add(group, name, plugins.load(kind, "command", name))
        elif first in ([], ["--help"], ["-h"]):
            with contextlib.suppress(UserError):  # a broken plug-in says so when it is called
                _add(group, name, plugins.load(kind, "command", name))


def _add(group: typer.Typer, name: str, command: Any) -> None:
    """Hang a plug-in's command, a function or a group of them, under ``group``."""
    if isinstance(command, typer.Typer):
        group.add_typer(command, name=name)
    else:
        group.command(name)(command)


def _as_interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
