"""Serve the site on a socket until a signal comes."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from types import FrameType

import uvicorn

from analysis.viewing.artists import Artists
from analysis.viewing.site import Site


class _Server(uvicorn.Server):
    """Ends what draws at once, so that nobody waits for a frame that nobody wants any more."""

    def __init__(self, settings: uvicorn.Config, artists: Artists) -> None:
        super().__init__(settings)
        self._artists = artists

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._artists.close()
        super().handle_exit(sig, frame)


def serve(folder: Path, listening: socket.socket) -> None:
    """Serve the runs below ``folder``; returns after Ctrl-C or SIGTERM."""
    artists = Artists()
    settings = uvicorn.Config(
        Site(folder, artists).app(), log_level="warning", access_log=False, lifespan="off"
    )
    with contextlib.closing(artists), contextlib.suppress(KeyboardInterrupt):
        _Server(settings, artists).run(sockets=[listening])
