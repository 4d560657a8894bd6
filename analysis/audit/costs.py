"""Tables of counted costs: stages, totals, counters, ratios, and what GPUs could do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.audit.latency import is_measured
from analysis.table import Cell, Column, Table
from wambench.profile.latency.records import LatencyRecord
from wambench.profile.records import PolicyCount
from wambench.profile.roofline import GPUS, predict

GIGA, TERA = 1e9, 1e12
EDITOR = {"published": "imagewam-4b", "nano": "nano-imagewam"}
"""The policy that all others of its track are divided by."""

_UNITS = {"published": ("TFLOPs", TERA), "nano": ("GFLOPs", GIGA)}
NOTE = (
    "1 multiply-add = 2 FLOPs; matrix products, convolutions and dense attention count. One "
    "inference, batch 1, all stages, the instruction encoded anew."
)


def stages(counts: Sequence[PolicyCount], track: str, geometry: str) -> Table:
    """FLOPs, kernels and bytes of every stage."""
    unit, scale = _UNITS[track]
    return Table(
        name=f"flops-{track}-{geometry}",
        title=f"Cost of every stage, {track} track, geometry {geometry}",
        columns=[
            Column("policy", "Policy"),
            Column("stage", "Stage"),
            Column("calls", "Calls", 0),
            Column("flops_per_call", f"{unit} per call", 4, scale),
            Column("flops", unit, 4, scale),
            Column("share", "% of all", 1),
            Column("kernels", "Kernels", 0),
            Column("weight_bytes", "Weights read, GB", 2, GIGA),
            Column("moved_bytes", "Moved, GB", 2, GIGA),
        ],
        rows=[
            {
                "policy": found.policy,
                "stage": stage.stage,
                "calls": stage.calls,
                "flops_per_call": stage.flops_per_call,
                "flops": stage.flops,
                "share": 100 * stage.flops / max(found.flops, 1),
                "kernels": stage.kernels,
                "weight_bytes": stage.weight_bytes,
                "moved_bytes": stage.moved_bytes,
            }
            for found in counts
            for stage in found.stages
        ],
        command=_command(counts, track, geometry),
        note=f"{NOTE} No value per call where the calls differ.",
        group="policy",
        track=track,
    )


def totals(counts: Sequence[PolicyCount], track: str, geometry: str) -> Table:
    """Sums, and how well the counters agree."""
    unit, scale = _UNITS[track]
    return Table(
        name=f"totals-{track}-{geometry}",
        title=f"Cost of one inference, {track} track, geometry {geometry}",
        columns=[
            Column("policy", "Policy"),
            Column("parameters", "Parameters, M", 1, 1e6),
            Column("flops", f"{unit}, everything", 3, scale),
            Column("flops_without_text", "without text", 3, scale),
            Column("flops_without_text_and_decode", "without text and decode", 3, scale),
            Column("flops_per_action", "per executed action", 3, scale),
            Column("flops_per_second", "per second of robot time", 3, scale),
            Column("chunk", "Executed of chunk"),
            Column("cache_bytes", "Cache, MB", 1, 1e6),
            Column("counters", "Counters"),
        ],
        rows=[
            {
                "policy": found.policy,
                "parameters": sum(found.parameters.values()),
                "flops": found.flops,
                "flops_without_text": found.flops_without_text,
                "flops_without_text_and_decode": found.flops_without_text_and_decode,
                "flops_per_action": found.flops_per_action,
                "flops_per_second": found.flops_per_second_of_robot_time,
                "chunk": f"{found.executed_actions} of {found.horizon}",
                "cache_bytes": found.cache_bytes,
                "counters": _agreement(found),
            }
            for found in counts
        ],
        command=_command(counts, track, geometry),
        note=f"{NOTE} Counters: exact, or the largest relative difference of any stage; more "
        "than 1 % is called unverified; counted: there is no closed form.",
        track=track,
    )


def ratios(counts: Mapping[str, Sequence[PolicyCount]], track: str) -> Table:
    """Every policy over the editor of its track, for every geometry and scope.

    Args:
        counts: geometry -> policies of this track.
        track: published or nano.
    """
    rows: list[Mapping[str, Cell]] = []
    for geometry, found in counts.items():
        editor = next((one for one in found if one.policy == EDITOR[track]), None)
        if editor is not None:
            rows += [_ratio(one, editor, geometry) for one in found]
    return Table(
        name=f"ratios-{track}",
        title=f"FLOPs divided by those of {EDITOR[track]}, {track} track",
        columns=[
            Column("geometry", "Geometry"),
            Column("policy", "Policy"),
            Column("everything", "Everything", 2),
            Column("without_text", "without text", 2),
            Column("without_text_and_decode", "without text and decode", 2),
            Column("per_action", "per executed action, everything", 2),
        ],
        rows=rows,
        command=_command([], track, "GEOMETRY"),
        note="Below 1: cheaper than the editor. Under robotwin each policy has the picture it was "
        "released with, and the sizes differ; libero and paper give all the same picture.",
        group="geometry",
        track=track,
    )


def _ratio(one: PolicyCount, editor: PolicyCount, geometry: str) -> Mapping[str, Cell]:
    return {
        "geometry": geometry,
        "policy": one.policy,
        "everything": one.flops / editor.flops,
        "without_text": one.flops_without_text / editor.flops_without_text,
        "without_text_and_decode": one.flops_without_text_and_decode
        / editor.flops_without_text_and_decode,
        "per_action": one.flops_per_action / editor.flops_per_action,
    }


def roofline(
    counts: Sequence[PolicyCount], geometry: str, records: Sequence[LatencyRecord] = ()
) -> Table:
    """What named GPUs could do, and what was measured on one; published track only.

    Predictions are without text and decode; kernels are measured with the text at hand.
    """
    rows: list[Mapping[str, Cell]] = []
    for gpu in GPUS:
        for found in counts:
            guess = predict(found, gpu)
            measured = _measured_ms(found, gpu, geometry, records)
            rows.append(
                {
                    "gpu": f"{gpu}, predicted",
                    "policy": found.policy,
                    "ideal_ms": guess.ideal_ms,
                    "graph_ms": guess.graph_ms,
                    "eager_ms": guess.eager_ms,
                    "bound": guess.bound,
                    "measured_ms": measured,
                    "share": 100 * guess.ideal_ms / measured if measured else None,
                }
            )
    return Table(
        name=f"predicted-{geometry}",
        title=f"Predicted milliseconds of one inference, geometry {geometry}",
        columns=[
            Column("gpu", "GPU"),
            Column("policy", "Policy"),
            Column("ideal_ms", "ideal, predicted", 1),
            Column("graph_ms", "CUDA graph, predicted", 1),
            Column("eager_ms", "eager, predicted", 1),
            Column("bound", "Eager is bound by"),
            Column("measured_ms", "measured, eager", 1),
            Column("share", "% of ideal achieved", 0),
        ],
        rows=rows,
        command="wambench audit page",
        note="A roofline, no measurement: without text and decode. ideal: peak compute or "
        "weight reads, whichever is slower; graph: every kernel by itself; eager: as fast as a "
        "CPU issues kernels. measured: median of kernels with the text at hand, decoding included.",
        group="gpu",
        track="published",
    )


def _measured_ms(
    found: PolicyCount, gpu: str, geometry: str, records: Sequence[LatencyRecord]
) -> float | None:
    """Median of the released policy's steps on that GPU in eager mode, if it was measured."""
    for record in records:
        times = record.times("kernels", "warm")
        if times and gpu in record.device.name and is_measured(found, geometry, record):
            return times.p50_ms
    return None


def _agreement(found: PolicyCount) -> str:
    if found.agreement is None or found.verdict == "exact":
        return found.verdict
    return f"{found.verdict} ({100 * found.agreement:.2g} %)"


def _command(counts: Sequence[PolicyCount], track: str, geometry: str) -> str:
    names = " ".join(found.policy for found in counts) if track == "nano" else ""
    where = "" if geometry == "own" else f" --geometry {geometry}"
    return f"wambench audit flops {names}".strip() + where
