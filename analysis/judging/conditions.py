"""Whether two results were obtained under the same conditions, as far as anyone knows."""

from __future__ import annotations

from wambench.foreign import Source
from wambench.passport import ARITHMETIC, Passport, differences

POLICY = "policy:"  # of a fingerprint, before a label
UNKNOWN = "conditions unknown"
ENGINE = "engine"  # of a fingerprint: only our own runs have it, and they know all


def disagreements(first: Source, second: Source) -> list[str]:
    """A line for every condition that is known of both and differs, but for the policies' own."""
    if first.passport is None or second.passport is None:
        return []
    lines = differences(first.passport, second.passport)
    return [line for line in lines if not line.startswith((POLICY, ARITHMETIC))]


def ignorance(first: Source, second: Source) -> str:
    """What to say of conditions that nobody has compared; empty where all are known of both."""
    if first.passport is None or second.passport is None:
        return UNKNOWN
    shared = _parts(first.passport) & _parts(second.passport)
    if ENGINE in shared:
        return "" if first.probed and second.probed else "pixels not compared"
    return f"conditions known in part ({', '.join(sorted(shared))})" if shared else UNKNOWN


def _parts(passport: Passport) -> set[str]:
    return {part for part in passport.fingerprint if not part.startswith((POLICY, ARITHMETIC))}
