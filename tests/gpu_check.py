"""``make gpu-check``: published policies on a GPU as a sweep asks them, eager and as CUDA graphs.

For every policy, in a process of its own: the answers of both modes to the same observations (they
must agree within ``CLOSE``), and decisions a second in batches of 1, 4 and 16 through the function
that a sweep's policy process calls. Weights are random; what they are costs nothing. Ends in time:
what did not fit into ``--minutes`` is named as left out. One JSON file a policy is written.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np

from wambench import plugins
from wambench.arithmetic import arithmetic_of
from wambench.contract import Observation
from wambench.policy import Policy
from wambench.policy_server import answer_batch, begin
from wambench.profile.acting import start_of
from wambench.profile.observations import observations

POLICIES = ("pi0", "openvla-oft", "imagewam-4b", "fastwam", "fastwam-joint", "fastwam-idm")
BATCHES = (1, 4, 16)
MODES = ("eager", "graph")
CLOSE = 0.02  # of the largest action: bf16, and kernels chosen anew for a capture
SECONDS = 3.0  # of measuring, for each batch and mode


def made(name: str, mode: str) -> Policy:
    options = {"weights": "random", "mode": mode, "batch_size": max(BATCHES), "device": "cuda"}
    policy = plugins.make_policy(name, options)
    policy.load()
    return policy


def answers(policy: Policy, seen: Sequence[Observation]) -> list[np.ndarray]:
    return [answer.unwrap() for answer in answer_batch(policy, seen)]


def started(policy: Policy, count: int) -> list[Observation]:
    """Observations of so many episodes that have begun."""
    seen = list(observations(policy.spec, count))
    for one in seen:
        begin(policy, start_of(policy.spec, one, "check")).unwrap()
    return seen


def decisions_per_second(policy: Policy, batch: int) -> float:
    seen = started(policy, batch)
    for _ in range(2):
        answers(policy, seen)
    began, calls = perf_counter(), 0
    while calls < 3 or perf_counter() - began < SECONDS:
        answers(policy, seen)
        calls += 1
    return calls * batch / (perf_counter() - began)


def check(name: str) -> dict[str, Any]:
    import torch

    found: dict[str, Any] = {"policy": name, "device": torch.cuda.get_device_name()}
    said: dict[str, list[np.ndarray]] = {}
    for mode in MODES:
        policy = made(name, mode)
        said[mode] = answers(policy, started(policy, 3))
        arithmetic = arithmetic_of(policy)
        found[mode] = {
            "arithmetic": arithmetic.model_dump() if arithmetic else None,
            "decisions_per_second": {b: decisions_per_second(policy, b) for b in BATCHES},
            "peak_gb": torch.cuda.max_memory_allocated() / 1e9,
        }
        del policy
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    scale = max(float(np.abs(chunk).max()) for chunk in said["eager"])
    apart = max(
        float(np.abs(one - other).max())
        for one, other in zip(said["eager"], said["graph"], strict=True)
    )
    found["difference"] = apart / scale
    found["equal"] = found["difference"] <= CLOSE
    return found


def card() -> str:
    """Driver and clocks as the card tells them."""
    fields = "name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,persistence_mode"
    asked = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/gpu-check"))
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--only", help="one policy, in this process")
    asked = parser.parse_args()
    if asked.only:
        print(json.dumps(check(asked.only)))
        return 0
    asked.out.mkdir(parents=True, exist_ok=True)
    end, good, bad = monotonic() + 60 * asked.minutes, 0, []
    for name in POLICIES:
        left = end - monotonic()
        if left < 30:
            print(f"{name}: left out, no time")
            continue
        command = [sys.executable, "-m", "tests.gpu_check", "--only", name]
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=left, env=dict(os.environ)
            )
        except subprocess.TimeoutExpired:
            print(f"{name}: left out, out of time")
            continue
        if run.returncode:
            bad.append(name)
            print(f"{name}: failed: {run.stderr.strip().splitlines()[-1]}")
            (asked.out / f"{name}.err").write_text(run.stderr)
            continue
        found = json.loads(run.stdout.splitlines()[-1]) | {"card": card()}
        (asked.out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
        rates = {mode: found[mode]["decisions_per_second"] for mode in MODES}
        print(f"{name}: difference {found['difference']:.2g}, decisions a second {rates}")
        good += found["equal"]
        if not found["equal"]:
            bad.append(name)
    print(f"{good} of {len(POLICIES)} without fault" + (f"; at fault: {bad}" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
