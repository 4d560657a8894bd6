"""What ``wambench remote check`` finds out: whether a server can be asked, and what that takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from wambench.errors import InfrastructureFailure, PolicyFault, UserError
from wambench.profile.acting import start_of
from wambench.profile.observations import observations
from wambench.wire.remote.policy import RemotePolicy

WARM_UP, LOOKS = 2, 10
EPISODE = "check"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``fits`` None: it cannot be told."""

    what: str
    fits: bool | None
    found: str


def check(options: dict[str, Any]) -> Iterator[Finding]:
    """Look at everything that can be looked at; ends early with what makes the rest moot."""
    try:
        policy = RemotePolicy(**options)
    except UserError as error:
        yield Finding("says what it serves", False, str(error))
        return
    spec = policy.spec
    terms = f"{', '.join([*spec.cameras, *spec.proprio])} -> {spec.horizon} actions"
    by = f"preset {policy.options.preset}" if policy.options.preset else "the server itself"
    yield Finding("what is agreed", True, f"by {by}: {terms}, pictures {spec.image_size}")
    try:
        policy.load()
    except (UserError, InfrastructureFailure) as error:
        yield Finding("answers as agreed", False, str(error))
        return
    yield Finding(
        "answers as agreed", True, f"chunks of {spec.horizon} x {policy.terms.wire.action.dim}"
    )
    yield _identity(policy)
    if policy.repeats:
        yield Finding("repeats itself", True, "the same answer to the same question")
    else:
        yield Finding(
            "repeats itself", None, "no: unrepeatable, so no replay of its cells can agree, and "
            "a change of what is served cannot be seen",
        )  # fmt: skip
    yield from _times(policy)


def _identity(policy: RemotePolicy) -> Finding:
    try:
        return Finding("identity", True, policy.fingerprint()["identity"])
    except UserError as error:
        return Finding("identity", False, str(error))


def _times(policy: RemotePolicy) -> Iterator[Finding]:
    for seen in observations(policy.spec, WARM_UP + LOOKS):
        if seen.step == 0:
            policy.reset(start_of(policy.spec, seen, EPISODE))
        try:
            policy.act([seen])
        except (PolicyFault, InfrastructureFailure) as error:
            yield Finding("keeps answering", False, str(error))
            return
    took = policy.measured(seen.episode)
    policy.forget(seen.episode)
    for name, unit in (("encode", "ms"), ("round_trip", "ms"), ("decode", "ms"), ("claimed", "ms")):
        value = median(took[f"wire_{name}_{unit}"][WARM_UP:])
        said = "nothing" if value != value else f"{value:.2f} {unit}, median of {LOOKS} looks"
        yield Finding(name.replace("_", " "), None, said)
    sent, received = (took[f"wire_{way}_bytes"][-1] for way in ("sent", "received"))
    yield Finding("bytes a look", None, f"{sent:.0f} out, {received:.0f} in")
