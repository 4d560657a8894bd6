"""Lay the audit out as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analysis.audit import costs, latency, plots, sensitivity, verdicts
from analysis.audit.sensitivity import Curve
from analysis.claims.rows import Row
from analysis.table import NOTHING, Table
from wambench.profile.latency.records import LatencyRecord
from wambench.profile.records import PolicyCount


@dataclass(frozen=True)
class Audit:
    """Everything the page tells.

    Attributes:
        source: of the published figures.
        counts: track -> geometry -> policies; tracks never share a table.
        unusable: what could not be counted, and why.
    """

    source: str
    rows: Sequence[Row]
    counts: Mapping[str, Mapping[str, Sequence[PolicyCount]]]
    records: Sequence[LatencyRecord]
    curves: Sequence[Curve]
    unusable: Sequence[str] = field(default=())

    def flops(self) -> list[Table]:
        """Totals, ratios and stages of every track and geometry."""
        out = []
        for track, by_geometry in self.counts.items():
            for geometry, found in by_geometry.items():
                out += [costs.totals(found, track, geometry), costs.stages(found, track, geometry)]
            out.append(costs.ratios(by_geometry, track))
        return out

    def predictions(self) -> list[Table]:
        """Rooflines of the published track."""
        published = self.counts.get("published", {})
        return [
            costs.roofline(found, name, self.records) for name, found in published.items() if found
        ]

    def tables(self) -> list[Table]:
        """All tables, as they are written to files."""
        return [
            verdicts.everything(self.rows),
            *verdicts.ledger(self.rows),
            *self.flops(),
            *latency.tables(self.records, self.counts),
            *self.predictions(),
            *([sensitivity.table(self.curves)] if self.curves else []),
        ]


def render(audit: Audit, again: str) -> str:
    """Return the page; ``again`` is the command that makes it."""
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("analysis.audit", ""), PackageLoader("analysis.report", "")]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["outcome_class"] = outcome_class
    style = "".join(_source(environment, name) for name in ("page.css", "audit.css"))
    return environment.get_template("audit.html").render(
        style=Markup(style),
        source=audit.source,
        answers=verdicts.answers(audit.rows),
        ledger=verdicts.ledger(audit.rows),
        summary=_summary(audit.rows),
        flops=audit.flops(),
        measured=latency.tables(audit.records, audit.counts),
        has_gpu=any(record.device.kind == "gpu" for record in audit.records),
        predictions=audit.predictions(),
        drawings=[(curve, Markup(plots.draw(curve))) for curve in audit.curves],
        sensitivity=sensitivity.table(audit.curves) if audit.curves else None,
        unusable=audit.unusable,
        nothing=NOTHING,
        again=again,
    )


def outcome_class(verdict: str) -> str:
    """How a verdict looks: good, partly, bad, or open."""
    if verdict in ("reproduced", "consistent"):
        return "good"
    if verdict.startswith("reproduced only"):
        return "partly"
    return "bad" if verdict in ("not reproduced", "not consistent") else "open"


def _summary(rows: Sequence[Row]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row.verdict] = found.get(row.verdict, 0) + 1
    return found


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
