"""Who is asked what they imagine, and at the moments of which episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.imagination import guided
from analysis.imagination.guided import Place
from analysis.imagination.moments import Episode, TaskProcess
from analysis.imagination.study import imagines
from wambench import plugins
from wambench.cells import PolicyChoice
from wambench.errors import UserError
from wambench.protocols import Protocol
from wambench.store import Store, StoredCell


@dataclass(frozen=True)
class Asked:
    """What a study is of.

    Attributes:
        source: the run's name, or whose episodes they are.
        rules: the protocol of the episodes.
        policies: label -> choice, each of which imagines.
        episodes: label -> those at whose moments it is asked.
    """

    source: str
    rules: Protocol
    policies: Mapping[str, PolicyChoice]
    episodes: Mapping[str, Sequence[Episode]]


def of_run(run: Path, labels: Sequence[str], count: int) -> Asked:
    """Policies of a run, at moments of their own episodes: ``count`` of either outcome."""
    with Store.read(run) as store:
        rules, known, stored = store.protocol(), store.policies(), store.cells()
        chosen = _chosen({label: choice for label, (choice, _) in known.items()}, labels)
        wanted = {
            label: [
                Episode(one.cell, str(one.outcome), store.trace(one.cell.key))
                for one in _spread([s for s in stored if s.cell.policy == label], count)
            ]
            for label in chosen
        }
    for label, found in wanted.items():
        if not found:
            raise UserError(f"policy {label!r} has no finished episode in {str(run)!r}; run more")
    return Asked(run.name, rules, chosen, wanted)


def of_expert(
    names: Sequence[str], options: Mapping[str, Any], places: Sequence[Place], rules: Protocol
) -> Asked:
    """Policies by name, with options, at moments of the scripted expert's episodes."""
    chosen = {name: PolicyChoice(name, name, dict(options)) for name in names}
    for name, choice in chosen.items():
        policy = plugins.make_policy(choice.name, choice.options)
        imagines(name, policy)
        guided.check(places, name, policy.spec, rules)
        _check_runs(name, policy.obstacles())
    tasks: dict[tuple[str, int], list[Place]] = {}
    for place in places:
        tasks.setdefault((place.suite, place.task_index), []).append(place)
    episodes: list[Episode] = []
    for group in tasks.values():
        with TaskProcess() as process:
            episodes += process.run(guided.led, group, rules)
    return Asked("expert", rules, chosen, dict.fromkeys(chosen, tuple(episodes)))


def _check_runs(label: str, obstacles: Sequence[str]) -> None:
    if obstacles:
        raise UserError(
            f"policy {label!r} cannot run here: {'; '.join(obstacles)}; name others with --policy"
        )


def _chosen(known: Mapping[str, PolicyChoice], labels: Sequence[str]) -> dict[str, PolicyChoice]:
    """Named ones, each of which must imagine; without names all that do."""
    for label in labels:
        if label not in known:
            raise UserError(f"--policy {label!r} is not in this run; it has {', '.join(known)}")
    out = {}
    for label in labels or known:
        policy = plugins.make_policy(known[label].name, known[label].options)
        try:
            imagines(label, policy)
        except UserError:
            if labels:
                raise
            continue
        _check_runs(label, policy.obstacles())
        out[label] = known[label]
    if not out:
        raise UserError("no policy of this run imagines frames; run one (a world-action model)")
    return out


def _spread(cells: Sequence[StoredCell], count: int) -> Sequence[StoredCell]:
    """As many successes and as many failures, in turn of the tasks."""
    out: list[StoredCell] = []
    for outcome in ("success", "failure"):
        tasks: dict[tuple[str, int], list[StoredCell]] = {}
        for one in cells:
            if one.outcome == outcome and one.steps:
                tasks.setdefault((one.cell.suite, one.cell.task_index), []).append(one)
        deepest = max(map(len, tasks.values()), default=0)
        turns = [group[n] for n in range(deepest) for group in tasks.values() if n < len(group)]
        out += turns[:count]
    return out
