"""Wall seconds of an episode, by stage."""

from __future__ import annotations

from time import perf_counter


class Stopwatch:
    """Adds up wall seconds by stage."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._sums: dict[str, float] = {}
        self._stage = ""
        self.last_s = 0.0  # of the block that ended last

    def __call__(self, stage: str) -> Stopwatch:
        """Choose the stage that the next ``with`` block is charged to."""
        self._stage = stage
        return self

    def __enter__(self) -> None:
        self._since = perf_counter()

    def __exit__(self, *_: object) -> None:
        self.last_s = perf_counter() - self._since
        self._sums[self._stage] = self._sums.get(self._stage, 0.0) + self.last_s

    def totals(self) -> dict[str, float]:
        """Seconds by stage, and ``total``."""
        return self._sums | {"total": perf_counter() - self._began}
