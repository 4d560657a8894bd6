"""``wambench conformance``: a policy asked about itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from wambench.cli.options import PolicyOption, parsed
from wambench.cli.output import Json, print_json

if TYPE_CHECKING:
    from wambench.conformance import Status

MARKS: Mapping[Status, str] = {"passed": "ok  ", "failed": "FAIL", "cannot be checked": "?   "}


def conformance(
    policy: Annotated[
        str, typer.Argument(help="A policy (see wambench policies), or where one is served.")
    ],
    option: PolicyOption = None,
    suite: Annotated[
        str | None,
        typer.Option(help="Whose conventions and expert; without: the first of wambench-1."),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Whose pictures; without: the first that fits.")
    ] = None,
    no_simulator: Annotated[
        bool, typer.Option("--no-simulator", help="Leave out what needs the suite's expert.")
    ] = False,
    json: Json = False,
) -> None:
    """Ask a policy about itself: conventions, determinism, batches, what it refuses.

    A line is one check with the public pitfall it guards against and the known effect on
    success. Exit code 1 if one failed; what cannot be checked says why and fails nothing.

    Example: wambench conformance nano-pi0
    Example: wambench conformance openpi://127.0.0.1:8000 --option preset=NAME
    """
    from wambench.conformance import cause, findings, subject

    options = parsed(option or ())
    is_address = "://" in policy
    asked = subject(
        "remote" if is_address else policy,
        {"url": policy} | options if is_address else options,
        suite,
        protocol,
        simulator=not no_simulator,
        tell=lambda text: None if json else print(text, flush=True),
    )
    if not json:
        print(f"{policy} under {asked.protocol.name}, {len(asked.looks)} observations", flush=True)
    found = []
    for finding in findings(asked):
        found.append(finding)
        if not json:
            line = finding.line
            known = f"{line.effect} ({line.source or 'no public report known'})"
            print(f"{MARKS[finding.result.status]}  {line.name}: {finding.result.found}")
            print(f"      guards against: {line.pitfall}; effect: {known}", flush=True)
    counts = Counter(finding.result.status for finding in found)
    if json:
        print_json(
            {
                "policy": policy,
                "suite": asked.suite,
                "protocol": asked.protocol.name,
                "observations": len(asked.looks),
                "lines": [dict(finding.as_json()) for finding in found],
            }
        )
    else:
        if first := cause(found):
            print(f"mend first: {first.line.name}; the others may follow from it")
        print(", ".join(f"{counts[status]} {status}" for status in MARKS))
    if counts["failed"]:
        raise typer.Exit(1)
