"""``wambench demos``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tasks.libero.demos.jobs import Job, Look, plan
from tasks.libero.suite import LiberoSuite
from wambench.cli.output import Json, print_json
from wambench.errors import UserError
from wambench.sweeping.machine import RESERVE_MB, available_mb, cores


def command(
    out: Annotated[Path, typer.Option(help="Folder for the files; made or continued.")],
    run: Annotated[
        Path | None, typer.Argument(help="A run directory, of the policy demonstrator say.")
    ] = None,
    erred: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="A run of policies: the expert takes over where they erred.",
        ),
    ] = None,
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side of the frames, pixels.")] = 64,
    render_size: Annotated[
        int, typer.Option(min=16, max=1024, help="Side of what is drawn and then made smaller.")
    ] = 128,
    rendering: Annotated[str, typer.Option(help="exact, lean or coarse.")] = "coarse",
    draw_every: Annotated[
        int, typer.Option(min=1, help="Control steps from a frame to the next; 1: LIBERO's layout.")
    ] = 1,
    policy: Annotated[
        str | None, typer.Option(help="Whose episodes, if the run has several policies.")
    ] = None,
    max_per_task: Annotated[
        int | None, typer.Option(min=1, help="At most this many episodes of a task.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Simulator processes.")] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Allow init states kept for evaluation (30-49).")
    ] = False,
    json: Json = False,
) -> None:
    """Write a run's successful episodes as demonstrations, in LIBERO's HDF5 layout.

    Every episode is replayed and compared with what is stored, to the last bit. Frames are made
    as an evaluation with the same rendering, render_size and image_size makes them. The same
    command goes on where it was stopped. With --from they are what the expert does from where
    failed episodes went wrong, of all policies unless --policy names one.

    Example: wambench demos runs/demos --out data/demos64
    """
    if (run is None) == (erred is None):
        raise UserError("name one run, as RUN for its successes or as --from RUN for its failures")
    look = Look(
        rendering=rendering,
        render_size=(render_size, render_size),
        image_size=(size, size),
        draw_every=draw_every,
    )
    source = run or erred
    assert source is not None
    jobs = plan(source, out, look, policy, max_per_task, held_out, takeover=erred is not None)
    waiting = [job for job in jobs if not job.done]
    number = _workers(waiting, workers)
    _make(out)
    result = _convert(waiting, number, quiet=json)
    found: dict[str, Any] = {
        "out": str(out), "files": len(jobs), "known": len(jobs) - len(waiting), **result
    }  # fmt: skip
    if json:
        print_json(found)
    else:
        print(_summary(found, out, jobs))
    if lost := result["lost"]:
        raise UserError(
            f"{len(lost)} of {len(jobs)} files are missing; the same command tries them again. "
            f"First: {lost[0]}"
        )


def _workers(jobs: list[Job], wanted: int | None) -> int:
    """How many simulators run at once; raises UserError if they do not fit into memory."""
    if not jobs:
        return 0
    each = LiberoSuite(jobs[0].suite).spec.memory_mb
    available = available_mb()
    fit = (available - RESERVE_MB) // each
    if fit < (wanted or 1):
        raise UserError(
            f"not enough memory for {wanted or 1} simulators of {each} MiB beside {RESERVE_MB} MiB "
            f"for Ray: {available} MiB are available; "
            + (f"use --workers {fit}" if fit > 0 else "free some")
        )
    return min(wanted or cores(), fit, len(jobs))


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write to {str(out)!r}: {error.strerror}; choose another --out"
        ) from None


def _convert(jobs: list[Job], workers: int, quiet: bool) -> dict[str, Any]:
    if not jobs:
        return {"written": 0, "lost": []}
    from tasks.libero.demos.conversion import Watch, convert  # imports Ray: a second
    from wambench.sweeping.cluster import RayDied, kept_off_stdout

    with Watch(sum(job.steps for job in jobs), quiet) as watch, kept_off_stdout():
        try:
            done = convert(jobs, workers, watch)
        except RayDied as error:
            raise UserError(
                f"Ray failed: {error}; complete files stay, the same command goes on from there"
            ) from None
    frames = done.spent.frames
    return {
        "written": done.files,
        "lost": list(done.lost),
        "frames_per_second": round(frames / done.wall_seconds, 1),
        "draw_seconds_per_1000_frames": round(1000 * done.spent.draw_seconds / max(frames, 1), 2),
        **{name: round(seconds, 1) for name, seconds in asdict(done.spent).items()},
    }


def _summary(found: dict[str, Any], out: Path, jobs: list[Job]) -> str:
    lines = [f"{found['written']} files written, {found['known']} known, in {out}"]
    if found["written"]:
        megabytes = sum(job.path.stat().st_size for job in jobs if job.path.exists()) / 1e6
        lines.append(
            f"{found['demos']} demonstrations of {found['steps']} steps, {megabytes:.0f} MB in all"
        )
        lines.append(
            f"{found['frames']} frames, {found['frames_per_second']} a second; drawing took "
            f"{found['draw_seconds_per_1000_frames']} s of CPU time per 1,000 frames, "
            f"everything else {found['other_seconds']} s"
        )
    return "\n".join(lines)
