"""``wambench audit page``: the whole audit as one HTML file, and its tables as data."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.audit import sensitivity
from analysis.audit.page import Audit, render
from analysis.claims.command import Results, Runs, folder_of
from analysis.claims.counts import counted_all
from analysis.claims.ledger import evidence_here, ledger
from analysis.claims.published import load
from analysis.writing import as_csv, as_json, as_latex, document
from wambench import plugins
from wambench.cli.output import Json, print_json
from wambench.errors import UserError
from wambench.policy import Policy
from wambench.profile.records import PolicyCount

CONVENTION = "1 MAC = 2 FLOPs"
PREFACE = "1 multiply-add = 2 FLOPs. Predictions are labelled predicted."
PAGE, MAIN_LATEX, DATA = "audit.html", "audit.tex", "audit.json"
GEOMETRIES = {"published": ("libero", "robotwin", "paper"), "nano": ("own",)}


def page(
    results: Results = None,
    out: Annotated[Path, typer.Option(help="Folder for the page and its tables.")] = Path(
        "runs/audit"
    ),
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Write the audit as one self-contained page, with its tables as CSV, LaTeX and JSON.

    Counts every published and nano policy, judges every claim, draws how the ratios move, and shows
    the latency records there are.

    Example: wambench audit page --out runs/audit
    """
    _check_writable(out)
    audit = gather(results, runs or ())
    written = write(audit, out, _again(results, out, runs or ()))
    if json:
        print_json({"page": str(out / PAGE), "written": [str(file) for file in written]})
        return
    print(f"written to {out / PAGE}, and {len(written) - 1} files of tables beside it")


def gather(results: Path | None, runs: Sequence[Path]) -> Audit:
    """Count, judge and read; UserError for bad results or runs."""
    folder = folder_of(results)
    own = folder / "published" if folder else None
    published, readings = load(own if own and own.is_dir() else None)
    evidence = evidence_here(folder, runs, readings)
    counts, unusable = count_all()  # before the ledger, whose predictions need some of them
    return Audit(
        source=published.source,
        rows=ledger(published, readings, evidence),
        counts=counts,
        records=evidence.records,
        curves=sensitivity.curves(readings, evidence.costs),
        unusable=unusable,
    )


def count_all() -> tuple[Mapping[str, Mapping[str, Sequence[PolicyCount]]], Sequence[str]]:
    """Count every policy with weights: track -> geometry -> counts, and what cannot be counted."""
    found: dict[str, dict[str, Sequence[PolicyCount]]] = {}
    unusable: list[str] = []
    for track, geometries in GEOMETRIES.items():
        for geometry in geometries:
            names = _having(track, geometry)
            counts, reasons = counted_all(names, None if geometry == "own" else geometry)
            if counts:
                found.setdefault(track, {})[geometry] = counts
            unusable += reasons
    return found, unusable


def _having(track: str, geometry: str) -> Sequence[str]:
    """Policies of a track that have a geometry, but for those that are a variant of another."""
    policies: dict[str, Policy] = {}
    for name in plugins.installed(plugins.POLICIES):
        try:
            policies[name] = plugins.make_policy(name, {})
        except UserError:
            continue  # a broken package of a stranger must not stop an audit of the others
    mine = {name: policy for name, policy in policies.items() if policy.spec.track == track}
    if geometry == "own":
        return list(mine)
    variants = {name: policy.variants() for name, policy in mine.items()}
    others = {
        variant.policy
        for name, known in variants.items()
        for variant in known.values()
        if variant.policy != name
    }
    return [name for name in mine if geometry in variants[name] and name not in others]


def write(audit: Audit, folder: Path, again: str) -> list[Path]:
    """Write the page and all tables; UserError if the folder refuses."""
    tables = audit.tables()
    printed = tables[1:]  # the first has all of the ledger's columns, too many for a sheet of paper
    content = {PAGE: render(audit, again), DATA: as_json(tables, convention=CONVENTION)}
    content[MAIN_LATEX] = document(printed, PREFACE)
    content |= {f"{table.name}.csv": as_csv(table) for table in tables}
    content |= {f"{table.name}.tex": as_latex(table) for table in printed}
    try:
        for name, text in content.items():
            part = folder / f"{name}.part"
            part.write_text(text, encoding="utf-8")
            part.replace(folder / name)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return [folder / name for name in content]


def _check_writable(folder: Path) -> None:
    """Raise UserError for a folder that could not be written to, before the slow work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{PAGE}.part"
        part.touch()
        part.unlink()
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write to {str(folder)!r}: {error.strerror or error}; choose another --out"
    )


def _again(results: Path | None, out: Path, runs: Sequence[Path]) -> str:
    parts: list[Any] = ["wambench", "audit", "page"]
    parts += ["--results", results] if results else []
    parts += ["--out", out]
    for run in runs:
        parts += ["--run", run]
    return shlex.join(map(str, parts))
