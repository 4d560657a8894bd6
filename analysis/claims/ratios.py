"""How many times a baseline's FLOPs the editor saves: the headline and statements of our own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from analysis.claims.costs import SCOPES, Condition, Costs, Reading, Scope, picture_name
from analysis.claims.published import Published, Readings, Statement
from analysis.claims.rows import Finding, Judgement, Row, judge, significant
from wambench.errors import UserError

COMMAND = "wambench audit claims --kind ratio"
Picture = tuple[int, int]


def share(text: str) -> float:
    """How many times: 6 for "1/6"; UserError for anything else."""
    found = re.fullmatch(r"1/(\d+(?:\.\d+)?)", text)
    if not found:
        raise UserError(f"claims.json: {text!r} is no share; write it like '1/6'")
    return float(found[1])


def saved(ratio: float) -> float:
    """Per cent of the baseline's FLOPs that are saved; negative if more are needed."""
    return 100 * (1 - 1 / ratio)


def as_released(readings: Readings, picture: Picture, preset: str) -> Condition:
    """A picture and a preset with the steps and frames of the release, which are listed first."""
    steps, frames = readings.search.steps[0], readings.search.video_frames[0]
    return Condition(picture=picture, preset=preset, steps=steps, video_frames=frames)


def ratio(
    costs: Costs, baseline: Reading, editor: Reading, condition: Condition, scope: Scope
) -> float:
    """FLOPs of the baseline over the editor's, both under one condition."""
    return costs.flops(baseline, condition, scope) / costs.flops(editor, condition, scope)


def rows(
    published: Published, readings: Readings, costs: Costs, released: Mapping[Picture, str]
) -> list[Row]:
    """The headline against every named baseline, then our statements.

    Args:
        published: the figures.
        readings: what stands for what.
        costs: closed forms.
        released: pictures of released configurations -> whose.
    """
    out = []
    for name, baseline in readings.baselines.items():
        found = _findings(baseline, readings, costs, released)
        out += [_share_row(published, readings, name, found)]
        out += [_saved_row(published, readings, name, found)]
    return out + [_statement(statement, readings, costs) for statement in readings.statements]


def _findings(
    baseline: Reading, readings: Readings, costs: Costs, released: Mapping[Picture, str]
) -> list[Finding]:
    """The ratio for every picture, preset and scope; decoding only where something is decoded."""
    out = []
    for picture in readings.headline_pictures:
        for preset in readings.search.presets:
            condition = as_released(readings, picture, preset)
            decodes = costs.stages(baseline, condition).get("decode", 0)
            for scope in SCOPES:
                if scope == "without text" and not decodes:
                    continue
                out.append(
                    Finding(
                        condition=f"{picture_name(picture)}, {preset}, {_in_words(scope)}",
                        value=ratio(costs, baseline, readings.editor, condition, scope),
                        assumed=preset == "released" and picture in released,
                    )
                )
    return out


def _in_words(scope: Scope) -> str:
    """A scope, with what is easily overlooked; it is listed only where something is decoded."""
    return f"{scope}, the unused video's decoding counted" if scope == "without text" else scope


def _share_row(
    published: Published, readings: Readings, name: str, found: Sequence[Finding]
) -> Row:
    text = str(published.headline["flops_ratio"])
    claimed, tolerance = share(text), readings.tolerance["flops"]
    judged = judge(claimed, found, "at least", tolerance)
    return Row(
        id=f"headline.flops_ratio/{name}",
        kind="ratio",
        source="headline",
        claim=f"ImageWAM cuts FLOPs to {text} of {name}'s",
        claimed=text,
        unit="of the FLOPs",
        baseline=name,
        condition=_first(found).condition,
        found=1 / _first(found).value,
        command=COMMAND,
        verdict=judged.verdict,
        under=_under(judged),
        why=_why(judged, found, f"{name} needs", "times ImageWAM's FLOPs"),
        findings=tuple(found),
    )


def _saved_row(
    published: Published, readings: Readings, name: str, found: Sequence[Finding]
) -> Row:
    claimed = float(published.headline["project_page_flops_saved_percent"])
    savings = [one.model_copy(update={"value": saved(one.value)}) for one in found]
    judged = judge(claimed, savings, "equal", readings.tolerance["flops"])
    return Row(
        id=f"headline.project_page_flops_saved_percent/{name}",
        kind="ratio",
        source="project page",
        claim=f"ImageWAM saves {claimed:g} % of {name}'s FLOPs",
        claimed=claimed,
        unit="%",
        baseline=name,
        condition=_first(savings).condition,
        found=_first(savings).value,
        command=COMMAND,
        verdict=judged.verdict,
        under=_under(judged),
        why=_why(judged, savings, "The saving is", "%"),
        findings=tuple(savings),
    )


def _under(judged: Judgement) -> tuple[str, ...]:
    if judged.verdict != "reproduced only under":
        return ()
    return tuple(one.condition for one in judged.fitting)


def _first(found: Sequence[Finding]) -> Finding:
    """What a reader would expect first: the first picture as released, least of all counted."""
    assumed = [one for one in found if one.assumed] or list(found)
    of_first = [one for one in assumed if one.condition.startswith(_picture_of(assumed[0]))]
    return of_first[-1]


def _picture_of(finding: Finding) -> str:
    return finding.condition.partition(",")[0]


def _why(judged: Judgement, found: Sequence[Finding], before: str, unit: str) -> str:
    """Value under the expected condition, and the range over all of them."""
    low, high = min(one.value for one in found), max(one.value for one in found)
    first = _first(found)
    sentence = (
        f"{before} {significant(first.value)} {unit} under {first.condition}; "
        f"{significant(low)} to {significant(high)} over {len(found)} conditions"
    )
    if judged.verdict == "reproduced only under":
        fitting = len(judged.fitting)
        return (
            f"{sentence}, {fitting} of which {'bears' if fitting == 1 else 'bear'} the claim out."
        )
    cheaper = sum(one.value < (0 if unit == "%" else 1) for one in found)
    if 2 * cheaper > len(found):
        return f"{sentence}: under {cheaper} of them it needs fewer FLOPs than ImageWAM."
    return f"{sentence}."


def _statement(statement: Statement, readings: Readings, costs: Costs) -> Row:
    condition = as_released(readings, statement.picture, statement.preset)
    baseline = readings.baselines.get(statement.baseline)
    if baseline is None:
        raise UserError(
            f"readings.json: statement {statement.id!r} is about {statement.baseline!r}, which is "
            f"no baseline; name one of {', '.join(readings.baselines)}"
        )
    parts = [costs.flops(one, condition, statement.scope) for one in (baseline, readings.editor)]
    finding = Finding(
        condition=f"{picture_name(statement.picture)}, {statement.preset}, {statement.scope}",
        value=parts[0] / parts[1],
        assumed=True,
    )
    judged = judge(statement.ratio, [finding], "equal", statement.tolerance)
    return Row(
        id=f"ours.{statement.id}",
        kind="ratio",
        source="this project",
        claim=statement.claim,
        claimed=statement.ratio,
        unit="x",
        baseline=statement.baseline,
        condition=finding.condition,
        found=finding.value,
        command=COMMAND,
        verdict=judged.verdict,
        why=f"{parts[0] / 1e12:.2f} TFLOPs against ImageWAM's {parts[1] / 1e12:.2f}, "
        f"at {picture_name(statement.picture)}.",
        findings=(finding,),
    )
