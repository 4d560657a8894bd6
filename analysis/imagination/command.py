"""``wambench imagine``: hold what policies imagined in a run against what the simulator shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from analysis.imagination import consistency, displacement
from analysis.imagination.figure import draw
from analysis.imagination.moments import Episode
from analysis.imagination.study import imagines, offsets_of, study, untrained
from analysis.imagination.summary import headline, summary
from analysis.imagination.writing import (
    DRAWN,
    FUTURES,
    MOVED,
    ROWS,
    SUMMARY,
    write,
    write_futures,
)
from wambench import plugins
from wambench.cells import PolicyChoice
from wambench.cli.output import Json, command_line, print_json, print_table
from wambench.errors import UserError
from wambench.naming import file_name
from wambench.store import Store, StoredCell

REGIONS = ("all", "change", "object", "gripper", "goal")


def command(
    run: Annotated[Path, typer.Argument(help="A run directory, with its episodes' courses.")],
    out: Annotated[Path, typer.Option(help="Folder; made.")],
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", help="LABEL in the run; repeat. All that imagine if none."),
    ] = None,
    episodes: Annotated[
        int, typer.Option(min=1, help="Of each policy and outcome, spread over the tasks.")
    ] = 5,
    stride: Annotated[int, typer.Option(min=1, help="Control steps between moments.")] = 32,
    controls: Annotated[bool, typer.Option(help="Random weights, too.")] = True,
    seeds: Annotated[
        int,
        typer.Option(
            min=1,
            help="Noises a moment; two or more: does what is imagined follow the action?",
        ),
    ] = 1,
    json: Json = False,
) -> None:
    """Compare what policies imagine, at moments of their own episodes, with what then happens.

    Beside it stand a copy of the present frame, another episode's future, noise and a network that
    was not trained. Truth is what the policy's own chunk shows in a branch of the episode, and what
    the scripted expert's actions show.

    Example: wambench imagine runs/nano-libero --policy nano-fastwam-idm --out runs/imagined
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{str(out)!r} is there already; name another --out")
    with Store.read(run) as store:
        rules, known, stored = store.protocol(), store.policies(), store.cells()
        chosen = _chosen({label: choice for label, (choice, _) in known.items()}, policy)
        wanted = {
            label: [
                Episode(one.cell, str(one.outcome), store.trace(one.cell.key))
                for one in _spread([s for s in stored if s.cell.policy == label], episodes)
            ]
            for label in chosen
        }
    for label, found in wanted.items():
        if not found:
            raise UserError(f"policy {label!r} has no finished episode in {str(run)!r}; run more")
    out.mkdir(parents=True, exist_ok=True)
    founds, offsets, prints = {}, {}, {}
    for label, choice in chosen.items():
        asked = plugins.make_policy(choice.name, choice.options)
        asked.load()
        control = untrained(asked) if controls else None
        offsets[label], prints[label] = tuple(offsets_of(asked)), dict(asked.fingerprint())
        founds[label] = study(
            label, asked, offsets[label], wanted[label], rules, stride, control, seeds
        )
    rows = pd.concat([found.rows for found in founds.values()], ignore_index=True)
    drawn = pd.concat([found.drawn for found in founds.values()], ignore_index=True)
    moved = pd.concat([found.moved for found in founds.values()], ignore_index=True)
    parts = [summary(rows), consistency.summary(drawn), displacement.summary(moved)]
    means = pd.concat([part for part in parts if len(part)], ignore_index=True)
    manifest = {
        "command": command_line(),
        "run": run.name,
        "protocol": rules.name,
        "stride": stride,
        "seeds": seeds,
        "policies": {
            label: {
                "episodes": len(wanted[label]),
                "moments": len(found.moments),
                "offsets": offsets[label],
                "fingerprint": prints[label],
            }
            for label, found in founds.items()
        },
    }
    write(out, {ROWS: rows, DRAWN: drawn, MOVED: moved, SUMMARY: means}, manifest)
    for label, studied in founds.items():
        title = f"{label}: {offsets[label][-1]} control steps ahead"
        draw(studied.pictured, title, out / f"{file_name(label)}.png")
    finest = max(offsets, key=lambda label: len(offsets[label]))  # others read a part of it
    write_futures(out / FUTURES, founds[finest].moments, offsets[finest])
    camera, last = str(rows["camera"].iloc[0]), int(rows["offset"].max())
    told = headline(means, last, camera)
    gaps = displacement.headline(means, last, camera)
    follows = consistency.headline(means, last, camera)
    if json:
        results = {"skill": told, "displacement": gaps, "consistency": follows}
        print_json({"out": str(out), "manifest": manifest} | results)
        return
    for row in told:
        row.update({region: row.get(region, "-") for region in REGIONS})
    print_table(told, ["policy", "truth", "prediction", *REGIONS])
    print(f"skill: 1 the truth, 0 a copy of the present; {camera}, {last} control steps ahead")
    if gaps:
        print_table(gaps, ["policy", *displacement.HEADS])
        print(
            "object: pixels from where it truly is to where a tracker finds it; copy: it stays, "
            "tracker: in the true frame"
        )
    if seeds > 1 and not follows:
        print(f"{seeds} draws a moment, and no two of them do anything that differs")
    elif follows:
        print_table(follows, ["policy", *consistency.HEADS])
        print(
            f"consistency of {seeds} draws a moment: 1 imagined frames differ as the executed do, "
            "0 unrelated; shuffled: the middle 95 % of random pairings"
        )
    print(f"all in {out}")


def _chosen(
    known: dict[str, PolicyChoice], labels: Sequence[str] | None
) -> dict[str, PolicyChoice]:
    """Named ones, each of which must imagine; without names all that do."""
    for label in labels or ():
        if label not in known:
            raise UserError(f"--policy {label!r} is not in this run; it has {', '.join(known)}")
    out = {}
    for label in labels or known:
        policy = plugins.make_policy(known[label].name, known[label].options)
        try:
            imagines(label, policy)
        except UserError:
            if labels:
                raise
            continue
        if policy.obstacles():
            raise UserError(
                f"policy {label!r} cannot run here: {'; '.join(policy.obstacles())}; "
                "name others with --policy"
            )
        out[label] = known[label]
    if not out:
        raise UserError("no policy of this run imagines frames; run one (a world-action model)")
    return out


def _spread(cells: Sequence[StoredCell], count: int) -> Sequence[StoredCell]:
    """As many successes and as many failures, in turn of the tasks."""
    out: list[StoredCell] = []
    for outcome in ("success", "failure"):
        tasks: dict[tuple[str, int], list[StoredCell]] = {}
        for one in cells:
            if one.outcome == outcome and one.steps:
                tasks.setdefault((one.cell.suite, one.cell.task_index), []).append(one)
        deepest = max(map(len, tasks.values()), default=0)
        turns = [group[n] for n in range(deepest) for group in tasks.values() if n < len(group)]
        out += turns[:count]
    return out
