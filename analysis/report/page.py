"""Lay the tables out as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analysis.imagination import consistency, displacement
from analysis.report import caveats, curves, imagined, kept, learning, pareto, ranking
from analysis.report.conditions import equality
from analysis.report.figures import Figure
from analysis.report.gallery import Example
from analysis.report.imagined import Imagination, Measured, Skill
from analysis.report.robustness import ALL
from analysis.report.score import Score
from analysis.report.strips import Strip
from analysis.report.study import MEASURES, Scored
from analysis.report.tables import EffortRow, Tables
from analysis.report.thinking import Thinking
from analysis.report.thinking.drawings import draw_costs, draw_curves
from analysis.report.thinking.layout import latency_words, layout, lost_words, told_apart
from analysis.report.verdicts import DROP_WORDS, sentences
from analysis.report.words import plain
from analysis.statistics import MARGIN
from wambench.protocols import Protocol

OUTCOMES = {"success": "success", "failure": "failure", "policy_error": "policy error"}
NOTHING = "–"


@dataclass(frozen=True)
class Pictures:
    """What is drawn beside the tables.

    Attributes:
        film: whole episodes, in the order to show.
        gallery: failing moments, policy by policy.
        problems: why some of both are lacking, a line each.
        figures, figures_left_out: of an attention study.
        study_page: where the study can be leafed through, seen from the page.
        imagined, imagined_left_out: of a study of imagination.
    """

    film: Sequence[Strip] = ()
    gallery: Sequence[Example] = ()
    problems: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    figures_left_out: Sequence[str] = ()
    study_page: str = ""
    imagined: Sequence[Figure] = ()
    imagined_left_out: Sequence[str] = ()


@dataclass(frozen=True)
class Commands:
    """What a reader types: for this page, for its tables as files, and the run in any other."""

    page: str
    tables: str
    run: str


def render(tables: Tables, pictures: Pictures, commands: Commands) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("analysis.report", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "percent": percent,
        "interval": interval,
        "number": number,
        "jpeg": _jpeg_uri,
        "latency": latency_words,
        "told_apart_pairs": told_apart,
        "value": plain,
    }
    style, _, _ = environment.loader.get_source(environment, "page.css")  # type: ignore[union-attr]
    return environment.get_template("page.html").render(
        style=Markup(style),
        t=tables,
        tracks=caveats.tracks(tables.policies),
        by_suite={(row.suite, row.policy): row.score for row in tables.by_suite},
        tasks=_tasks(tables),
        sentences=sentences(tables.comparisons, [row.policy for row in tables.policies]),
        ranks=Markup(ranking.draw(tables.ranks)) if tables.ranks else "",
        curves=[Markup(curves.draw(one, i)) for i, one in enumerate(tables.robustness)],
        drop_sentences=[
            sentences(
                [pair for pair in family.pairs if pair.axis == ALL],
                [row.policy for row in family.means],
                DROP_WORDS,
            )
            for family in tables.robustness
        ],
        equality=equality(tables.conditions),
        pareto={track: Markup(drawn) for track, drawn in _pareto(tables).items()},
        **_thinking(tables.thinking),
        **_imagined(tables.imagined),
        learning=Markup(learning.draw(tables.learning)) if tables.learning else "",
        kept=Markup(kept.draw(tables.variants)),
        stages=stages(tables.effort),
        pictures=pictures,
        examples=_by_policy(pictures.gallery),
        measures=MEASURES,
        read=_read(tables.attention.scores if tables.attention else ()),
        gaps=_read(tables.attention.differences if tables.attention else ()),
        instructions={(row.suite, row.task): row.instruction for row in tables.by_task},
        outcomes=OUTCOMES,
        commands=commands,
        nothing=NOTHING,
        protocol_fields=_protocol_fields(tables),
        probes=tables.passport.info.get("probes", {}) if tables.passport else {},
    )


def _pareto(tables: Tables) -> Mapping[str, str]:
    """Variants of a policy are left out, as they are of the comparisons."""
    variants = {row.found.first for row in tables.variants}
    labels = [row.policy for row in tables.policies if row.policy not in variants]
    return pareto.draw(tables.policies, tables.conditions, labels)


def _thinking(found: Thinking | None) -> Mapping[str, Any]:
    """What the section of that name shows; nothing where the world waited."""
    if found is None:
        return {}
    return {
        "thinking": layout(found),
        "thinking_curves": Markup(draw_curves(found.curves)) if found.curves else "",
        "thinking_costs": Markup(draw_costs(found.costs)) if found.costs else "",
        "lost_ms": {(one.policy, one.rule): lost_words(one.lost) for one in found.curves},
        "margin": MARGIN,
    }


def _imagined(found: Imagination | None) -> Mapping[str, Any]:
    """What the section on imagination shows: the drawing, and rows of tables.

    Skills are by truth, arm and region; the others by policy and head.
    """
    if found is None:
        return {}
    skills: dict[str, dict[str, dict[str, Skill]]] = {}
    for one in found.skills:
        skills.setdefault(one.truth, {}).setdefault(one.arm, {})[one.region] = one
    return {
        "skills": skills,
        "skill": Markup(imagined.draw(found.skills)),
        "truths": imagined.TRUTHS,
        "follows": _by_head(found.follows),
        "follow_heads": consistency.HEADS,
        "moved": _by_head(found.gaps),
        "gap_heads": displacement.HEADS,
    }


def _by_head(rows: Sequence[Measured]) -> Mapping[str, Mapping[str, Measured]]:
    out: dict[str, dict[str, Measured]] = {}
    for row in rows:
        out.setdefault(row.policy, {})[row.head] = row
    return out


def percent(rate: float | None) -> str:
    """Write a rate from 0 to 1 as per cent; a dash for None."""
    return NOTHING if rate is None else f"{100 * rate:.1f} %"


def interval(score: Score) -> str:
    """Write the 95 % interval of a score in per cent; empty without episodes."""
    return f"{100 * score.low:.1f}–{100 * score.high:.1f}" if score.episodes else ""


def number(value: float | None, digits: int = 0) -> str:
    """Write a number with thousands set apart by a thin space; a dash for None."""
    return NOTHING if value is None else f"{value:,.{digits}f}".replace(",", "\u202f")


def stages(effort: Sequence[EffortRow]) -> list[str]:
    """Every stage that some policy has: ``total``, then the longest first."""
    sums: dict[str, float] = {}
    for row in effort:
        for stage, time in row.stages.items():
            sums[stage] = sums.get(stage, 0.0) + time.seconds_per_episode
    return sorted(sums, key=lambda stage: (stage != "total", -sums[stage]))


def _by_policy(gallery: Sequence[Example]) -> Mapping[str, Sequence[Example]]:
    found: dict[str, list[Example]] = {}
    for one in gallery:
        found.setdefault(one.found.policy, []).append(one)
    return found


def _read(scores: Sequence[Scored]) -> Mapping[str, Mapping[str, Mapping[str, Scored]]]:
    """Measure -> arm -> region -> score, of the attention study."""
    found: dict[str, dict[str, dict[str, Scored]]] = {}
    for row in scores:
        found.setdefault(row.measure, {}).setdefault(row.arm, {})[row.region] = row
    return found


def _tasks(tables: Tables) -> Mapping[str, Mapping[int, tuple[str, Mapping[str, Score]]]]:
    """Suite -> task index -> (instruction, policy -> score)."""
    out: dict[str, dict[int, tuple[str, dict[str, Score]]]] = {suite: {} for suite in tables.suites}
    for row in sorted(tables.by_task, key=lambda row: row.task_index):
        if row.suite in tables.perturbed:
            continue
        _, scores = out[row.suite].setdefault(row.task_index, (row.instruction, {}))
        scores[row.policy] = row.score
    return out


def _protocol_fields(tables: Tables) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each field of the protocol."""
    if tables.passport is None:
        return []
    about = {name: field.description or "" for name, field in Protocol.model_fields.items()}
    return [
        (name, plain(value), about.get(name, ""))
        for name, value in tables.passport.protocol.items()
        if value not in ("", [])
    ]


def _jpeg_uri(frame: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(frame).decode()
