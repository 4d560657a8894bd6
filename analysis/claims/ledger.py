"""The whole ledger: every figure of the paper as a row, and statements of our own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from analysis.attention.folder import StudyFolder
from analysis.claims import (
    arithmetic,
    attention,
    imagination,
    latency,
    policies,
    ratios,
    success,
    table5,
)
from analysis.claims.costs import Costs, Reading
from analysis.claims.counts import counted
from analysis.claims.published import Published, Readings, numbers
from analysis.claims.rows import Kind, Row
from analysis.imagination.folder import ImaginedFolder

if TYPE_CHECKING:
    from wambench.profile.latency.records import LatencyRecord

KINDS: tuple[Kind, ...] = get_args(Kind)
PREDICTED_GPU = "A6000"
Picture = tuple[int, int]


@dataclass(frozen=True)
class Evidence:
    """What the ledger is judged by.

    Attributes:
        costs: FLOPs of policies with options.
        released: pictures of released configurations -> whose.
        records: latency, of any device and track.
        scores: success of trained policies; see :func:`analysis.claims.success.scores`.
        predict: what a roofline says of a policy, labelled.
        studies: of attention, of any track.
        tried: runs of interventions on the imagined future, of any track.
        imagined: studies of imagination, of any track.
    """

    costs: Costs
    released: Mapping[Picture, str]
    records: Sequence[LatencyRecord] = ()
    scores: success.Scores = field(default_factory=dict)
    predict: latency.Predict = latency.no_prediction
    studies: Sequence[StudyFolder] = ()
    tried: Sequence[imagination.Tried] = ()
    imagined: Sequence[ImaginedFolder] = ()


def ledger(
    published: Published, readings: Readings, evidence: Evidence, kinds: Sequence[Kind] = KINDS
) -> list[Row]:
    """All rows of the chosen kinds, the most telling kinds first."""
    costs = evidence.costs
    makers: Mapping[Kind, Callable[[], list[Row]]] = {
        "ratio": lambda: ratios.rows(published, readings, costs, evidence.released),
        "flops": lambda: _flops(published, readings, costs, evidence.released),
        "latency": lambda: latency.rows(published, readings, evidence.records, evidence.predict),
        "parameters": lambda: policies.parameter_rows(published, readings),
        "arithmetic": lambda: arithmetic.rows(published, readings),
        "success": lambda: success.rows(published, readings, evidence.scores),
        "setting": lambda: policies.setting_rows(numbers(published), readings),
        "qualitative": lambda: [
            *policies.qualitative_rows(published, evidence.studies),
            *imagination.rows(readings, costs, evidence.tried, evidence.imagined),
        ],
    }
    return [row for kind, make in makers.items() if kind in kinds for row in make()]


def _flops(
    published: Published, readings: Readings, costs: Costs, released: Mapping[Picture, str]
) -> list[Row]:
    table = published.tables[table5.TABLE]
    claimed = {name: float(table.row(name)["tflops"]) for name in readings.table5}
    found = table5.search(claimed, readings, costs)
    return table5.rows(table.numbers(), readings, found, released)


def evidence_here(results: Path | None, runs: Sequence[Path], readings: Readings) -> Evidence:
    """Evidence from this installation, from records under a folder and from runs.

    Raises:
        UserError: a damaged record, a run that cannot be read, a policy that cannot be made.
    """
    from wambench.profile.flops import closed_form

    readers = [readings.editor, *readings.baselines.values()]
    return Evidence(
        costs=Costs(closed_form),
        released=policies.released_pictures(reading.policy for reading in readers),
        records=records_under(results),
        scores=success.scores(runs),
        predict=predicted,
        studies=attention.studies_under(results),
        tried=imagination.tried_under(results),
        imagined=imagination.studies_under(results),
    )


def records_under(results: Path | None) -> Sequence[LatencyRecord]:
    """Latency records of every device under ``<results>/audit``; none if there is no such folder.

    UserError for a damaged record.
    """
    if results is None or not (results / "audit").is_dir():
        return []
    from wambench.profile.latency.records import read_records

    devices = sorted(folder for folder in (results / "audit").iterdir() if folder.is_dir())
    return [record for folder in devices for record in read_records(folder)]


def predicted(reading: Reading) -> str:
    """Roofline of the paper's GPU at the paper's geometry, without text and decode."""
    from wambench.profile.roofline import predict

    found = predict(counted(reading.policy, latency.FITTED, reading.options), PREDICTED_GPU)
    return (
        f"predicted, {PREDICTED_GPU}: ideal {found.ideal_ms:.0f}, graph {found.graph_ms:.0f}, "
        f"eager {found.eager_ms:.0f} ms"
    )


def summary(rows: Iterable[Row]) -> Mapping[str, int]:
    """Verdict -> how many rows have it, the most frequent first."""
    return dict(Counter(row.verdict for row in rows).most_common())
