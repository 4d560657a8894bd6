"""What the paper's abstract says of imagining video: it costs, no action needs it, it misleads.

The first is a matter of counting. The other two are judged on policies that act with another future
in the place of their own: a sweep of interventions, kept under the results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from analysis.claims.costs import Condition, Costs
from analysis.claims.published import Readings
from analysis.claims.rows import Finding, Row, Verdict
from analysis.imagination.folder import ImaginedFolder, read_folder
from analysis.imagination.writing import SUMMARY
from analysis.pairing import asked_of
from analysis.report.variants import VariantRow, variant_rows
from analysis.statistics.verdicts import Kind
from wambench.store import Store, outcomes_frame

RUNS, STUDIES = "*imagination/**/run.sqlite", f"*imagination/**/{SUMMARY}"
FUTURE = "future"
"""The option of a policy that puts another future in the place of its own."""
COSTS = "imagination_costs"
PLAIN, IMAGINING = "FastWAM (plain)", ("FastWAM-joint", "FastWAM-IDM")
MOST = 50  # per cent of the FLOPs, from which on imagining is what an inference costs


class Test(NamedTuple):
    """How an intervention judges a claim.

    Attributes:
        future: what stands in the place of what the policy imagines.
        words: the same for a reader.
        bears_out: verdicts on the policy with that future that bear the claim out.
        beside: another future that is told of and judges nothing.
    """

    claim: str
    about: str
    future: str
    words: str
    bears_out: tuple[Kind, ...]
    beside: str


TESTS = {
    "imagination_is_not_needed": Test(
        "full video prediction spends capacity on details that the action does not need",
        "{policy} acts as well on the present frame as on the future it imagines",
        "present",
        "the present in the place of every imagined frame",
        ("equivalent", "better"),
        "masked",
    ),
    "imagination_misleads": Test(
        "imagining far ahead may introduce errors that mislead the action",
        "{policy} acts better on the true future than on the one it imagines",
        "oracle",
        "the true future in the place of the imagined",
        ("better",),
        "other",
    ),
}


@dataclass(frozen=True)
class Tried:
    """A run of interventions and the policies whose future was replaced.

    Attributes:
        folder: under the results.
        variants: policy as it is -> future -> against it.
        tracks: policy -> track.
    """

    folder: str
    variants: Mapping[str, Mapping[str, VariantRow]]
    tracks: Mapping[str, str]


def tried_under(results: Path | None) -> Sequence[Tried]:
    """Every run of interventions on the future under ``results``; UserError for a damaged one."""
    return [_tried(file.parent) for file in sorted(results.glob(RUNS))] if results else []


def studies_under(results: Path | None) -> Sequence[ImaginedFolder]:
    """Every study of imagination under ``results``; UserError for a damaged one."""
    return [read_folder(file.parent) for file in sorted(results.glob(STUDIES))] if results else []


def _tried(folder: Path) -> Tried:
    with Store.read(folder) as store:
        asked, known = asked_of(outcomes_frame(store)), store.policies()
    found: dict[str, dict[str, VariantRow]] = {}
    for row in variant_rows(asked, {label: choice for label, (choice, _) in known.items()}):
        if FUTURE in row.changed:
            found.setdefault(row.found.second, {})[str(row.changed[FUTURE])] = row
    return Tried(folder.name, found, {label: spec.track for label, (_, spec) in known.items()})


def rows(
    readings: Readings,
    costs: Costs,
    tried: Sequence[Tried] = (),
    studies: Sequence[ImaginedFolder] = (),
) -> list[Row]:
    """The abstract's three claims on imagination, each with what it was judged on."""
    out = _costs(readings, costs)
    for name, test in TESTS.items():
        bare = Row(
            id=f"abstract.{name}",
            kind="qualitative",
            source="abstract",
            claim=test.claim,
            claimed="no number given",
            command="wambench sweep sweeps/nano-imagination.yaml --out RUN",
            verdict="no evidence yet",
            why=f"No run with {test.words} is kept under the results.",
        )
        judged = [
            _judged(bare, test, run, policy, studies)
            for run in tried
            for policy, futures in run.variants.items()
            if test.future in futures
        ]
        if judged:
            words = "No published weights are at hand; what smaller policies do stands below."
            bare = bare.model_copy(update={"verdict": "needs weights", "why": words})
        out += [bare, *judged]
    return out


def _costs(readings: Readings, costs: Costs) -> list[Row]:
    """Which part of a video policy's FLOPs goes when it does not imagine: as released, all told."""
    plain = costs.flops(readings.baselines[PLAIN], Condition(), "everything")
    out = []
    for name in IMAGINING:
        reading = readings.baselines[name]
        share = 100 * (1 - plain / costs.flops(reading, Condition(), "everything"))
        condition = f"{reading.policy} against {readings.baselines[PLAIN].policy}, as released"
        out.append(
            Row(
                id=f"abstract.{COSTS}/{name}",
                kind="qualitative",
                source="abstract",
                claim=f"dense future tokens make inference costly: of {name}, most of it",
                claimed=f"above {MOST}",
                unit="%",
                baseline=PLAIN,
                condition=condition,
                found=share,
                command=f"wambench audit flops {reading.policy}",
                verdict="reproduced" if share > MOST else "not reproduced",
                why=f"{share:.0f} % of the FLOPs go with the imagination ({condition}).",
                findings=(Finding(condition=condition, value=share, assumed=True),),
            )
        )
    return out


def _judged(
    bare: Row, test: Test, run: Tried, policy: str, studies: Sequence[ImaginedFolder]
) -> Row:
    """A claim on one policy of a run, by how it fares with another future."""
    row = run.variants[policy][test.future]
    kind, paired = row.found.verdict.kind, row.found.found
    verdict: Verdict = "reproduced" if kind in test.bears_out else "not reproduced"
    if kind == "undecided":
        verdict = "not tested yet"
    condition = f"{run.tracks[policy]} track, {paired.cells} cells, {test.words}"
    value = {} if paired.difference is None else {"found": 100 * paired.difference}
    ends = {}
    if paired.interval is not None:
        ends = {"low": 100 * paired.interval[0], "high": 100 * paired.interval[1]}
    beside = run.variants[policy].get(test.beside)
    told = [_told(test.future, row)] + ([_told(test.beside, beside)] if beside else [])
    told += [words for study in studies if (words := _skill(study, policy))]
    return bare.model_copy(
        update={
            "id": f"{bare.id}/{run.folder}/{policy}",
            "claim": test.about.format(policy=policy),
            "claimed": "as well" if len(test.bears_out) > 1 else "better",
            "unit": "points",
            "baseline": policy,
            "condition": condition,
            **value,
            **ends,
            "verdict": verdict,
            "why": "; ".join(told) + ".",
            "findings": tuple(
                Finding(condition=condition, value=one, assumed=True, **ends)
                for one in value.values()
            ),
        }
    )


def _told(future: str, row: VariantRow) -> str:
    found = row.found.found
    points = "" if found.difference is None else f", {100 * found.difference:+.1f} points"
    ends = f" [{100 * found.interval[0]:+.1f}, {100 * found.interval[1]:+.1f}]" if (
        found.interval
    ) else ""  # fmt: skip
    kept = f", {row.kept.successes} of {row.kept.episodes} successes kept"
    return f"future {future}: {row.found.verdict.text}{points}{ends}{kept}"


def _skill(study: ImaginedFolder, policy: str) -> str:
    """How true what a policy imagines is, by how far ahead; empty where nobody asked it."""
    means = study.means
    chosen = means[
        (means["measure"] == "skill")
        & (means["policy"] == policy)
        & (means["prediction"] == "imagined")
        & (means["truth"] == "executed")
        & (means["region"] == "all")
        & (means["camera"] == means["camera"].iloc[0])
    ].sort_values("offset")
    parts = [f"{row['mean']:.2f} at {row['offset']}" for row in chosen.to_dict("records")]
    return f"skill over a copy by control steps ahead {', '.join(parts)}" if parts else ""
