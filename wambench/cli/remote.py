"""``wambench remote check``: can a policy behind a socket be asked?"""

from __future__ import annotations

from typing import Annotated

import typer

from wambench.cli.options import PolicyOption, parsed
from wambench.cli.output import Json, print_json, print_table

app = typer.Typer(help="Policies that other processes serve.", no_args_is_help=True)

WORDS = {True: "yes", False: "NO", None: "-"}


@app.callback()
def _group() -> None:
    """Policies that other processes serve."""


@app.command()
def check(
    url: Annotated[str, typer.Argument(help="PROTOCOL[+s]://HOST:PORT; several with commas.")],
    preset: Annotated[
        str | None, typer.Option(help="What its wire means; a wambench server says it itself.")
    ] = None,
    option: PolicyOption = None,
    json: Json = False,
) -> None:
    """Connect, ask, time, and say what fits and what does not; exit code 1 if anything does not.

    Example: wambench remote check openpi://127.0.0.1:8000 --preset NAME
    """
    from wambench.wire.remote.checking import check as findings

    options = {"url": url, "patience": 5.0} | ({"preset": preset} if preset else {})
    found = list(findings(options | parsed(option or ())))
    if json:
        print_json([vars(one) for one in found])
    else:
        rows = [{"": one.what, "fits": WORDS[one.fits], "found": one.found} for one in found]
        print_table(rows, ["", "fits", "found"])
    if any(one.fits is False for one in found):
        raise typer.Exit(1)
