"""What a reader must know before believing a run's numbers, one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.pairing import NOT_ASKED, Asked
from analysis.report.robustness import Robustness
from analysis.report.tables import PolicyRow
from analysis.stopping import terms
from wambench.passport import Passport
from wambench.stopping import Stopping
from wambench.store import Count

FAITHFUL = ("equal", "none shipped")  # verdicts of a golden frame that need no warning


def notices(
    cells: Sequence[Count],
    asked: Asked,
    passport: Passport | None,
    stopping: Stopping | None = None,
) -> list[str]:
    """List what is wrong or unusual with a run; empty for a complete and uniform one.

    ``stopping``: the rule that the sweep was run under, if it was.
    """
    found = []
    total = sum(count.cells for count in cells)
    missing = sum(count.cells for count in cells if count.outcome is None)
    if missing == total:
        found.append(
            f"Nothing to compare yet: all {missing} cells are missing (not run yet, or failed by "
            "infrastructure)."
        )
    elif missing:
        found.append(
            f"Incomplete: {missing} of {total} cells missing (not run yet, or failed by "
            "infrastructure). No rate counts them, so rates of two policies may be of different "
            "episodes."
        )
    if stopping is not None:
        found += _ended_early(stopping)
    # Cells of a policy that the rule stopped are fewer, which the notice says.
    given = (
        asked.drop(columns=list(stopping.left) if stopping else [], errors="ignore") != NOT_ASKED
    )
    if (given.any(axis=1) & ~given.all(axis=1)).any():
        found.append(
            "The policies were not given the same cells, so their rates are not of the same "
            "episodes. Compare them task by task."
        )
    names = sorted({count.protocol for count in cells})
    if len(names) > 1:
        found.append(f"Cells of {len(names)} protocols are mixed: {', '.join(names)}.")
    if passport is None:
        found.append("No passport: no sweep of this run got as far as opening a simulator.")
    else:
        found += [
            f"Frames of {suite} differ from the reference ({facts['golden']}): policies that "
            "look at images may score differently here."
            for suite, facts in sorted(passport.info.get("probes", {}).items())
            if facts["golden"] not in FAITHFUL
        ]
        found += _arithmetic(passport)
    return found


def lacking(found: Sequence[Robustness]) -> list[str]:
    """Say where perturbed cells have nothing to be held against, and what would mend it."""
    out = []
    for family in found:
        if family.lacking:
            cells = sum(one.cells for one in family.lacking)
            wanted: dict[str, set[int]] = {}
            for one in family.lacking:
                wanted.setdefault(one.suite, set()).add(one.init_state or 0)
            spelt = ", ".join(
                f"{suite}: {{tasks: all, init_states: {sorted(states)}}}"
                for suite, states in sorted(wanted.items())
            )
            out.append(
                f"{family.title}: {cells} perturbed cells are in no drop, because the plain cells "
                f"they would be held against are not there; ask for {spelt} too, and sweep again."
            )
    return out


def _arithmetic(passport: Passport) -> list[str]:
    """By what learned policies computed: on another processor they may act otherwise."""
    ways: dict[str, list[str]] = {}
    for entry in passport.info.get("arithmetic", {}).values():
        ways.setdefault(entry["policy"], []).append(entry["how"])
    alike: dict[tuple[str, ...], list[str]] = {}
    for policy, how in ways.items():
        alike.setdefault(tuple(how), []).append(policy)
    return [
        f"Outcomes of {', '.join(policies)} are of this arithmetic: {how[0]}. Another processor "
        "rounds otherwise, and some episodes may end otherwise there."
        if len(how) == 1
        else f"Outcomes of {', '.join(policies)} are of {len(how)} arithmetics: {'; '.join(how)}."
        for how, policies in alike.items()
    ]


def tracks(policies: Sequence[PolicyRow]) -> str:
    """Say what these policies' figures can and cannot stand for."""
    by_track: dict[str, list[str]] = {}
    for row in policies:
        by_track.setdefault(row.track, []).append(row.policy)
    if set(by_track) == {"scripted"}:
        return (
            "All policies here are scripted: their figures show whether the measurement works, "
            "and say nothing of any published checkpoint."
        )
    kinds = {
        "scripted": "scripted, to check the measurement",
        "nano": "of the nano track, small models trained to compare paradigms at equal cost",
        "published": "published checkpoints",
        "external": "from elsewhere, their origin not checked",
    }
    parts = [
        f"{', '.join(by_track[track])} ({kind})"
        for track, kind in kinds.items()
        if track in by_track
    ]
    silent = " and ".join(sorted(set(by_track) & {"scripted", "nano"}))
    closing = f" Figures of {silent} policies say nothing of published checkpoints."
    return f"Compared here: {'; '.join(parts)}." + (closing if silent else "")


def _ended_early(record: Stopping) -> list[str]:
    """What the rule did, and what that means for figures that take episodes as fixed beforehand."""
    total, found = len(record.rounds.order), terms(record)
    if not record.left and found is None:
        return []
    by_rounds: dict[int, list[str]] = {}
    for label, left in record.left.items():
        by_rounds.setdefault(left.rounds, []).append(label)
    ended = "; ".join(
        f"{', '.join(labels)} after {rounds} of {total} rounds"
        for rounds, labels in sorted(by_rounds.items())
    )
    said = f"Ended early by a rule: {ended}." if ended else ""
    if found is not None:
        count = len(found.pairs)
        said += (
            f" {'One comparison' if count == 1 else f'{count} comparisons'} could end after any "
            "round (one cell of every task), by a test that may be looked at after every round: "
            f"with {100 * found.confidence:g} % confidence no better or worse is wrong, and a "
            f"difference of {100 * found.effect:g} points is found with {100 * found.power:g} %. "
            "Verdicts and p of these pairs are that test's."
        )
    caution = (
        "Rates, differences, their intervals and ranks of policies that ended early take the "
        "number of episodes as fixed beforehand: they describe what was seen, and tend to show "
        "policies further apart than they are."
    )
    return [said.strip(), *([caution] if record.left else [])]
