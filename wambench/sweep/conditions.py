"""Under what conditions a run was made, and whether a sweep may extend it."""

from __future__ import annotations

from collections.abc import Sequence

from wambench.errors import UserError
from wambench.passport import Passport, SuiteProbe, make_passport, merged, refused
from wambench.store.store import Store
from wambench.sweepfile import Plan


def extended_passport(
    plan: Plan, store: Store, allow: Sequence[str], probes: Sequence[SuiteProbe] = ()
) -> Passport:
    """The passport of the stored run with this plan added; raises UserError if they conflict.

    ``probes`` are empty before the simulators were opened. ``allow`` as in
    :func:`wambench.passport.refused`.
    """
    passport = make_passport(
        plan.protocol,
        list(plan.suites.values()),
        list(plan.choices.values()),
        plan.policies,
        probes,
    )
    stored = store.passport()
    if stored is None:
        return passport
    # A changed policy needs no refusal: its cells have other keys and run anew.
    conflicts = refused(_without_policies(stored), _without_policies(passport), allow)
    if conflicts:
        raise UserError(
            f"{str(store.folder)!r} was made under other conditions: {'; '.join(conflicts)}; "
            f"choose another --out, or add --allow-mismatch {conflicts[0].split(': ')[0]}"
        )
    return merged(stored, passport)


def pixel_warnings(probes: Sequence[SuiteProbe]) -> list[str]:
    """One line per suite whose golden frames differ here."""
    return [
        f"warning: {probe.suite} does not look as on the reference machine ({probe.golden}); "
        f"here: {', '.join(f'{k} {v}' for k, v in probe.environment.items())}. "
        "Recorded in the passport"
        for probe in probes
        if probe.golden not in ("equal", "none shipped")
    ]


def _without_policies(passport: Passport) -> Passport:
    kept = {k: v for k, v in passport.fingerprint.items() if not k.startswith("policy:")}
    return passport.model_copy(update={"fingerprint": kept})
