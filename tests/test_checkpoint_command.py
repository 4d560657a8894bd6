"""``wambench checkpoint`` on the golden checkpoints, whole and damaged."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import CommandLine
from tests.golden_data import FOLDER, gap, golden

FLUX2 = FOLDER / "imagewam" / "model.pt"
FASTWAM = FOLDER / "fastwam" / "model.pt"
CONFIGS = {FLUX2: FOLDER / "imagewam" / "fp32.json", FASTWAM: FOLDER / "fastwam" / "idm.json"}


def saved(path: Path, content: dict[str, Any]) -> Path:
    torch.save(content, path)
    return path


def content_of(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("file", CONFIGS)
def test_inspect_accounts_for_every_tensor(wambench: CommandLine, file: Path) -> None:
    read_off = wambench("checkpoint", "inspect", file, "--json")
    told = wambench("checkpoint", "inspect", file, "--json", "--config", CONFIGS[file])
    assert read_off.code == told.code == 0 and read_off.out == told.out
    facts = json.loads(told.out)
    tensors = sum(len(part) for part in content_of(file).values() if isinstance(part, dict))
    assert facts["tensors"] == str(tensors) and facts["verdict"] == "fits the model"
    assert facts["aliases"] == ("32 equal" if file == FLUX2 else "0 equal")
    assert facts["missing"] == facts["unexpected"] == facts["misshaped"] == "none"
    assert "is missing" in facts["statistics"]


def test_inspect_names_what_does_not_fit(wambench: CommandLine, tmp_path: Path) -> None:
    content = content_of(FLUX2)
    weights = content["mot"]
    del weights["mixtures.action.head.linear.weight"]
    weights["mixtures.video.extra"] = torch.zeros(3)
    weights["mixtures.video.transformer.txt_in.weight"] = torch.zeros(128, 95)
    file = saved(tmp_path / "model.pt", content)
    ended = wambench("checkpoint", "inspect", file, "--config", CONFIGS[FLUX2])
    assert ended.code == 1
    for told in ("mixtures.action.head.linear.weight", "mixtures.video.extra", "[128, 95]"):
        assert told in ended.out
    other = wambench("checkpoint", "inspect", FASTWAM, "--config", CONFIGS[FLUX2])
    assert other.code == 1 and "looks like a checkpoint of another model" in other.out


class Runs:
    """Touches a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def damaged(kind: str, folder: Path) -> Path:
    """A golden checkpoint with one thing wrong."""
    path, content = folder / "model.pt", content_of(FLUX2)
    weights = content["mot"]
    if kind == "truncated":
        path.write_bytes(FLUX2.read_bytes()[: 3 * FLUX2.stat().st_size // 4])
    elif kind == "bit-flipped":
        bits = bytearray(FLUX2.read_bytes())
        bits[random.Random(0).randrange(len(bits) // 4, len(bits) // 2)] ^= 1
        path.write_bytes(bits)
    elif kind == "wrong model":
        shutil.copyfile(FASTWAM, path)
    elif kind == "wrong size":
        shutil.copyfile(FOLDER / "imagewam" / "batch.model.pt", path)
    elif kind == "wrong dtype":
        weights["mixtures.action.head.linear.weight"] = torch.zeros(7, 64, dtype=torch.int8)
        saved(path, content)
    elif kind == "other dtype than declared":
        saved(path, {**content, "torch_dtype": "torch.bfloat16"})
    elif kind == "lora":
        name = "mixtures.action.head.linear"
        weights[f"{name}.base.weight"] = weights.pop(f"{name}.weight")
        weights |= {f"{name}.lora_A.weight": torch.zeros(4, 64)}
        saved(path, content)
    elif kind == "code":
        saved(path, {**content, "hook": Runs(folder / "ran")})
    elif kind == "unequal alias":
        weights["mixtures.video.single_blocks.0.linear1.weight"] = (
            2 * weights["mixtures.video.single_blocks.0.linear1.weight"]
        )
        saved(path, content)
    elif kind == "nan":
        weights["mixtures.action.head.linear.weight"] = torch.full((7, 64), float("nan"))
        saved(path, content)
    elif kind == "missing":
        del weights["mixtures.action.head.linear.weight"]
        saved(path, content)
    return path


TOLD = {
    "truncated": "is cut short",
    "bit-flipped": "is damaged",
    "wrong model": "looks like a checkpoint of another model",
    "wrong size": "looks like another size of this model",
    "wrong dtype": "wrong dtype",
    "other dtype than declared": "wrong dtype",
    "lora": "is a LoRA checkpoint",
    "code": "would run code",
    "unequal alias": "stored twice with different values",
    "nan": "not finite",
    "missing": "missing: 'mot.mixtures.action.head.linear.weight'",
    "absent": "does not exist",
}


@pytest.mark.parametrize("kind", TOLD)
def test_a_bad_checkpoint_gets_its_own_line_and_nothing_is_written(
    wambench: CommandLine, tmp_path: Path, kind: str
) -> None:
    file, out = damaged(kind, tmp_path), tmp_path / "out.safetensors"
    inputs = FOLDER / "imagewam" / "fp32.safetensors"
    ended = wambench("checkpoint", "replay", file, inputs, "--config", CONFIGS[FLUX2], "--out", out)
    assert ended.code == 2 and ended.out == ""
    (line,) = ended.err.splitlines()
    assert line.startswith("error: ") and str(file) in line and TOLD[kind] in line
    assert not out.exists() and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("preset", ["released", "best-exact"])
@pytest.mark.parametrize("name", ["plain", "joint", "idm"])
def test_replay_gives_the_goldens_actions(
    wambench: CommandLine, tmp_path: Path, name: str, preset: str
) -> None:
    folder, out = FOLDER / "fastwam", tmp_path / "out.safetensors"
    ended = wambench(
        "checkpoint", "replay", FASTWAM, folder / f"{name}.safetensors",
        "--config", folder / f"{name}.json", "--out", out, "--preset", preset,
    )  # fmt: skip
    assert ended.code == 0 and f"fastwam-{name}" in ended.out
    theirs = golden("fastwam", name)[1]
    assert gap(load_file(out)["out.action"], theirs["out.action"]) < 1e-5


def test_replay_takes_a_batch_of_mixed_texts_and_draws_absent_noise(
    wambench: CommandLine, tmp_path: Path
) -> None:
    facts, tensors = golden("imagewam", "batch")
    given = {k: v for k, v in tensors.items() if k.startswith(("in.", "weights."))}
    del given["in.noise_action"]
    save_file(given, tmp_path / "in.safetensors")
    (tmp_path / "c.json").write_text(json.dumps(facts["config"]))  # the architecture alone
    results = {}
    for preset in ("released", "best-exact"):
        out = tmp_path / f"{preset}.safetensors"
        ended = wambench(
            "checkpoint", "replay", FOLDER / "imagewam" / "batch.model.pt",
            tmp_path / "in.safetensors", "--config", tmp_path / "c.json", "--out", out,
            "--preset", preset, "--family", "imagewam-flux2",
        )  # fmt: skip
        assert ended.code == 0
        results[preset] = load_file(out)["out.action"]
    assert results["released"].shape == (2, 13, 14)
    assert gap(results["released"], results["best-exact"]) < 1e-5
    assert gap(results["released"], tensors["out.action"]) < 1e-5  # the golden's own noise


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"config": {"heads": 5}}, "hidden 128 is not heads x head_dim"),
        ({"config": {"axes": [8, 8, 8, 4]}}, "rope_axes"),
        ({"config": {"steps": 0}}, "steps"),
        ({"drop": "act_hidden"}, "act_hidden"),
        ({"drop": "double"}, "--family"),
        ({"inputs": {"in.proprio": None}}, "in.proprio"),
        ({"inputs": {"in.image": None}}, "in.ref_tokens"),
        ({"options": ["--family", "imagewam-flux3"]}, "did you mean imagewam-flux2"),
        ({"options": ["--preset", "fast"]}, "released or best-exact"),
        ({"options": ["--out", "nowhere/out.safetensors"]}, "no such folder"),
    ],
)
def test_a_bad_replay_gets_one_line(
    wambench: CommandLine, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    facts, tensors = golden("imagewam", "fp32")
    config = {**facts["config"], **change.get("config", {})}
    config.pop(change.get("drop"), None)
    (tmp_path / "c.json").write_text(json.dumps({"config": config}))
    given = {k: v for k, v in tensors.items() if k.startswith(("in.", "weights."))}
    given |= change.get("inputs", {})
    save_file({k: v for k, v in given.items() if v is not None}, tmp_path / "in.safetensors")
    ended = wambench(
        "checkpoint", "replay", FLUX2, tmp_path / "in.safetensors", "--config",
        tmp_path / "c.json", "--out", tmp_path / "out.safetensors", *change.get("options", []),
    )  # fmt: skip
    assert ended.code == 2, ended.err
    (line,) = ended.err.splitlines()
    assert told in line and not (tmp_path / "out.safetensors").exists()
