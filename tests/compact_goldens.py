"""Make the small golden files of ``tests/golden/imagewam`` from the full ones.

    python -m tests.compact_goldens FULL_FOLDER

The full files hold random weights and every activation of a tiny model, recorded while running the
authors' code (see tests/golden/README.md). Kept is what the tests compare; weights stay in
``model.pt``, those of the autoencoder (which no checkpoint holds) beside the inputs.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

TARGET = Path(__file__).parent / "golden" / "imagewam"
KEPT = ("in.", "out.", "sched.", "train.", "weights.ae.", "mid.ref_tokens", "mid.packed_context")
PARTS = (".cache.double", ".cache.single", ".velocity", ".ref_tokens", "_pre.freqs")
SETS = {"fp32": ("imagewam-flux2", "fp32"), "bf16": ("imagewam-flux2", "bf16"),
        "batch": ("imagewam-flux2-batch", "golden")}  # fmt: skip


def main(full: Path) -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, (folder, stem) in SETS.items():
        tensors = load_file(full / folder / f"{stem}.safetensors")
        kept = {
            key: tensor
            for key, tensor in tensors.items()
            if key.startswith(KEPT) or any(part in key for part in PARTS)
        }
        if name == "bf16":  # its autoencoder is the fp32 one, rounded
            kept = {key: t for key, t in kept.items() if not key.startswith("weights.")}
        save_file({key: t.contiguous() for key, t in kept.items()}, TARGET / f"{name}.safetensors")
        facts = json.loads((full / folder / f"{stem}.json").read_text())
        chosen = {key: facts[key] for key in ("config", "checks", "scalars")}
        (TARGET / f"{name}.json").write_text(json.dumps(chosen, indent=1))
        model = TARGET / ("batch.model.pt" if name == "batch" else "model.pt")
        if not model.exists():
            shutil.copyfile(full / folder / "model.pt", model)
    rounded = load_file(full / "imagewam-flux2" / "bf16.safetensors")
    exact = load_file(full / "imagewam-flux2" / "fp32.safetensors")
    for key in (key for key in rounded if key.startswith("weights.")):
        assert torch.equal(rounded[key], exact[key].to(rounded[key].dtype)), key


if __name__ == "__main__":
    main(Path(sys.argv[1]))
