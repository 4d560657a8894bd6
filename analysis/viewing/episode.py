"""What the page of an episode shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.viewing import choosing, spelling
from analysis.viewing.choosing import Choice
from analysis.viewing.kinds import Kind, KindsOf
from analysis.viewing.runs import UNREADABLE, Run, Runs
from wambench import plugins
from wambench.errors import UserError
from wambench.store import Store, StoredCell


@dataclass(frozen=True)
class Shown:
    """One episode.

    Attributes:
        run: where it is stored.
        stored: the episode.
        kind: what went wrong; None if nothing did.
        film, replay: commands.
    """

    run: Run
    stored: StoredCell
    kind: Kind | None
    film: str
    replay: str

    @property
    def address(self) -> Mapping[str, str]:
        """The parameters that name it."""
        return {"of": self.run.id, "key": self.stored.cell.key}


@dataclass(frozen=True)
class Scene:
    """What the suite says of an episode.

    Attributes:
        cameras: that can be drawn.
        hz: control steps a second.
        instruction: what the robot is told, in clean words; empty if the suite is not installed.
        problem: why it cannot be drawn; else empty.
    """

    cameras: Sequence[str] = ()
    hz: float = 20.0
    instruction: str = ""
    problem: str = ""


def read(run: Run, key: str, kinds: KindsOf) -> Shown:
    """An episode of a run; UserError if it has none of this key."""
    with run.open() as store:
        return _shown(run, cell_of(store, key), kinds)


def cell_of(store: Store, key: str) -> StoredCell:
    """The cell of this key; UserError if there is none."""
    found = store.cells([key])
    if not found:
        raise UserError(f"no episode {key!r} in {str(store.folder)!r}; go back to the list")
    return found[0]


def _shown(run: Run, stored: StoredCell, kinds: KindsOf) -> Shown:
    return Shown(
        run,
        stored,
        kinds(run).of(stored),
        spelling.of_film(run.folder, stored.cell),
        spelling.of_replay(run.folder, stored.cell),
    )


def scene(shown: Shown) -> Scene:
    """What is known of the place without opening it."""
    cell = shown.stored.cell
    try:
        suite = plugins.make_suite(cell.suite)
        task = next((one for one in suite.tasks() if one.name == cell.task), None)
    except UserError as error:
        return Scene(problem=str(error))
    told = task.instruction if task is not None else ""
    if task is not None and 0 <= cell.init_state < task.init_states:
        told = task.start(cell.init_state).instruction
    problem = ""
    if shown.stored.outcome is None:
        problem = "This cell has no episode yet."
    elif task is None:
        problem = f"The installed {cell.suite} has no task {cell.task!r}; install its version."
    return Scene(suite.spec.cameras, suite.spec.control_hz, told, problem)


def rivals(runs: Runs, shown: Shown, kinds: KindsOf) -> Sequence[Shown]:
    """Other episodes on the same task, initial state and seed, those of the same run first."""
    cell, found = shown.stored.cell, list[Shown]()
    for run in sorted(runs.all().values(), key=lambda run: run.id != shown.run.id):
        try:
            if (cell.suite, cell.task_index) in runs.offer(run).tasks:
                with run.open() as store:
                    found += [_shown(run, one, kinds) for one in choosing.same_place(store, cell)]
        except UNREADABLE:  # the list says so
            continue
    return [one for one in found if one.address != shown.address]


def neighbour(runs: Runs, choice: Choice, shown: Shown, kinds: KindsOf, step: int) -> str:
    """Parameters of the next (``step`` 1) or previous (-1) episode that fits; empty: none does."""
    order = [run for run in runs.all().values() if not choice.run or run.id == choice.run]
    if step < 0:
        order.reverse()
    ids = [run.id for run in order]
    if shown.run.id not in ids:
        return ""
    for run in order[ids.index(shown.run.id) :]:
        start = shown.stored.cell if run.id == shown.run.id else None
        try:
            with run.open() as store:
                key = choosing.beside(store, choice, kinds(run), start, step)
        except UNREADABLE:
            continue
        if key is not None:
            return choice.link(of=run.id, key=key)
    return ""
