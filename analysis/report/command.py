"""The command: read a run, draw its strips, write the page."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from analysis.report import data, gallery, imagined, page, strips, study
from analysis.report.changes import changes
from analysis.report.page import Pictures
from analysis.report.robustness import MeanRow
from analysis.report.sheets import write_sheets
from analysis.report.strips import Shot
from analysis.report.tables import PolicyRow, Tables
from analysis.report.thinking import Thinking
from analysis.report.thinking.arms import WALL
from analysis.report.thinking.layout import latency_words, lost_words
from analysis.statistics import Drop
from wambench.cli.output import Json, print_json, print_table
from wambench.errors import UserError
from wambench.protocols import Protocol
from wambench.store import Store

DROPS = ("mean_of_axes", "by_task")


def command(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    out: Annotated[
        Path | None, typer.Option(help="The page to write; RUN/report.html if not given.")
    ] = None,
    sheets: Annotated[
        Path | None,
        typer.Option("--tables", help="Folder for the tables as CSV, LaTeX and Markdown."),
    ] = None,
    other: Annotated[
        Path | None, typer.Option("--compare", help="Another run: say what changed since.")
    ] = None,
    allow_mismatch: Annotated[
        list[str] | None,
        typer.Option(help="Compare although this passport field differs; it leaves a footnote."),
    ] = None,
    attention: Annotated[
        Path | None,
        typer.Option(help="A folder of wambench attention: show what policies read."),
    ] = None,
    dreams: Annotated[
        Path | None,
        typer.Option("--imagined", help="A folder of wambench imagine: is what they expect true?"),
    ] = None,
    json: Json = False,
) -> None:
    """Write a run as one self-contained HTML page, and print its success rates.

    Example: wambench report runs/quick
    """
    file = out or run / "report.html"
    with Store.read(run) as store:
        store.connection.execute("BEGIN")  # one moment of the run, though a sweep may be writing
        tables = data.collect(store)
        if other is not None:
            with Store.read(other) as then:
                found = changes(store, then, allow_mismatch or ())
            tables = replace(tables, changes=found)
        if attention is not None:
            labels = _studied(tables)
            tables = replace(tables, attention=study.read(attention, labels, tables.passport))
        if dreams is not None:
            labels = _studied(tables)
            tables = replace(tables, imagined=imagined.read(dreams, labels, tables.passport))
        _check_writable(file)
        pictures = _pictures(store, tables, run, file)
    same = _spelt(run, other, allow_mismatch or (), attention, dreams)
    commands = page.Commands(
        page=shlex.join([*same, *([] if out is None else ["--out", str(out)])]),
        tables=shlex.join([*same, "--tables", "tables"]),
        run=shlex.quote(str(run)),
    )
    _write(file, page.render(tables, pictures, commands))
    written = (
        write_sheets(tables, sheets, shlex.join([*same, "--tables", str(sheets)])) if sheets else []
    )
    if json:
        print_json({"page": str(file)} | as_json(tables))
        return
    for notice in tables.notices:
        print(notice)
    print_table(map(_summary, tables.policies), ["policy", "success", "interval", "suite_mean"])
    if tables.standing:
        best, ranked = ", ".join(tables.standing.best), len(tables.standing.ranks)
        print(f"of {ranked} that are ranked, not told apart from the best: {best}")
    for family in tables.robustness:
        print(f"\n{family.title}: what perturbations cost, in points")
        print_table(map(_cost, family.means), ["policy", "variants", *DROPS])
    if tables.thinking:
        print_table(_thinking(tables.thinking), ["policy", "rule", *LOST])
    print(f"written to {file}" + (f", and {len(written)} files in {sheets}" if written else ""))


def as_json(tables: Tables) -> dict[str, Any]:
    """Turn the tables into plain JSON values."""
    passport = tables.passport.model_dump(mode="json") if tables.passport else None
    return asdict(tables) | {"passport": passport}


def _pictures(store: Store, tables: Tables, run: Path, file: Path) -> Pictures:
    """Draw whole episodes and failing moments, and fetch the figures of the study."""
    figures, left = study.figures(tables.attention) if tables.attention else ([], [])
    leaf = Path(tables.attention.folder, "attention.html") if tables.attention else None
    dreams, unseen = imagined.figures(tables.imagined) if tables.imagined else ([], [])
    drawn = Pictures(
        figures=figures,
        figures_left_out=left,
        imagined=dreams,
        imagined_left_out=unseen,
        study_page=gallery.link(leaf, file) if leaf else "",
    )
    if tables.passport is None or tables.missing == tables.cells:
        return replace(drawn, problems=["no episode has finished"])
    if tables.passport.is_imported:
        return replace(drawn, problems=["nobody stored the course of imported episodes"])
    try:
        rules = Protocol.model_validate(tables.passport.protocol)
    except ValidationError:
        return replace(drawn, problems=["another version of wambench wrote this run's protocol"])
    order = [row.policy for row in tables.policies]
    chosen = sorted(
        strips.choose(store, order),
        key=lambda stored: (order.index(stored.cell.policy), stored.outcome != "success"),
    )
    whole = chosen[: strips.MOST]
    failed = gallery.choose(tables, store, whole, min(gallery.MOST, strips.MOST - len(whole)))
    shots = [Shot(stored) for stored in whole]
    shots += [Shot(stored, found.step) for stored, found in failed]
    try:
        film, problems = strips.draw(store, shots, rules)
    except UserError as error:  # a run without the courses of its episodes
        film, problems = [None] * len(shots), [str(error)]
    if len(chosen) > len(whole):
        problems.append(f"only the first {len(whole)} of {len(chosen)} episodes are drawn")
    return replace(
        drawn,
        film=[strip for strip in film[: len(whole)] if strip],
        gallery=[
            gallery.example(stored, found, strip, run, file)
            for (stored, found), strip in zip(failed, film[len(whole) :], strict=True)
        ],
        problems=problems,
    )


def _spelt(
    run: Path,
    other: Path | None,
    allowed: Sequence[str],
    attention: Path | None,
    dreams: Path | None,
) -> list[str]:
    """Spell the command again, without what it writes to."""
    parts = ["wambench", "report", str(run)]
    parts += [] if other is None else ["--compare", str(other)]
    parts += [f"--allow-mismatch={name}" for name in allowed]
    parts += [] if attention is None else ["--attention", str(attention)]
    return parts + ([] if dreams is None else ["--imagined", str(dreams)])


def _summary(row: PolicyRow) -> dict[str, str]:
    score = row.score
    return {
        "policy": row.policy,
        "success": f"{score.successes}/{score.episodes}",
        "interval": page.interval(score) or "-",
        "suite_mean": page.percent(row.suite_mean),
    }


def _cost(row: MeanRow) -> dict[str, str]:
    means = dict(zip(DROPS, (row.plain_mean, row.weighted), strict=True))
    return {
        "policy": row.policy,
        "variants": f"{row.variants:,}" + (f" of {row.of:,}" if row.of else ""),
        **{name: _drop(found) for name, found in means.items()},
    }


def _drop(found: Drop | None) -> str:
    if found is None:
        return "-"
    ends = found.interval and " [{:.1f}, {:.1f}]".format(*(100 * end for end in found.interval))
    levels = f"{100 * found.plain:.1f} to {100 * found.perturbed:.1f} %"
    return f"{100 * found.drop:.1f}{ends or ''} ({levels})"


LOST = ("at 0 ms", "latency", "there", "5 points lost at, ms", "interval")


def _thinking(found: Thinking) -> Iterator[dict[str, str]]:
    """What each policy and rule loses with latency; then arms of latencies that are no grid."""
    for one in found.curves:
        first, last = one.points[0], one.points[-1]
        at = page.percent(first.score.rate) if first.latency_ms == 0 else "-"
        ends = lost_words(one.lost)
        told = (at, f"{last.latency_ms:g} ms", page.percent(last.score.rate), *ends)
        yield {"policy": one.policy, "rule": one.rule, **dict(zip(LOST, told, strict=True))}
    for arm in found.arms:
        if arm.source != "constant":
            mark = "unrepeatable" if arm.source == WALL else ""
            words = latency_words(arm.latency_ms, arm.source)
            told = ("", words, page.percent(arm.score.rate), mark, "")
            yield {"policy": arm.policy, "rule": arm.rule, **dict(zip(LOST, told, strict=True))}


def _studied(tables: Tables) -> Mapping[str, str]:
    """What a study may call a policy -> its label here: an arm's own, or that of its policy."""
    shown = [row.policy for row in tables.policies]
    arms = tables.thinking.arms if tables.thinking else ()
    owners = {arm.policy: arm.label for arm in arms if arm.label in shown}
    return owners | {label: label for label in shown}


def _part(file: Path) -> Path:
    return file.with_name(file.name + ".part")


def _check_writable(file: Path) -> None:
    """Raise UserError for a page that could not be written, before the slow work is done."""
    if file.suffix not in (".html", ".htm"):
        raise UserError(f"--out {str(file)!r} is not a page; end it in .html")
    if file.is_dir():
        raise UserError(f"--out {str(file)!r} is a directory; name a file in it")
    with _storage_errors(file):
        _part(file).touch()
        _part(file).unlink()


def _write(file: Path, text: str) -> None:
    """Write the page whole or not at all."""
    with _storage_errors(file):
        _part(file).write_text(text, encoding="utf-8")
        _part(file).replace(file)


@contextlib.contextmanager
def _storage_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {str(file)!r}: {error.strerror or error}; choose another --out"
        ) from None
