"""The pages and frames behind their addresses. Nothing here writes; nothing leaves the machine."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from analysis.viewing import episode, listing
from analysis.viewing.artists import Artists
from analysis.viewing.choosing import Choice
from analysis.viewing.drawing import Frame, Why
from analysis.viewing.kinds import UNEXPLAINED, KindsOf
from analysis.viewing.readings import DAMAGE, Studies
from analysis.viewing.runs import UNREADABLE, Runs, told
from analysis.viewing.tapes import Tape, Tapes
from wambench.errors import UserError

HOSTS = ("127.0.0.1", "localhost")
"""Names under which the page may be asked for: another would be a stranger's that points here."""
GUARD = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' blob: data:; script-src 'self'; "
    "style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
ALWAYS_ANEW = {"Cache-Control": "no-store"}
KEEP = {"Cache-Control": "private, max-age=3600"}  # a cell's frames never change


class Site:
    """Everything that is served of a folder.

    Args:
        folder: runs are looked for in it and below.
        artists: draw the frames.
    """

    def __init__(self, folder: Path, artists: Artists) -> None:
        self._runs, self._artists = Runs(folder), artists
        self._kinds, self._tapes, self._studies = KindsOf(), Tapes(), Studies(folder)

    def app(self) -> Starlette:
        """As an ASGI application."""
        return Starlette(
            routes=[
                Route("/", self.list_page),
                Route("/episode", self.episode_page),
                Route("/frame", self.frame),
                Route("/why", self.why),
                Route("/view.css", self.style),
                Route("/view.js", self.script),
            ],
            middleware=[
                Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
            ],
            exception_handlers={UserError: self._refuse, HTTPException: self._refuse},
        )

    # -- pages -----------------------------------------------------------------------------

    def list_page(self, request: Request) -> Response:
        """The episodes that fit a choice, and the runs there are."""
        choice = Choice.read(request.query_params)
        page = request.query_params.get("page", "1")
        found = listing.find(self._runs, choice, self._kinds, page)
        answer = self._page("list.html", found=found, choice=choice)
        if found.rows:  # its task is opened while the list is looked at
            first, likely = found.rows[0], bool(choice.task)
            place = first.run.id, first.stored.cell.key
            answer.background = BackgroundTask(self._expect, *place, likely=likely)
        return answer

    def episode_page(self, request: Request) -> Response:
        """One episode, and on request another one on the same cell beside it."""
        asked = request.query_params
        choice = Choice.read(asked)
        shown = self._shown(asked.get("of", ""), asked.get("key", ""))
        other = None
        if asked.get("beside"):
            key, _, run = asked["beside"].partition("@")
            other = self._shown(run or shown.run.id, key)
            if other.stored.cell.place[1:] != shown.stored.cell.place[1:]:
                raise UserError("these two episodes are not of the same cell; choose on the page")
        self._expect(shown.run.id, shown.stored.cell.key, likely=True)
        scene = episode.scene(shown)
        camera = asked.get("camera", "")
        return self._page(
            "episode.html",
            choice=choice,
            shown=shown,
            other=other,
            scene=scene,
            camera=camera if camera in scene.cameras else next(iter(scene.cameras), ""),
            step=_number(asked.get("step", "")),
            studies=self._studies.of(shown.stored.cell),
            reads=asked.get("reads", ""),
            rivals=episode.rivals(self._runs, shown, self._kinds),
            before=episode.neighbour(self._runs, choice, shown, self._kinds, -1),
            after=episode.neighbour(self._runs, choice, shown, self._kinds, 1),
            unexplained=UNEXPLAINED,
        )

    # -- what a page asks for --------------------------------------------------------------

    def frame(self, request: Request) -> Response:
        """A moment of an episode as a camera shows it, JPEG; with ``reads`` under what is read.

        Where that cannot be said the frame comes as it is, and a header tells why.
        """
        asked = request.query_params
        try:
            run, key = self._runs.get(asked.get("of", "")), asked.get("key", "")
            tape = self._tapes.get(run, key)
            step, camera = _number(asked.get("step", "")), asked.get("camera", "")
            cameras = tape.cameras()
            if camera not in cameras:
                raise UserError(f"no camera {camera!r}; there are {', '.join(cameras)}")
            if step >= len(tape.snapshots):
                raise UserError(f"no step {step}; there are 0 to {len(tape.snapshots) - 1}")
            drawn = self._artists.draw(_frame(tape, step, camera), step, tape.rules)
            note = ""
            if asked.get("reads"):
                try:
                    drawn = self._laid(tape, step, camera, asked["reads"], drawn)
                except UserError as error:
                    note = str(error)
        except UNREADABLE as error:
            return _told(error)
        headers = GUARD | KEEP | ({"Note": quote(note)} if note else {})
        return Response(drawn, media_type="image/jpeg", headers=headers)

    def _laid(self, tape: Tape, step: int, camera: str, reads: str, drawn: bytes) -> bytes:
        """A frame under what is read; ``reads``: ``READER@STUDY``."""
        reader, _, name = reads.rpartition("@")
        study = self._studies.get(tape.cell, name, reader)
        at = min(study.decision(step), len(tape.snapshots) - 1)
        try:
            decided = self._artists.draw(_frame(tape, at, camera), at, tape.rules)
            if not study.shows(decided, camera, at):
                raise UserError(
                    f"the study saw another picture at step {at}: another course, or rendering"
                )
            return study.over(drawn, reader, camera, at)
        except DAMAGE as error:
            raise UserError(f"the study {name!r} cannot be read: {told(error)}") from None

    def why(self, request: Request) -> Response:
        """Why an episode failed, found now; nothing of it is kept."""
        asked = request.query_params
        try:
            run = self._runs.get(asked.get("of", ""))
            tape = self._tapes.get(run, asked.get("key", ""))
            found = self._artists.explain(Why(tape.cell, tape.snapshots), tape.rules)
        except UNREADABLE as error:
            return _told(error)
        content = {"label": found.label, "step": found.step, "evidence": found.evidence}
        return JSONResponse(content, headers=GUARD | ALWAYS_ANEW)

    def style(self, request: Request) -> Response:
        """The look of the report, and what these pages need beyond it."""
        text = self._source("page.css") + self._source("view.css")
        return Response(text, media_type="text/css", headers=GUARD | ALWAYS_ANEW)

    def script(self, request: Request) -> Response:
        """What moves."""
        text = self._source("view.js")
        return Response(text, media_type="text/javascript", headers=GUARD | ALWAYS_ANEW)

    # -- their parts -----------------------------------------------------------------------

    @cached_property
    def _templates(self) -> Environment:
        places = [PackageLoader(f"analysis.{room}", "") for room in ("viewing", "report")]
        return Environment(
            loader=ChoiceLoader(places),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
            auto_reload=False,
        )

    def _source(self, name: str) -> str:
        assert self._templates.loader is not None
        return self._templates.loader.get_source(self._templates, name)[0]

    def _page(self, template: str, status: int = 200, **parts: Any) -> Response:
        text = self._templates.get_template(template).render(folder=self._runs.folder, **parts)
        return HTMLResponse(text, status, headers=GUARD | ALWAYS_ANEW)

    def _shown(self, run_id: str, key: str) -> episode.Shown:
        run = self._runs.get(run_id)
        try:
            return episode.read(run, key, self._kinds)
        except UNREADABLE as error:
            raise UserError(told(error)) from None

    def _expect(self, run_id: str, key: str, *, likely: bool) -> None:
        """Begin to open an episode's task; one that is not ``likely`` only if none is open yet."""
        try:
            tape = self._tapes.get(self._runs.get(run_id), key)
            if tape.cameras():
                self._artists.expect(tape.cell.suite, tape.cell.task, tape.rules, likely=likely)
        except UNREADABLE:  # who asks for a frame is told
            return

    def _refuse(self, request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return self._page("problem.html", error.status_code, line=error.detail)
        return self._page("problem.html", 404, line=str(error))


def _told(error: Exception) -> Response:
    return PlainTextResponse(told(error), 404, headers=GUARD | ALWAYS_ANEW)


def _frame(tape: Tape, step: int, camera: str) -> Frame:
    return Frame(tape.cell, tape.snapshots[step], camera, tape.waits[step])


def _number(text: str) -> int:
    """What a link says, or 0."""
    return int(text) if text.isdecimal() and len(text) < 7 else 0
