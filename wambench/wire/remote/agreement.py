"""What both sides take for granted before the first question: by a preset, or by the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from wambench.contract import PolicySpec
from wambench.errors import UserError, one_line
from wambench.wire.presets import WirePreset
from wambench.wire.remote.address import Address
from wambench.wire.remote.options import RemoteOptions
from wambench.wire.remote.presets import PEERS, Gripper, peer
from wambench.wire.remote.session import Terms


@dataclass(frozen=True)
class Agreement:
    """``spec``: what wambench is to know; ``claimed``: what a server of wambench says of itself."""

    spec: PolicySpec
    terms: Terms
    claimed: Mapping[str, Any] = field(default_factory=dict)


def by_preset(options: RemoteOptions, name: str, max_batch: int) -> Agreement:
    """As a preset has it; UserError for an unknown one, or one of another protocol."""
    known = peer(name, options.url[0].protocol)
    spec = known.spec(options.horizon, max_batch)
    terms = Terms(known.wire, known.gripper, spec.horizon, False, options.unnorm_key)
    return Agreement(spec, terms)


def by_server(claimed: Mapping[str, Any], options: RemoteOptions, max_batch: int) -> Agreement:
    """As a server says it (``claimed``; empty of other servers).

    Raises:
        UserError: it is no server of wambench, or one of another version.
    """
    address: Address = options.url[0]
    if not claimed:
        listed = ", ".join(name for name, p in PEERS.items() if p.protocol == address.protocol)
        raise UserError(
            f"policy 'remote': {address} does not say what it serves; name a preset ({listed})"
        )
    try:
        spec = PolicySpec.model_validate(claimed.get("spec"))
        wire = WirePreset.model_validate(claimed.get("preset"))
    except ValidationError as error:
        raise UserError(
            f"policy 'remote': {address} says what this wambench cannot read "
            f"({one_line(error)}); let both be of one version"
        ) from None
    # It is sent the cameras that it reads; the state is one vector, so all of that or nothing.
    read = {name: key for name, key in wire.images.items() if name in spec.cameras}
    wire = wire.model_copy(update={"images": read, "state": wire.state if spec.proprio else ()})
    proprio = tuple(name for name, _ in wire.state)
    changes = {"max_batch": max_batch, "num_gpus": 0, "proprio": proprio}
    gripper: Gripper = "as_is"
    if address.protocol == "starvla":  # whose chunks are executed whole
        changes["horizon"] = min(spec.replan_steps or spec.horizon, spec.horizon)
        gripper = "one_opens"
    spec = spec.model_copy(update=changes)
    return Agreement(spec, Terms(wire, gripper, spec.horizon, True, options.unnorm_key), claimed)
