"""Under what conditions a run was made, and whether a sweep may extend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from wambench.arithmetic import Arithmetic
from wambench.errors import UserError
from wambench.passport import ARITHMETIC, Passport, SuiteProbe, make_passport, merged, refused
from wambench.store.store import Store
from wambench.sweepfile import Plan


def extended_passport(
    plan: Plan,
    store: Store,
    allow: Sequence[str],
    probes: Sequence[SuiteProbe] = (),
    arithmetic: Mapping[str, Arithmetic] = MappingProxyType({}),
) -> Passport:
    """The passport of the stored run with this plan added; raises UserError if they conflict.

    ``probes`` are empty before the simulators were opened, ``arithmetic`` (by label) before the
    policies were loaded. ``allow`` as in
    :func:`wambench.passport.refused`.
    """
    passport = make_passport(
        plan.protocol,
        list(plan.suites.values()),
        list(plan.choices.values()),
        plan.policies,
        probes,
        arithmetic,
    )
    stored = store.passport()
    if stored is None:
        return passport
    # A changed policy needs no refusal: its cells have other keys and run anew.
    conflicts = refused(_without_changed(stored, passport), passport, allow)
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


def _without_changed(stored: Passport, now: Passport) -> Passport:
    """The passport of a run without the policies that are others by now, and how those computed."""
    kept = dict(stored.fingerprint)
    for part in stored.fingerprint:
        if part.startswith("policy:") and kept[part] != now.fingerprint.get(part):
            del kept[part]
            kept.pop(ARITHMETIC + part.removeprefix("policy:"), None)
    return stored.model_copy(update={"fingerprint": kept})
