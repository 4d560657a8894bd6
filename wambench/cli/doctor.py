"""``wambench doctor``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from wambench.cli.output import Json, print_json


def doctor(
    quick: Annotated[bool, typer.Option(help="Leave out Ray and rendering.")] = False,
    json: Json = False,
) -> None:
    """Check this machine: packages, memory, OpenGL (a frame with each backend), Ray, GPU.

    Prints the one line that mends what is wrong; exit code 2 if a sweep could not run.

    Example: wambench doctor
    """
    from wambench.doctor import checks

    results = []
    for check in checks(quick):
        results.append(check)
        if not json:
            mark = "ok  " if check.ok else ("FAIL" if check.required else "no  ")
            print(f"{mark}  {check.name}: {check.detail}")
            if not check.ok:
                print(f"      to mend it: {check.remedy}")
    if json:
        print_json([asdict(check) for check in results])
    if any(check.required and not check.ok for check in results):
        raise SystemExit(2)
