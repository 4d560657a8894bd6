"""The watchdog of a whole sweep: it says what is waited for, and ends what waits for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from wambench.errors import UserError
from wambench.sweeping.machine import memory_pressure

SAY_SECONDS = 20.0  # then after twice as long each time


class Watch:
    """Told of everything that moves; speaks up when nothing does."""

    def __init__(self, limit_seconds: float, note: Callable[[str], None]) -> None:
        self._limit, self._note = limit_seconds, note
        self._since, self._next = monotonic(), SAY_SECONDS

    def moved(self, at: float | None = None) -> None:
        """Something moved, now or ``at`` a time of the monotonic clock."""
        now = monotonic() if at is None else at
        if at is None or now > self._since:
            self._since, self._next = now, SAY_SECONDS

    def look(self, waiting_for: Sequence[str]) -> None:
        """Say what is waited for if it is time; raises UserError after the limit."""
        still = monotonic() - self._since
        if not waiting_for or still < min(self._next, self._limit):
            return
        what = ", ".join(waiting_for[:3])
        more = f" and {len(waiting_for) - 3} more" if len(waiting_for) > 3 else ""
        why = memory_pressure()
        if still >= self._limit:
            remedy = why or "wambench doctor and ray status tell what is missing"
            raise UserError(
                f"nothing has moved for {still:.0f} s; waiting for {what}{more}: {remedy}; what is "
                f"finished is stored. If it only needs longer, raise --wait-seconds "
                f"{self._limit:.0f}"
            )
        self._next *= 2
        self._note(f"waiting for {what}{more} since {still:.0f} s" + (f": {why}" if why else ""))
