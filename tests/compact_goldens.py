"""Make the small golden files of ``tests/golden`` from the full recordings.

    python -m tests.compact_goldens FULL_FOLDER

The full files hold random weights and every activation of tiny models, recorded while running the
authors' code (see tests/golden/README.md). Kept is what the tests compare. Weights stay in the
checkpoints; those of FLUX.2's autoencoder, which no checkpoint holds, stay beside the inputs.
"""

import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

TARGET = Path(__file__).parent / "golden"
FLUX2 = re.compile(
    r"(in|out|sched|train|weights\.ae)\."
    r"|mid\.(ref_tokens|packed_context)"
    r"|.*(\.cache\.(double|single)|\.velocity|\.ref_tokens|_pre\.freqs)"
)
OMNIGEN2 = re.compile(
    r"(in|out|sched|weights\.vae)\."
    r"|train\.(in|draw|out|grad)\."
    r"|.*(\.cache\.\d|\.velocity|\.latent|\.ref_latent|video_pre\.temb)"
)
WAN = re.compile(
    r"in\.(?!image)|sched\.|train\.(?!mid\.mask)|out\.(?!joint_action)"
    r"|mid\.(cache\.|packed_context)"
    r"|mid\.(video_)?step\d+\.(action|video|velocity_\w+|t_\w+)$"
)
OVIS_U1 = re.compile(
    r"(in|out|sched|weights\.vae)\.|train\.(in|draw|grad)\."
    r"|mid\.s\d\.((ref_tokens|packed_\w+)$|cache\.(double|single)|step\d\.velocity)"
    r"|mid\.s\d\.(mask_action16|video_pre\.(vec|rope))"
)
EVERYTHING = re.compile("")


@dataclass(frozen=True)
class Recording:
    """A full recording and what becomes of it; paths without their suffixes."""

    full: str
    small: str
    checkpoint: tuple[str, str] | None  # from, to
    kept: re.Pattern[str]
    dropped: tuple[str, ...] = ()
    facts: tuple[str, ...] = ("config", "checks", "scalars")


_WAN = ("fastwam/joint.model.pt", "fastwam/model.pt")  # the three modes share their weights
_FACTS = ("mode", "config", "scalars")
_IDM = ("imagewam-omnigen2-noise_idm/model.pt", "omnigen2/idm.model.pt")  # of both variants
RECORDINGS = (
    Recording("imagewam-flux2/fp32", "imagewam/fp32",
              ("imagewam-flux2/model.pt", "imagewam/model.pt"), FLUX2),
    Recording("imagewam-flux2/bf16", "imagewam/bf16",
              ("imagewam-flux2/model.pt", "imagewam/model.pt"), FLUX2, ("weights.",)),
    Recording("imagewam-flux2-batch/golden", "imagewam/batch",
              ("imagewam-flux2-batch/model.pt", "imagewam/batch.model.pt"), FLUX2),
    Recording("imagewam-omnigen2/golden", "omnigen2/plain",
              ("imagewam-omnigen2/model.pt", "omnigen2/plain.model.pt"), OMNIGEN2),
    Recording("imagewam-omnigen2-noise_idm/golden", "omnigen2/noise_idm", _IDM, OMNIGEN2),
    Recording("imagewam-omnigen2-cache_idm/golden", "omnigen2/cache_idm", _IDM, OMNIGEN2,
              ("weights.", "train.")),  # as in noise_idm
    Recording("imagewam-ovis-u1/golden", "ovis-u1/golden",
              ("imagewam-ovis-u1/model.pt", "ovis-u1/model.pt"), OVIS_U1),
    Recording("imagewam-ovis-u1-condition/golden", "ovis-u1/condition", None, EVERYTHING,
              (), ("config", "checks")),
    Recording("fastwam/uncond", "fastwam/plain", _WAN, WAN, ("out.video_latents",), _FACTS),
    Recording("fastwam/joint", "fastwam/joint", _WAN, WAN, (), _FACTS),
    Recording("fastwam/idm", "fastwam/idm", _WAN, WAN, (), _FACTS),
)  # fmt: skip


def kept(recording: Recording, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that a small file holds."""
    return {
        key: tensor.contiguous()
        for key, tensor in tensors.items()
        if recording.kept.match(key) and not key.startswith(recording.dropped or ("\0",))
    }


def main(full: Path) -> None:
    for recording in RECORDINGS:
        tensors = load_file(full / f"{recording.full}.safetensors")
        small = TARGET / recording.small
        small.parent.mkdir(parents=True, exist_ok=True)
        save_file(kept(recording, tensors), small.with_suffix(".safetensors"))
        facts = json.loads((full / f"{recording.full}.json").read_text())
        chosen = {key: facts[key] for key in recording.facts}
        small.with_suffix(".json").write_text(json.dumps(chosen, indent=1))
        if recording.checkpoint is None:
            continue
        source, target = recording.checkpoint
        if not (TARGET / target).exists():
            shutil.copyfile(full / source, TARGET / target)
        weights = torch.load(TARGET / target, weights_only=True)["mot"]
        for key in (key for key in tensors if key.startswith("weights.mot.")):
            mine = weights[key.removeprefix("weights.mot.")].to(tensors[key].dtype)
            assert torch.equal(mine, tensors[key]), (recording.full, key)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
