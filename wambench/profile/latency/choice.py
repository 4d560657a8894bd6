"""Which policies are measured, how each is made, and what its record is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wambench import plugins
from wambench.cells import PolicyChoice, digest_of
from wambench.contract import PolicySpec
from wambench.errors import UserError, did_you_mean
from wambench.policy import Policy
from wambench.profile.latency.protocol import LatencyProtocol, Mode

NOT_IN_LABELS = ("weights",)  # random or trained, it takes the same time


@dataclass(frozen=True)
class Choice:
    """A policy to measure.

    Attributes:
        label: of its record: the asked-for name, and what sets it apart.
        policy, options: how it is made, its geometry worked in.
        memory_gb: of its weights.
    """

    label: str
    policy: str
    options: Mapping[str, Any]
    spec: PolicySpec
    identity: str
    geometry: str
    preset: str | None
    memory_gb: float


def choose(
    name: str,
    options: Mapping[str, Any],
    geometry: str | None,
    mode: Mode,
    rules: LatencyProtocol,
) -> Choice:
    """Find out how a policy is made under a geometry; published ones get random weights.

    Raises:
        UserError: an unknown policy, geometry or option, or an obstacle on this machine.
    """
    plain = _plain(name, options)
    if plain.spec.track == "published":
        options = {"weights": "random", **options}
    made, given = name, dict(options)
    variants = plain.variants()
    if geometry is not None and variants:  # a policy without variants has its own geometry only
        if geometry not in variants:
            remedy = did_you_mean(geometry, variants)
            raise UserError(f"policy {name!r} has no geometry {geometry!r}; {remedy}")
        made = variants[geometry].policy
        given |= variants[geometry].options
    policy = plugins.make_policy(made, given)
    if obstacles := policy.obstacles():
        raise UserError(
            f"policy {name!r} cannot be measured here: {'; '.join(obstacles)}; "
            "mend that or leave it out"
        )
    label = _label(name, options, geometry, mode, rules)
    return Choice(
        label=label,
        policy=made,
        options=given,
        spec=policy.spec,
        identity=digest_of(PolicyChoice(label, made, given).identity(policy)),
        geometry=geometry if geometry and variants else "own",
        preset=policy.config().get("options", {}).get("preset"),
        memory_gb=policy.needs().memory_gb,
    )


def groups(choices: Sequence[Choice], capacity_gb: float) -> list[list[Choice]]:
    """Policies that fit into memory together, the first one, the reference, in every group.

    A policy that does not fit beside the reference still gets its turn with it.
    """
    reference, *others = choices
    found, taken = [[reference]], reference.memory_gb
    for choice in others:
        if len(found[-1]) > 1 and taken + choice.memory_gb > capacity_gb:
            found.append([reference])
            taken = reference.memory_gb
        found[-1].append(choice)
        taken += choice.memory_gb
    return found


def _label(
    name: str,
    options: Mapping[str, Any],
    geometry: str | None,
    mode: Mode,
    rules: LatencyProtocol,
) -> str:
    parts = [name]
    if geometry is not None:
        parts.append(geometry)
    for key, value in sorted(options.items()):
        if key not in NOT_IN_LABELS:
            parts.append(str(value) if key == "preset" else f"{key}={value}")
    if mode != "eager":
        parts.append(mode)
    if rules.variant != "full":
        parts.append(rules.variant)
    return "+".join(parts)


def _plain(name: str, options: Mapping[str, Any]) -> Policy:
    """A policy as it is without options; with them if it cannot be without (an address, say)."""
    try:
        return plugins.make_policy(name, {})
    except UserError:
        return plugins.make_policy(name, options)
