"""``wambench train``: train a nano policy on demonstrations."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wambench import UserError
from wambench.errors import did_you_mean, one_line

if TYPE_CHECKING:
    from baselines.training.trainer import Trainer

SPENT = ("step", "samples", "cpu_seconds")  # of the trainings that led here, added up
Device = Literal["cpu", "cuda"]
DType = Literal["float32", "bfloat16"]


def train(
    preset: Annotated[str, typer.Argument(help="nano-imagewam, nano-fastwam, nano-pi0, …")],
    data: Annotated[list[Path], typer.Option("--data", help="Demonstrations; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the training; resumes there.")],
    init: Annotated[
        Path | None, typer.Option("--init", help="Weights to begin with; by default random ones.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 9_000,
    batch_size: Annotated[int, typer.Option(help="Samples in a step.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="At its peak.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    device: Annotated[Device, typer.Option(help="Where to train.")] = "cpu",
    dtype: Annotated[DType, typer.Option(help="bfloat16: autocast.")] = "float32",
    until: Annotated[int | None, typer.Option(help="Stop after this step, to go on later.")] = None,
    keep_every: Annotated[
        int, typer.Option(min=1, help="Steps between weights that are kept, with a picture.")
    ] = 4_000,
    statistics: Annotated[
        Path | None, typer.Option(help="A dataset_stats.json that the data must agree with.")
    ] = None,
) -> None:
    """Train a nano policy; stop it at any time, the same command goes on.

    Example: wambench train nano-imagewam --data demos --out runs/train/imagewam
    """
    from baselines.nano.config import NANO

    if preset not in NANO:
        raise UserError(f"unknown preset {preset!r}; {did_you_mean(preset, NANO)}")
    from baselines.nano.config import SIDE
    from baselines.training.data.dataset import open_demos
    from baselines.training.data.statistics import check_statistics, write_statistics
    from baselines.training.recipe import Recipe
    from baselines.training.start import Start
    from baselines.training.trainer import Trainer

    start = None if init is None else Start.read(init, preset)
    try:
        recipe = Recipe(
            preset=preset,
            start="" if start is None else start.hash,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            device=device,
            dtype=dtype,
        )
    except ValidationError as error:
        raise UserError(f"train {preset}: {one_line(error)}") from None
    demos = open_demos(data, size=(SIDE, SIDE), seed=seed)
    if statistics is not None:
        from baselines.core.checkpoints.statistics import read_statistics

        check_statistics(read_statistics(statistics), demos, repr(str(statistics)))
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(NANO[preset], recipe, demos, out, start)
    write_statistics(out / "dataset_stats.json", demos)
    print(
        f"{preset}: {len(demos.train)} episodes to train on, {len(demos.validation)} to validate, "
        f"data {demos.data_hash[:12]}; step {trainer.step} of {recipe.steps}"
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns) as progress:
        bar = progress.add_task(preset, total=recipe.steps, completed=trainer.step)

        def report(step: int, loss: float) -> None:
            progress.update(bar, completed=step, description=f"{preset} loss {loss:.3f}")

        for stop in _stops(trainer.step, min(until or steps, steps), keep_every):
            trainer.run(report, stop)
            write(trainer, out / f"weights-{stop:06d}.safetensors")
            trainer.picture(out / f"imagined-{stop:06d}.png")
    write(trainer, out / "weights.safetensors")
    found = trainer.validate()
    print(
        f"step {trainer.step}: validation loss {found.loss:.4f}, action error "
        f"{found.action_error:.4f}, gripper error {found.gripper_error:.4f}, "
        f"weights {trainer.weights_hash()[:12]} in {out / 'weights.safetensors'}"
    )


def _stops(step: int, last: int, every: int) -> Iterator[int]:
    """Steps to stop at and keep the weights: multiples of ``every`` after ``step``; ``last``."""
    yield from range(every * (step // every + 1), last, every)
    if step < last:
        yield last


def write(trainer: Trainer, path: Path) -> None:
    """Write the averaged weights with all that is needed to run them and to train them again."""
    from baselines.nano.trained import Trained, write_trained

    start, recipe = trainer.start, trainer.recipe
    before = {name: start.spent(name) if start else 0 for name in SPENT}
    stopped = f" --until {trainer.step}" if trainer.step < recipe.steps else ""
    facts = {
        "command": recipe.command() + stopped,
        "data_hash": trainer.demos.data_hash,
        "episodes": len(trainer.demos.train),
        "instructions": start.instructions if start else trainer.demos.instructions,
        "step": before["step"] + trainer.step,
        "samples": before["samples"] + trainer.step * recipe.batch_size,
        "cpu_seconds": round(before["cpu_seconds"] + trainer.cpu_seconds, 1),
        "flops_per_step": trainer.flops_per_step,
        "weights_hash": trainer.weights_hash(),
        "torch": metadata.version("torch"),
        "machine": platform.machine(),
        **({"earlier": start.history()} if start else {}),
    }
    write_trained(
        path,
        Trained(
            config=trainer.config,
            recipe=trainer.recipe.model_dump(mode="json"),
            statistics=trainer.statistics,
            vocabulary=trainer.vocabulary,
            facts=facts,
            tensors=trainer.ema.values,
        ),
    )
