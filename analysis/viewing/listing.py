"""A page of the list of episodes, over all runs of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.viewing import choosing, spelling
from analysis.viewing.choosing import OUTCOMES, ROWS, Choice
from analysis.viewing.kinds import KINDS, Kind, KindsOf
from analysis.viewing.runs import UNREADABLE, Offer, Run, Runs, told
from wambench.store import StoredCell


@dataclass(frozen=True)
class Row:
    """An episode of the list. ``link``: the parameters of its page."""

    run: Run
    stored: StoredCell
    kind: Kind | None
    link: str


@dataclass(frozen=True)
class Found:
    """A page of the list.

    Attributes:
        rows: episodes.
        total: how many fit, on all pages.
        page, pages: from 1 on.
        offers: run id -> what it offers.
        problems: run id -> why it cannot be read.
        options: name of a filter -> its values.
        commands: run id -> what shows that run, for those whose episodes are wanted.
        explain: commands that would explain failures of these rows.
    """

    rows: Sequence[Row]
    total: int
    page: int
    pages: int
    offers: Mapping[str, Offer]
    problems: Mapping[str, str]
    options: Mapping[str, Sequence[str]]
    commands: Mapping[str, Sequence[str]]
    explain: Sequence[str]


def find(runs: Runs, choice: Choice, kinds: KindsOf, page: str) -> Found:
    """Count what fits, and read one page of it."""
    offers, problems = runs.offers()
    problems = dict(problems)
    wanted = [runs.get(name) for name in offers if choice.run in ("", name)]
    counts: dict[str, int] = {}
    for run in wanted:
        try:
            if choice == Choice(run=choice.run):
                counts[run.id] = offers[run.id].cells
            elif _may_fit(choice, offers[run.id]):
                with run.open() as store:
                    counts[run.id] = choosing.count(store, choice, kinds(run))
        except UNREADABLE as error:
            problems[run.id] = told(error)
    total = sum(counts.values())
    pages = max(1, -(-total // ROWS))
    number = min(max(int(page), 1), pages) if page.isdecimal() and len(page) < 10 else 1
    rows = _rows(runs, choice, kinds, counts, (number - 1) * ROWS, problems)
    lacking = {row.run.id: row.run for row in rows if row.kind and not row.kind.evidence}
    return Found(
        rows=rows,
        total=total,
        page=number,
        pages=pages,
        offers=offers,
        problems=problems,
        options=_options(offers, choice),
        commands={run.id: spelling.of_run(run.folder) for run in wanted if choice.run},
        explain=[spelling.of_kinds(run.folder) for run in lacking.values()],
    )


def _may_fit(choice: Choice, offer: Offer) -> bool:
    tasks = {f"{suite}/{number}" for suite, number in offer.tasks}
    return (not choice.policy or choice.policy in offer.policies) and (
        not choice.task or choice.task in tasks
    )


def _rows(
    runs: Runs,
    choice: Choice,
    kinds: KindsOf,
    counts: Mapping[str, int],
    start: int,
    problems: dict[str, str],
) -> Sequence[Row]:
    rows: list[Row] = []
    for name, many in counts.items():
        if start < many and len(rows) < ROWS:
            run = runs.get(name)
            try:
                with run.open() as store:
                    some = choosing.some(store, choice, kinds(run), start, ROWS - len(rows))
            except UNREADABLE as error:
                problems[name] = told(error)
                some = []
            for stored in some:
                link = choice.link(of=name, key=stored.cell.key)
                rows.append(Row(run, stored, kinds(run).of(stored), link))
        start = max(start - many, 0)
    return rows


def _options(offers: Mapping[str, Offer], choice: Choice) -> Mapping[str, Sequence[str]]:
    """Of the run that is chosen, else of all; what a link asks for is always among them."""
    chosen = [offer for name, offer in offers.items() if choice.run in ("", name)]
    tasks = dict.fromkeys(task for offer in chosen for task in sorted(offer.tasks))
    found = {
        "run": list(offers),
        "policy": list(dict.fromkeys(label for offer in chosen for label in offer.policies)),
        "task": [f"{suite}/{number}" for suite, number in tasks],
        "outcome": list(OUTCOMES),
        "kind": list(KINDS),
    }
    for name, values in found.items():
        asked = getattr(choice, name)
        if asked and asked not in values:
            values.append(asked)
    return found
