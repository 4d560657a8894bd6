"""``wambench checkpoint``: look into a checkpoint, or run one on stored inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from wambench import UserError
from wambench.cli.output import Json, print_json, print_table
from wambench.errors import one_line

app = typer.Typer(help="Inspect checkpoints and replay them.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="JSON with the architecture.")]
FamilyName = Annotated[str | None, typer.Option("--family", help="If the config does not tell.")]


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A checkpoint: .pt or .safetensors.")],
    config: Config = None,
    family: FamilyName = None,
    json: Json = False,
) -> None:
    """Account for every tensor of a checkpoint: used, missing, unexpected, mis-shaped.

    Without --config the architecture is read off the tensors. Exit code 1 if it does not fit.

    Example: wambench checkpoint inspect model.pt
    """
    from baselines.core.checkpoints.inspect import COLUMNS, inspect_file
    from baselines.core.checkpoints.reading import read_checkpoint
    from baselines.families import holding, named, recognised

    described = _read_config(config) if config else None
    opened = read_checkpoint(file)
    if family:
        chosen = named(family)
    elif described:
        chosen = recognised(described["config"], described.get("mode"))
    else:
        chosen = holding(opened.shapes, file)
    with _reported(config or file):
        layout, model = chosen.load().expected(opened.shapes, described and described["config"])
    state = model.state_dict()
    integers = [name for name, tensor in state.items() if not tensor.is_floating_point()]
    shapes = {name: tensor.shape for name, tensor in state.items()}
    inspection = inspect_file(opened, layout, shapes, integers)
    rows = inspection.rows()
    if json:
        print_json({row["item"]: row["value"] for row in rows})
    else:
        print_table(rows, COLUMNS)
    if inspection.audit.problem():
        raise typer.Exit(1)


@app.command()
def replay(
    checkpoint: Annotated[Path, typer.Argument(help="model.pt in the released layout.")],
    inputs: Annotated[Path, typer.Argument(help="safetensors with in.*")],
    config: Annotated[Path, typer.Option("--config", help="JSON with the architecture.")],
    out: Annotated[Path, typer.Option("--out", help="safetensors to write.")],
    family: FamilyName = None,
    preset: Annotated[str, typer.Option("--preset", help="released or best-exact")] = "released",
) -> None:
    """Run a checkpoint on stored inputs; write its actions and caches.

    Example: wambench checkpoint replay model.pt in.st --config model.json --out out.st
    """
    from baselines.core.checkpoints.reading import read_checkpoint
    from baselines.core.checkpoints.writing import write_safetensors
    from baselines.families import named, recognised

    if preset not in ("released", "best-exact"):
        raise UserError(f"unknown preset {preset!r}; say released or best-exact")
    described = _read_config(config)
    chosen = named(family) if family else recognised(described["config"], described.get("mode"))
    if not out.absolute().parent.is_dir():
        raise UserError(f"--out {str(out)!r}: no such folder; create it first")
    tensors = read_checkpoint(inputs).tensors
    with _reported(config):
        results = chosen.load().replay(
            checkpoint, tensors, described["config"], chosen.name, preset
        )
    write_safetensors(out, results, {"family": chosen.name, "preset": preset})
    name, shape = next((k, list(v.shape)) for k, v in results.items() if k.startswith("out."))
    print(f"{chosen.name}, {preset}: {name} {shape}, {len(results)} tensors in {out}")


class _reported:
    """Turn what a wrong configuration or input raises into one line that names its file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyError):
            raise UserError(f"{str(self._path)!r} or the inputs lack {error}; add it") from None
        if isinstance(error, ValidationError | ValueError | TypeError):
            raise UserError(f"{str(self._path)!r}: {one_line(error)}; mend it") from None


def _read_config(path: Path) -> Mapping[str, Any]:
    """A golden's JSON, with its architecture under "config", or the architecture alone."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UserError(f"cannot read config {str(path)!r}: {reason}; name a JSON file") from None
    except ValueError as error:
        raise UserError(f"config {str(path)!r} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"config {str(path)!r} holds no object; name a JSON file with the fields")
    if isinstance(content.get("config"), dict):
        return content
    return {"config": content, "mode": content.get("mode")}
