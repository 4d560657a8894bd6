"""The ``wambench`` command: the top floor, which finds policies, suites and commands by entry point."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import typer

from wambench import plugins
from wambench.cli import doctor, listing, runs, sweep
from wambench.errors import UserError

app = typer.Typer(
    name="wambench",
    help="Compare image-editing WAMs, video WAMs and VLAs on the same episodes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, function in {
    "sweep": sweep.sweep,
    "merge": runs.merge,
    "export": runs.export,
    "suites": listing.suites,
    "policies": listing.policies,
    "protocols": listing.list_protocols,
    "doctor": doctor.doctor,
}.items():
    app.command(name)(function)


def main() -> None:
    """Run the command line; exit code 2 for bad input, 130 for Ctrl-C."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        for name in plugins.installed(plugins.COMMANDS):
            if name in sys.argv[1:2] or sys.argv[1:2] in ([], ["--help"], ["-h"]):
                app.command(name)(plugins.load(plugins.COMMANDS, "command", name))
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None


def _as_interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
