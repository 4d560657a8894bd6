"""The command: listen on the loopback address and serve until Ctrl-C."""

from __future__ import annotations

import socket
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from wambench.errors import UserError

LOOPBACK = "127.0.0.1"


def command(
    folder: Annotated[
        Path, typer.Argument(help="Runs are looked for in it and in folders below.")
    ] = Path("runs"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8010,
    opens: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = False,
) -> None:
    """Look through the episodes of runs in a browser, until Ctrl-C. Nothing is written.

    Only programs of this machine can reach the page.

    Example: wambench view runs
    """
    if not folder.is_dir():
        raise UserError(f"no folder {str(folder)!r}; name one that holds runs")
    from analysis.viewing.serving import serve  # and what else a help does not need

    try:
        listening = socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise UserError(
            f"cannot listen on {LOOPBACK}:{port}: {error.strerror}; choose another --port"
        ) from None
    with listening:
        address = f"http://{LOOPBACK}:{listening.getsockname()[1]}/"
        print(f"{folder} on {address}; Ctrl-C ends", flush=True)
        if opens:
            webbrowser.open(address)
        serve(folder, listening)
    print("stopped")
