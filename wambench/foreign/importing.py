"""Results of other harnesses as a run directory, so that everything that reads one reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wambench.cells import Cell, PolicyChoice, digest_of
from wambench.contract import PolicySpec
from wambench.episode import EpisodeRecord, Outcome
from wambench.errors import UserError
from wambench.foreign.places import Place
from wambench.foreign.source import Source
from wambench.passport import IMPORTED, Passport, differences
from wambench.store import STORE_NAME, Store
from wambench.trace import Trace

PROTOCOL = "imported"
NOTHING = Trace(np.zeros((0, 0)), np.zeros((1, 0)), np.zeros(1, np.uint64))  # no course was told


def import_results(sources: Mapping[str, Sequence[Source]], run: Path, command: str = "") -> int:
    """Write results as a new run, which can be reported, exported and judged, but not replayed.

    Args:
        sources: where they were read -> what was found there.
        run: folder; must not hold a run yet.
        command: that was typed, for the run's history.

    Returns:
        The number of episodes.

    Raises:
        UserError: before anything is written: a source has counts only, two are of one name, their
            known conditions differ, or the folder holds a run.
    """
    if (run / STORE_NAME).exists():
        raise UserError(f"{str(run)!r} holds a run already; name a new folder with --as")
    found = [source for several in sources.values() for source in several]
    _check(sources)
    passport = _passport(found, sources)
    cells = {source.label: _cells(source) for source in found}
    choices = [PolicyChoice(source.label, f"{PROTOCOL} {source.label}") for source in found]
    spec = PolicySpec(paradigm="unknown", about="imported results", track="external")
    with Store.write(run, command) as store:
        store.set_passport(passport)
        store.add_plan(
            [cell for one in cells.values() for cell in one.values()],
            choices,
            {source.label: spec for source in found},
        )
        for source in found:
            for place, cell in cells[source.label].items():
                if place in source.lost:
                    store.add_attempt(cell, PROTOCOL, source.lost[place], "")
                else:
                    store.add_episode(_record(cell, source, place))
    return sum(source.episodes for source in found)


def _check(sources: Mapping[str, Sequence[Source]]) -> None:
    seen: dict[str, tuple[str, Source]] = {}
    for given, several in sources.items():
        for source in several:
            if source.cells is None:
                raise UserError(
                    f"{given!r} tells how many episodes succeeded and not which; a run holds "
                    "episodes: judge it with wambench verdict"
                )
            if source.label in seen:
                raise UserError(
                    f"{seen[source.label][0]!r} and {given!r} both hold {source.label!r}; name "
                    "them: NAME=FILE"
                )
            for other, known in seen.values():
                if lines := _disagreements(known.passport, source.passport):
                    raise UserError(
                        f"{other!r} and {given!r} differ in {lines[0]}; import them into runs of "
                        "their own"
                    )
            seen[source.label] = given, source


def _disagreements(first: Passport | None, second: Passport | None) -> Sequence[str]:
    return differences(first, second) if first and second else ()


def _passport(found: Sequence[Source], sources: Mapping[str, Sequence[Source]]) -> Passport:
    """What is known of all conditions together."""
    fingerprint = {
        part: conditions
        for source in found
        if source.passport is not None
        for part, conditions in source.passport.fingerprint.items()
    }
    files = {one.label: Path(given).name for given, several in sources.items() for one in several}
    return Passport(protocol={}, fingerprint=fingerprint, info={IMPORTED: files})


def _cells(source: Source) -> Mapping[Place, Cell]:
    return {
        place: Cell(
            key=digest_of([PROTOCOL, source.label, *place]),
            policy=source.label,
            protocol=PROTOCOL,
            suite=place.suite,
            task_index=place.task_index,
            task=source.tasks.get(place[:2], str(place.task_index)),
            init_state=place.init_state,
            seed=place.seed,
        )
        for place in sorted([*(source.cells or {}), *source.lost])
    }


def _record(cell: Cell, source: Source, place: Place) -> EpisodeRecord:
    success = source.cells is not None and source.cells[place]
    fault = source.faults.get(place, "")
    outcome: Outcome = "policy_error" if fault else "success" if success else "failure"
    return EpisodeRecord(cell, outcome, 0, 0, fault, NOTHING, {})
