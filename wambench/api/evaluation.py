"""Evaluate a policy object of this process, from inside a training loop for example.

The policy stays where it is; its simulator runs in one process beside this one, where there is no
torch. Neither an entry point nor Ray is needed, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wambench import plugins
from wambench.api.arguments import plain
from wambench.api.playing import Job, play
from wambench.cells import Cell, digest_of
from wambench.episode import EpisodeRecord, Setting
from wambench.passport import Passport, known_of
from wambench.policy import Policy
from wambench.protocols import protocol as named_protocol
from wambench.sweepfile import parse
from wambench.sweepfile.choosing import choose
from wambench.sweepfile.planning import check_contract, check_rules

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Evaluation:
    """Episodes of one policy, in the order in which they were asked for.

    ``passport``: the conditions, but for what only a sweep looks at, such as pixels.
    """

    records: Sequence[EpisodeRecord]
    passport: Passport

    @property
    def successes(self) -> int:
        """Episodes that reached their goal."""
        return sum(record.outcome == "success" for record in self.records)

    @property
    def success_rate(self) -> float:
        """Of all episodes; a policy error is not a success."""
        return self.successes / len(self.records)

    def episodes(self) -> pd.DataFrame:
        """One row an episode, with the columns of :meth:`wambench.Run.episodes` but for the key."""
        import pandas as pd

        return pd.DataFrame(
            {
                "policy": record.cell.policy,
                "protocol": record.cell.protocol,
                "suite": record.cell.suite,
                "task_index": record.cell.task_index,
                "task": record.cell.task,
                "init_state": record.cell.init_state,
                "seed": record.cell.seed,
                "outcome": record.outcome,
                "steps": record.steps,
                "fault": record.fault,
                "final_digest": f"{int(record.trace.digests[-1]):016x}",
            }
            for record in self.records
        )


def evaluate(
    policy: Policy,
    suite: str,
    tasks: int | str | Sequence[int | str] = "all",
    init_states: int | str | Sequence[int] | Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    protocol: str = "wambench-1",
    protocol_changes: Mapping[str, Any] | None = None,
    label: str | None = None,
    on_episode: Callable[[EpisodeRecord], None] = lambda record: None,
) -> Evaluation:
    """Run a policy on cells of a suite, one after the other.

    The same cells give the same outcomes as a sweep of the policy would.

    Args:
        policy: loaded; ``reset`` and ``act`` are called in this thread.
        suite: its name.
        tasks: as in a sweep file: numbers, names, "0-4", "all".
        init_states: as in a sweep file; None: the protocol's.
        seeds: the same.
        protocol: name of a preset.
        protocol_changes: fields of it that are to be others.
        label: what tables call the policy; None: the name of its class.
        on_episode: called after each.

    Raises:
        UserError: what a sweep file would be refused for; a suite that cannot be opened here.
        InfrastructureFailure: the simulator's process died or raised.
    """
    asked = {"policies": ["policy"], "suites": {suite: {"tasks": plain(tasks)}}}
    given = {"init_states": init_states, "seeds": seeds}
    asked |= {name: plain(value) for name, value in given.items() if value is not None}
    sweep = parse(asked, "evaluate")
    rules = named_protocol(protocol, protocol_changes)
    offered = plugins.make_suite(suite)
    label = label or type(policy).__name__
    check_rules(offered.spec, rules)
    check_contract(label, policy.spec, offered.spec, rules)
    places, _ = choose(sweep, {suite: offered}, rules)
    jobs = []
    for place in places:
        for seed in rules.seeds if sweep.seeds is None else sweep.seeds:
            key = digest_of([label, suite, place.task.name, place.state, seed])
            cell = Cell(
                key, label, rules.name, suite, place.task.index, place.task.name, place.state, seed
            )
            setting = Setting(rules, offered.spec, policy.spec, place.task.start(place.state))
            jobs.append(Job(cell, setting))
    records = []
    for record in play(policy, jobs):
        on_episode(record)
        records.append(record)
    conditions = Passport(
        protocol=rules.model_dump(mode="json"), fingerprint=known_of([offered]), info={}
    )
    return Evaluation(records, conditions)
