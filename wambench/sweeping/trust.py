"""Policies that live elsewhere have to show first that they can be asked at all.

A wrong preset, a server that refuses every request: all episodes would end at their first look, as
policy errors, which are never tried again. Until one of its episodes has moved the robot such an
end is charged to the connection, and the third in a row ends the sweep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from wambench.episode import EpisodeRecord
from wambench.errors import UserError

MOST = 3  # first looks that may fail
KIND = "first look"  # of the attempts
POLICY_KINDS = ("policy process", "policy stalled")


class Trust:
    """Which policies have yet to show it."""

    def __init__(self, labels: Iterable[str]) -> None:
        """``labels``: of policies that live elsewhere and have no episode so far."""
        self._new = set(labels)
        self._failed: Counter[str] = Counter()

    def ended(self, record: EpisodeRecord) -> bool:
        """Whether an episode counts; if not, it is an attempt of kind ``KIND``.

        Raises:
            UserError: it was the third one.
        """
        label = record.cell.policy
        if label not in self._new:
            return True
        if record.steps or record.outcome != "policy_error":
            self._new.discard(label)
            return True
        self.failed(label, record.fault)
        return False

    def failed(self, label: str, why: str) -> None:
        """Note that an episode could not ask its policy; raises UserError for the third."""
        if label not in self._new:
            return
        self._failed[label] += 1
        if self._failed[label] == MOST:
            raise UserError(
                f"policy {label!r}: its first {MOST} episodes all ended at the first look: {why}; "
                "mend the server or the preset (wambench remote check), then run the same "
                "command again"
            )
