"""What a verdict is given as: every pair, how many succeeded, and the same as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analysis.judging.judge import Judgement
from analysis.statistics import CONFIDENCE, Trend, rate_interval
from wambench.cli.output import table_text
from wambench.foreign import Source


@dataclass(frozen=True)
class Answer:
    """Sources, a judgement for every two of them, and, if it was asked for, their trend."""

    sources: Sequence[Source]
    judgements: Sequence[Judgement]
    trend: Trend | None = None

    @property
    def winner(self) -> str | None:
        """Label of the one that is better than each other; None: there is none."""
        for source in self.sources:
            own = [j for j in self.judgements if source.label in (j.first, j.second)]
            if all(one.winner == source.label for one in own):
                return source.label
        return None

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "sources": [_counts(source) for source in self.sources],
            "verdicts": [asdict(one) | {"text": one.text} for one in self.judgements],
            "trend": None if self.trend is None else asdict(self.trend),
        }

    def tables(self) -> Sequence[Sequence[Mapping[str, str]]]:
        """Rows of the sources, and rows of the judgements."""
        return [_row(source) for source in self.sources], [_words(one) for one in self.judgements]

    def trend_text(self) -> str:
        """One line; empty if it was not asked for."""
        found = self.trend
        if found is None:
            return ""
        if found.p_value > 1 - CONFIDENCE:
            said = "no trend is shown"
        else:
            said = "success rises" if found.z > 0 else "success falls"
        return f"in the order given: {said} (z {found.z:+.2f}, p {found.p_value:.3g})"

    def __str__(self) -> str:
        parts = [table_text(rows, list(rows[0])) for rows in self.tables()]
        return "\n".join(filter(None, (*parts, self.trend_text())))


def _counts(source: Source) -> dict[str, Any]:
    low, high = rate_interval(source.successes, source.episodes)
    return {
        "label": source.label,
        "successes": source.successes,
        "episodes": source.episodes,
        "interval": [low, high],
    }


def _row(source: Source) -> dict[str, str]:
    low, high = rate_interval(source.successes, source.episodes)
    rate = 100 * source.successes / source.episodes
    return {
        "result": source.label,
        "success": f"{source.successes}/{source.episodes}",
        "per cent": f"{rate:.1f} ({100 * low:.1f} to {100 * high:.1f})",
    }


def _words(one: Judgement) -> dict[str, str]:
    return {
        "first": one.first,
        "second": one.second,
        "difference in points": _points(one),
        "p": "-" if one.p_value is None else f"{one.p_value:.3g}",
        "the first is": one.text,
        "basis": one.basis,
    }


def _points(one: Judgement) -> str:
    if one.difference is None or one.interval is None:
        return "-"
    low, high = (100 * end for end in one.interval)
    return f"{100 * one.difference:+.1f} ({low:+.1f} to {high:+.1f})"
