"""``wambench audit latency``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from wambench.cli.options import PolicyOption, parsed
from wambench.cli.output import Json, print_json, print_table
from wambench.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from wambench.profile.latency.records import LatencyRecord, Times

RESULTS = Path("results/audit")


def latency(
    policies: Annotated[
        list[str], typer.Argument(help="Policies; the first is the reference of all ratios.")
    ],
    mode: Annotated[
        Literal["eager", "compiled", "graph"],
        typer.Option(help="How the steps run: as they are, by torch.compile, as CUDA graphs."),
    ] = "eager",
    geometry: Annotated[
        str | None, typer.Option(help="Picture sizes and steps of a benchmark, e.g. robotwin.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="released or best-exact, of policies that have presets.")
    ] = None,
    option: PolicyOption = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Measure only kernels, policy, served or wire; may be repeated."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Fewer calls; the records say so.")] = False,
    in_process: Annotated[
        bool, typer.Option(help="All policies in this process, without Ray.")
    ] = False,
    again: Annotated[bool, typer.Option(help="Measure also what has a record.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the records; by default one for the device.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure how long policies take on this machine, by the protocol latency-1.

    Three nested scopes (kernels, policy, served; of a remote policy: wire), with a new instruction
    in every call (cold) and with one (warm), policies in turn. Writes a record for each; the same
    command goes on after an interruption.

    Example: wambench audit latency nano-imagewam nano-fastwam-idm --quick
    """
    from wambench.profile.latency.choice import choose
    from wambench.profile.latency.environment import cpu_name, slug
    from wambench.profile.latency.nvidia import find_reader
    from wambench.profile.latency.protocol import FULL, QUICK, SCOPES
    from wambench.profile.latency.run import Audit

    rules = QUICK if quick else FULL
    options = ({"preset": preset} if preset else {}) | parsed(option or ())
    repeated = [name for name in policies if policies.count(name) > 1]
    if repeated:
        raise UserError(f"policy {repeated[0]!r} appears twice; name it once")
    scopes = [known for known in SCOPES if known in (scope or SCOPES)]
    for name in scope or ():
        if name not in SCOPES:
            raise UserError(f"unknown scope {name!r}; {did_you_mean(name, SCOPES)}")
    choices = [choose(name, options, geometry, mode, rules) for name in policies]
    gpu = find_reader()
    uses_gpu = any(choice.spec.num_gpus for choice in choices)
    device = gpu.card().name if gpu and uses_gpu else cpu_name()
    folder = out or RESULTS / slug(device)
    with _hosts(in_process) as open_host:
        audit = Audit(
            rules=rules,
            mode=mode,
            out=folder,
            open_host=open_host,
            gpu=gpu if uses_gpu else None,
            scopes=scopes,
            again=again,
            note=lambda line: print(line, file=sys.stderr),
        )
        records = audit.run(choices)
    if json:
        print_json(
            {
                "protocol": rules.name,
                "variant": rules.variant,
                "folder": str(folder),
                "records": [_without_samples(record) for record in records],
            }
        )
        return
    show(records)
    print(f"records in {folder}")


def show(records: Sequence[LatencyRecord]) -> None:
    """Print tables of records: times, what a call is made of, faults."""
    first = records[0]
    threads = first.device.software.get("threads")
    kind = f"{threads} CPU threads" if first.device.kind == "cpu" and threads else first.device.kind
    print(f"{first.protocol} {first.rules.variant}, {first.device.name}, {kind}; milliseconds")
    rows = [row for record in records for row in _rows(record)]
    print_table(rows, list(rows[0]))
    print()
    rows = [_whole(record) for record in records]
    print_table(rows, list(rows[0]))
    found: dict[str, list[str]] = {}
    for record in records:
        for fault in _faults(record, records):
            found.setdefault(fault, []).append(record.label)
    for fault, labels in found.items():
        whose = "all" if len(labels) == len(records) > 1 else ", ".join(labels)
        print(f"flag: {whose}: {fault}")


def _rows(record: LatencyRecord) -> Iterator[Mapping[str, str]]:
    """One row a scope."""
    for scope, texts in record.scopes.items():
        warm, cold = texts.get("warm"), texts.get("cold")
        ratio = record.ratios.get(scope, {}).get("warm")
        yield {
            "policy": record.label,
            "scope": scope,
            "warm_p50": _median(warm),
            "cold_p50": _median(cold),
            "warm_cpu": f"{warm.cpu_p50_ms:.4g}" if warm and warm.cpu_p50_ms else "-",
            "warm_p90": f"{warm.p90_ms:.4g}" if warm else "-",
            "warm_p99": f"{warm.p99_ms:.4g}" if warm else "-",
            "calls": str(warm.n) if warm else "-",
            "slow": str(warm.slow_calls) if warm else "-",
            "over_reference": (
                f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] {ratio.clock}"
                if ratio
                else "-"
            ),
        }


def _whole(record: LatencyRecord) -> Mapping[str, str]:
    per_action, rate = record.ms_per_action(), record.actions_per_second()
    peak = record.memory.allocated or record.memory.process
    stages = record.stages.p50_ms if record.stages else {}
    return {
        "policy": record.label,
        "mode": record.mode,
        "dtype": record.dtype,
        "executed": f"{record.executed_actions} of {record.horizon}",
        "ms_per_action": f"{per_action:.4g}" if per_action else "-",
        "max_hz": f"{rate:.4g}" if rate else "-",
        "stages": ", ".join(f"{stage} {span:.3g}" for stage, span in stages.items()) or "-",
        "first_call": f"{record.first_call_ms:.4g}",
        "compile": f"{record.compile_ms:.4g}" if record.compile_ms is not None else "-",
        "peak_gb": f"{peak / 1e9:.2f}",
        "flags": ", ".join(sorted({flag.code for flag in record.flags})) or "none",
    }


def _faults(record: LatencyRecord, records: Sequence[LatencyRecord]) -> Iterator[str]:
    """Those of the record, and those of setting it beside the reference."""
    from wambench.profile.latency.comparing import comparison_faults

    for flag in record.flags:
        yield f"{flag.code}: {flag.sentence}"
    reference = next((one for one in records if one.label == record.reference), record)
    if reference is not record:
        for flag in comparison_faults(record, reference):
            yield f"beside {reference.label}: {flag.code}: {flag.sentence}"


def _median(times: Times | None) -> str:
    return f"{times.p50_ms:.4g} [{times.low_ms:.4g}, {times.high_ms:.4g}]" if times else "-"


def _without_samples(record: LatencyRecord) -> dict[str, Any]:
    """For a screen; the files have everything."""
    content = record.model_dump(mode="json", exclude={"environment": {"during"}})
    for texts in content["scopes"].values():
        for times in texts.values():
            del times["samples"], times["cpu_samples"]
    content["ms_per_action"] = record.ms_per_action()
    content["actions_per_second"] = record.actions_per_second()
    return content


@contextlib.contextmanager
def _hosts(in_process: bool) -> Iterator[Callable[..., Any]]:
    """How policies are started: in this process, or each in its own under a Ray of ours."""
    from wambench.profile.latency.hosts import LocalHost, RayHost

    if in_process:
        yield LocalHost
        return
    from wambench.sweeping.cluster import LocalRay, kept_off_stdout

    with kept_off_stdout():
        ray = LocalRay(1)
    try:
        yield RayHost
    finally:
        with kept_off_stdout():
            ray.stop()
