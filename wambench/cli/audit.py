"""``wambench audit``: what policies cost, counted and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from wambench import plugins
from wambench.cli.audit_latency import latency
from wambench.cli.options import PolicyOption, parsed
from wambench.cli.output import Json, print_json, print_table
from wambench.errors import UserError

if TYPE_CHECKING:
    from wambench.profile.records import PolicyCount

app = typer.Typer(help="What policies cost: FLOPs, latency, and whether published claims hold.")
app.command("latency")(latency)

Preset = Literal["released", "best-exact"]


@app.command("flops")
def flops(
    policies: Annotated[
        list[str] | None, typer.Argument(help="Names; all published ones if none is given.")
    ] = None,
    preset: Annotated[
        Preset, typer.Option(help="best-exact leaves out all that does not move the action.")
    ] = "released",
    geometry: Annotated[
        str | None, typer.Option(help="robotwin, paper, …; without: each policy's own.")
    ] = None,
    option: PolicyOption = None,
    against: Annotated[
        str | None, typer.Option(help="The policy that ratios are formed with; else the first.")
    ] = None,
    fvcore: Annotated[bool, typer.Option(help="Count with fvcore too, where it can.")] = False,
    json: Json = False,
) -> None:
    """Count one inference of policies, stage by stage: no weights, no GPU, no network.

    1 multiply-add = 2 FLOPs; only matrix products, convolutions and attention count.

    Example: wambench audit flops imagewam-4b fastwam-idm --geometry paper
    """
    from wambench.profile.flops import count_all

    names = policies or published(geometry)
    base = against or names[0]
    if base not in names:
        raise UserError(f"--against {base!r} is not counted; name it among the policies")
    chosen = [(name, _options(name, preset) | parsed(option or ())) for name in names]
    counts = count_all(chosen, geometry, with_fvcore=fvcore)
    ratios = _ratios(counts, counts[names.index(base)])
    if json:
        print_json(
            {
                "convention": "1 MAC = 2 FLOPs; matrix products, convolutions, dense attention",
                "policies": [found.as_json() for found in counts],
                "ratios": ratios,
            }
        )
        return
    print("1 multiply-add = 2 FLOPs; TFLOPs of one inference, batch 1, all stages")
    columns = [*_STAGE_COLUMNS, "fvcore"] if fvcore else _STAGE_COLUMNS
    print_table([row for found in counts for row in _stage_rows(found)], columns)
    print_table([_total_row(found) for found in counts], list(_TOTAL_COLUMNS))
    print(f"divided by {base}:")
    print_table([_shown(row) for row in ratios], list(ratios[0]))
    compared = {row["policy"] for row in ratios}
    if left_out := [name for name in names if name not in compared]:
        print(f"no ratio for another track: {', '.join(left_out)}")


def published(geometry: str | None) -> Sequence[str]:
    """All policies of the published track that have a geometry (None: that are the plain one).

    A policy under another name, which another policy has as a variant, is left out.
    """
    found = {}
    for name in plugins.installed(plugins.POLICIES):
        try:
            policy = plugins.make_policy(name, {})
        except UserError:
            continue  # a stranger's broken package must not stop an audit of the others
        if policy.spec.track == "published":
            found[name] = policy.variants()
    if geometry is None:
        return list(found)
    return [
        name
        for name, variants in found.items()
        if geometry in variants
        and not any(
            other != name and geometry in theirs and theirs[geometry].policy == name
            for other, theirs in found.items()
        )
    ]


def _options(name: str, preset: str) -> dict[str, Any]:
    """The preset, for policies that know presets."""
    known = plugins.make_policy(name, {}).config().get("options", {})
    return {"preset": preset} if "preset" in known else {}


_STAGE_COLUMNS = ("policy", "stage", "calls", "per_call", "tflops", "kernels", "moved_gb",
                  "weights_gb", "agreement")  # fmt: skip
_TOTAL_COLUMNS = ("policy", "parameters", "tflops", "without_text", "without_text_and_decode",
                  "per_action", "per_robot_second", "chunk", "cache_mb", "counters")  # fmt: skip


def _stage_rows(found: PolicyCount) -> Sequence[Mapping[str, str]]:
    return [
        {
            "policy": found.policy,
            "stage": stage.stage,
            "calls": str(stage.calls),
            "per_call": "differ" if stage.flops_per_call is None else _t(stage.flops_per_call),
            "tflops": _t(stage.flops),
            "kernels": f"{stage.kernels:,}",
            "moved_gb": f"{stage.moved_bytes / 1e9:.2f}",
            "weights_gb": f"{stage.weight_bytes / 1e9:.2f}",
            "agreement": _agreement(stage.flops, stage.counted_flops),
            "fvcore": _fvcore(found.fvcore.get(stage.stage, "")),
        }
        for stage in found.stages
    ]


def _total_row(found: PolicyCount) -> Mapping[str, str]:
    per_second = found.flops_per_second_of_robot_time
    return {
        "policy": found.policy,
        "parameters": f"{sum(found.parameters.values()):,}",
        "tflops": _t(found.flops),
        "without_text": _t(found.flops_without_text),
        "without_text_and_decode": _t(found.flops_without_text_and_decode),
        "per_action": _t(found.flops_per_action),
        "per_robot_second": "-" if per_second is None else _t(per_second),
        "chunk": f"{found.executed_actions} of {found.horizon}",
        "cache_mb": f"{found.cache_bytes / 1e6:.1f}",
        "counters": found.verdict,
    }


def _ratios(counts: Sequence[PolicyCount], base: PolicyCount) -> Sequence[Mapping[str, Any]]:
    """Every policy over ``base``, if it is on the same track: sizes of two tracks never mix."""
    names = ("flops", "flops_without_text", "flops_without_text_and_decode", "flops_per_action")
    return [
        {"policy": found.policy}
        | {name: getattr(found, name) / getattr(base, name) for name in names}
        for found in counts
        if found.track == base.track
    ]


def _shown(row: Mapping[str, Any]) -> Mapping[str, str]:
    return {k: v if isinstance(v, str) else f"{v:.2f}" for k, v in row.items()}


def _fvcore(opinion: int | str) -> str:
    return opinion if isinstance(opinion, str) else _t(opinion)


def _agreement(flops: int, counted: int) -> str:
    if flops == counted:
        return "exact"
    return f"{abs(flops - counted) / max(flops, counted):.2%}"


def _t(flops: float) -> str:
    return f"{flops / 1e12:.4f}" if flops >= 1e9 else f"{flops / 1e12:.2e}"
