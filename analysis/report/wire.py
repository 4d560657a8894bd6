"""What every look took at policies that another process served, by the clock of the asking side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wambench.arithmetic import UNREPEATABLE
from wambench.passport import Passport
from wambench.store import Store

PREFIX = "wire_"
ELSEWHERE = "policy, over the wire"  # the stage
KB = 1000


@dataclass(frozen=True)
class WireRow:
    """One policy; medians over looks, in milliseconds and kilobytes.

    Attributes:
        round_trip_p90_ms: of sending a question until its answer is there.
        claimed_ms: what the server says it computed; None: it says nothing.
        transport_ms: round trip less that, look by look.
        repeats: whether the server answers the same question alike; None: not known.
    """

    policy: str
    looks: int
    encode_ms: float
    round_trip_ms: float
    round_trip_p90_ms: float
    decode_ms: float
    claimed_ms: float | None
    transport_ms: float | None
    sent_kb: float
    received_kb: float
    repeats: bool | None


def wire_rows(store: Store, order: Sequence[str], passport: Passport | None) -> list[WireRow]:
    """A row of every policy that measured its looks, in this order."""
    found = store.measurements(PREFIX)
    if not found:
        return []
    owner = {known.cell.key: known.cell.policy for known in store.cells(found)}
    by_policy: dict[str, dict[str, list[float]]] = {}
    for key, numbers in found.items():
        own = by_policy.setdefault(owner[key], {})
        for name, values in numbers.items():
            own.setdefault(name.removeprefix(PREFIX), []).extend(values)
    return [_row(label, by_policy[label], passport) for label in order if label in by_policy]


def _row(label: str, looks: Mapping[str, Sequence[float]], passport: Passport | None) -> WireRow:
    trip, claimed = (np.array(looks[name]) for name in ("round_trip_ms", "claimed_ms"))
    says = bool(np.isfinite(claimed).any())
    return WireRow(
        policy=label,
        looks=len(trip),
        encode_ms=float(np.median(looks["encode_ms"])),
        round_trip_ms=float(np.median(trip)),
        round_trip_p90_ms=float(np.percentile(trip, 90)),
        decode_ms=float(np.median(looks["decode_ms"])),
        claimed_ms=float(np.nanmedian(claimed)) if says else None,
        transport_ms=float(np.nanmedian(trip - claimed)) if says else None,
        sent_kb=float(np.median(looks["sent_bytes"])) / KB,
        received_kb=float(np.median(looks["received_bytes"])) / KB,
        repeats=_repeats(label, passport),
    )


def _repeats(label: str, passport: Passport | None) -> bool | None:
    told = passport.info.get("arithmetic", {}) if passport else {}
    asked = [name for name, one in told.items() if one.get("policy") == label]
    return not any(name.endswith(UNREPEATABLE) for name in asked) if asked else None


def marked(stages: Mapping[str, float], is_remote: bool) -> dict[str, float]:
    """Stages of a policy's episodes: what passed over a wire stands in a column of its own."""
    return {(ELSEWHERE if is_remote and k == "policy" else k): v for k, v in stages.items()}
