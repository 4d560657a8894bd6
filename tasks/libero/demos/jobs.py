"""What there is to convert: a run's successful episodes, task by task, and how to draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from tasks.libero.demos.files import stored_attributes, stored_cells
from tasks.libero.demos.recording import Episode
from tasks.libero.offers import RENDERINGS
from tasks.libero.suite import LiberoSuite
from wambench import plugins
from wambench.cells import digest_of
from wambench.contract import Frozen
from wambench.errors import UserError, did_you_mean
from wambench.passport import Passport
from wambench.protocols import Protocol
from wambench.store import Store, StoredCell
from wambench.suite import Task

LAYOUT_VERSION = 1  # raised when the same episodes and options would make another file
TAKEOVER_VERSION = 2  # raised when the expert takes over at other moments
TRAIN_INIT_STATES = range(30)  # the benchmark's others, 30 to 49, are kept for evaluation


class Look(Frozen):
    """Which frames are drawn and how; sizes are (height, width) in pixels."""

    rendering: str
    render_size: tuple[int, int]
    image_size: tuple[int, int]
    draw_every: int = Field(default=1, ge=1, description="control steps from a frame to the next")

    def check(self) -> None:
        """Raise UserError for what no simulator draws."""
        if self.rendering not in RENDERINGS:
            raise UserError(
                f"unknown rendering {self.rendering!r}; {did_you_mean(self.rendering, RENDERINGS)}"
            )
        if self.render_size < self.image_size:
            drawn, kept = self.render_size[0], self.image_size[0]
            raise UserError(
                f"--render-size {drawn} is smaller than --size {kept}; use at least --render-size "
                f"{kept}"
            )


@dataclass(frozen=True)
class Job:
    """One file to make.

    ``rules``: the run's protocol with the images of the look. ``takeover``: the episodes failed,
    and the expert is to take over where they erred.
    """

    suite: str
    task: Task
    episodes: Sequence[Episode]
    rules: Protocol
    path: Path
    attributes: Mapping[str, Any]
    takeover: bool = False
    draw_every: int = 1

    @property
    def steps(self) -> int:
        """Control steps of all episodes."""
        return sum(len(episode.actions) for episode in self.episodes)

    @property
    def done(self) -> bool:
        """Whether the file is there, complete, and made from the same."""
        return stored_attributes(self.path).get("source_hash") == self.attributes["source_hash"]


def plan(
    run: Path,
    out: Path,
    look: Look,
    policy: str | None,
    most: int | None,
    held_out: bool,
    takeover: bool = False,
) -> list[Job]:
    """Read a run and say what to make of it in ``out``, at most ``most`` episodes of a task.

    ``takeover``: of failed episodes, all policies' unless one is named, instead of one's successes.

    Raises:
        UserError: the run has nothing to convert, or ``out`` holds something else.
    """
    look.check()
    with Store.read(run) as store:
        passport = store.passport()
        if passport is None:
            raise UserError(f"{str(run)!r} has no episode yet; run its sweep first")
        rules = _rules(run, passport, look)
        chosen = _failed(store, run, policy) if takeover else _succeeded(store, run, policy)
        _refuse_held_out(run, chosen, held_out)
        by_task: dict[tuple[str, str], list[StoredCell]] = {}
        for stored in chosen:
            by_task.setdefault((stored.cell.suite, stored.cell.task), []).append(stored)
        origin = {"run": run.resolve().name, "passport": passport.id}
        suites = {name: _suite(name, passport) for name, _ in by_task}
        jobs = []
        for (name, task), cells in by_task.items():
            episodes = [_episode(store, stored, takeover) for stored in cells[:most]]
            file = out / name / f"{task}_demo.hdf5"
            jobs.append(_job(suites[name], task, episodes, rules, look, origin, file, takeover))
    _check_out(out, look, jobs)
    return jobs


def _rules(run: Path, passport: Passport, look: Look) -> Protocol:
    try:
        drawn = look.model_dump(exclude={"draw_every"})
        return Protocol.model_validate({**passport.protocol, **drawn})
    except ValidationError:
        raise UserError(
            f"{str(run)!r}: another version of wambench wrote this run's protocol; sweep again"
        ) from None


def _succeeded(store: Store, run: Path, policy: str | None) -> list[StoredCell]:
    labels = list(store.policies())
    if policy is None and len(labels) == 1:
        policy = labels[0]
    if policy not in labels:
        found = f"no policy {policy!r} in this run" if policy else "--policy is missing"
        raise UserError(f"{found}; name one of {', '.join(labels)}")
    chosen = [c for c in store.cells() if c.cell.policy == policy and c.outcome == "success"]
    if not chosen:
        raise UserError(
            f"{str(run)!r} has no successful episode of {policy!r}; there is nothing to show"
        )
    return chosen


def _failed(store: Store, run: Path, policy: str | None) -> list[StoredCell]:
    labels = list(store.policies())
    if policy is not None and policy not in labels:
        raise UserError(f"no policy {policy!r} in this run; name one of {', '.join(labels)}")
    chosen = [
        c for c in store.cells() if c.outcome == "failure" and policy in (None, c.cell.policy)
    ]
    if not chosen:
        raise UserError(f"{str(run)!r} has no failed episode; there is nothing to correct")
    return chosen


def _refuse_held_out(run: Path, chosen: Sequence[StoredCell], allowed: bool) -> None:
    beyond = sorted({c.cell.init_state for c in chosen} - set(TRAIN_INIT_STATES))
    if beyond and not allowed:
        raise UserError(
            f"{str(run)!r} has episodes of init states {beyond[0]} to {beyond[-1]}: those from "
            f"{TRAIN_INIT_STATES.stop} on are kept for evaluation; sweep init_states 0-"
            f"{TRAIN_INIT_STATES.stop - 1} for training, or add --held-out for other uses"
        )


def _episode(store: Store, stored: StoredCell, takeover: bool) -> Episode:
    trace = store.trace(stored.cell.key)
    snapshots = trace.snapshots if takeover else None
    return Episode(stored.cell, trace.actions, trace.digests, snapshots)


def _suite(name: str, passport: Passport) -> LiberoSuite:
    """The suite, if it is LIBERO's and the same as when the run was made."""
    suite = plugins.make_suite(name)
    if not isinstance(suite, LiberoSuite):
        raise UserError(
            f"suite {name!r} is not LIBERO's, and demonstrations are in its layout; write a "
            "LeRobot data set with 'wambench export RUN --lerobot FOLDER'"
        )
    then = passport.fingerprint.get(f"suite:{name}", {})
    for package, version in suite.fingerprint().items():
        if then.get(package) != version:
            raise UserError(
                f"the run was made with {package} {then.get(package)}, here is {version}: its "
                f"episodes cannot be replayed; install {package}=={then.get(package)}"
            )
    return suite


def _job(
    suite: LiberoSuite,
    task: str,
    episodes: Sequence[Episode],
    rules: Protocol,
    look: Look,
    origin: Mapping[str, Any],
    path: Path,
    takeover: bool,
) -> Job:
    name = suite.spec.name
    known = next((t for t in suite.tasks() if t.name == task), None)
    if known is None:
        raise UserError(f"the installed {name} has no task {task!r}; sweep again")
    experts = dict(suite.privileged_fingerprint(["expert_action"]))
    source = digest_of(
        {
            "layout": LAYOUT_VERSION,
            # Files made before there was a draw_every stay known.
            "look": look.model_dump(mode="json", exclude_defaults=True),
            "orientation": rules.orientation,
            "instruction": known.instruction,
            "experts": experts,
            "episodes": [[e.cell.key, f"{int(e.digests[-1]):016x}"] for e in episodes],
            **({"takeover": TAKEOVER_VERSION} if takeover else {}),
        }
    )
    attributes = {
        "suite": name,
        "task": task,
        "instruction": known.instruction,
        "orientation": "opengl",
        **look.model_dump(),
        "policy": ", ".join(sorted({episode.cell.policy for episode in episodes})),
        "protocol": rules.name,
        "experts": experts["experts"],
        "wambench": metadata.version("wambench"),
        "source_hash": source,
        **origin,
    }
    return Job(name, known, episodes, rules, path, attributes, takeover, look.draw_every)


def _check_out(out: Path, look: Look, jobs: Sequence[Job]) -> None:
    """Refuse a folder with files of another look, of other episodes, or of somebody else."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {str(out)!r} is a file; name a folder")
    for file in sorted(out.glob("*/[!.]*.hdf5")):
        there = _look_of(stored_attributes(file))
        if there is None:
            raise UserError(f"{str(file)!r} was not written by this command; choose another --out")
        if there != look:
            raise UserError(
                f"--out {str(out)!r} holds frames of --rendering {there.rendering} --render-size "
                f"{there.render_size[0]} --size {there.image_size[0]} --draw-every "
                f"{there.draw_every}; choose another --out"
            )
    for job in jobs:
        # A file may grow when its run did, but is never replaced by one that holds less.
        if stored_cells(job.path) - {episode.cell.key for episode in job.episodes}:
            raise UserError(
                f"{str(job.path)!r} holds episodes that would not be in it; choose another --out"
            )


def _look_of(attributes: Mapping[str, Any]) -> Look | None:
    try:
        return Look.model_validate({n: attributes[n] for n in Look.model_fields if n in attributes})
    except ValidationError:
        return None
