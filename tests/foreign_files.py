"""Make tests/foreign/: results written by vla-eval's and lerobot's own code, of made-up episodes.

    pip install --no-deps --target PEERS vla-eval==0.8.0 lerobot==0.4.4
    pip install --target PEERS accelerate cachebox datasets draccus einops gymnasium iso8601
    pip install --target PEERS pyserial
    PYTHONPATH=PEERS python -m tests.foreign_files

Both run their own loop or writer, up to the file; only what nothing here calls is replaced. The
outcomes are ``won``'s.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import json
import sys
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import MagicMock

FOLDER = Path(__file__).parent / "foreign"
TASKS = ("put the bowl on the plate", "put the cup on the plate")
EPISODES = 3


def won(policy: str, task: int, episode: int) -> bool:
    """Policy ``a`` fails once, ``b`` succeeds once in each task."""
    return (task, episode) != (1, 2) if policy == "a" else episode == 0


def vla_eval_files(policy: str, folder: Path, steps: int) -> None:
    """A recording and the aggregate that its export makes of it."""
    from vla_eval.recording import RecordingStore
    from vla_eval.results.export import export_db

    recording = folder / f"{policy}.sqlite"
    recording.unlink(missing_ok=True)
    store = RecordingStore(recording)
    config = {"params": {"suite": "libero_spatial", "seed": 7}, "max_steps": steps}
    store.upsert_eval_metadata(
        "one",
        policy,
        {
            "benchmark": "libero_spatial",
            "mode": "sync",
            "config": config,
            "metric_keys": {"success": "mean"},
            "harness_version": "0.8.0",
        },
    )

    def add(task: int, episode: int, attempt: str, **told: Any) -> None:
        store.upsert_episode_result(
            sid="s", eid=f"{task}-{episode}-{attempt}", eval_id="one", task_name=TASKS[task],
            episode_id=episode, steps=5, elapsed_sec=1.0, context={"task_idx": task},
            jsonl_path="", **told,
        )  # fmt: skip

    def lost(task: int, episode: int, reason: str) -> None:
        add(
            task, episode, "lost", status="error", metrics={"success": False},
            failure_reason=reason, failure_detail="made up",
        )  # fmt: skip

    lost(0, 0, "env_step")  # and played again
    for task in range(len(TASKS)):
        for episode in range(EPISODES):
            success = won(policy, task, episode)
            add(
                task, episode, "played", status="success" if success else "fail",
                metrics={"success": success}, failure_reason=None, failure_detail=None,
            )  # fmt: skip
    lost(0, EPISODES, "server_unreachable")
    lost(1, EPISODES, "model_act")
    store.close()
    export_db(recording, folder)


def lerobot_file(policy: str, folder: Path) -> None:
    """``eval_info.json`` of lerobot's own evaluation of a policy in two environments."""
    _without_what_is_not_called()
    import gymnasium
    import numpy as np
    import torch
    from lerobot.scripts.lerobot_eval import eval_policy_all

    class Toy(gymnasium.Env):
        observation_space = gymnasium.spaces.Dict(
            {"agent_pos": gymnasium.spaces.Box(-1, 1, (2,), np.float32)}
        )
        action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
        metadata: ClassVar = {"render_fps": 10}
        _max_episode_steps = 2

        def __init__(self, task: int) -> None:
            self.task, self.episode = task, 0
            self.task_description = TASKS[task]

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            self.episode = 0 if seed is None else seed - 1000
            return {"agent_pos": np.zeros(2, np.float32)}, {}

        def step(self, action: Any) -> Any:
            success = won(policy, self.task, self.episode)
            return {"agent_pos": np.zeros(2, np.float32)}, 0.0, True, False, {"is_success": success}

    class Still(torch.nn.Module):
        def reset(self) -> None: ...

        def select_action(self, observation: Any) -> torch.Tensor:
            return torch.zeros(1, 2)

    def same(value: Any) -> Any:
        return value

    environments = {
        "libero_spatial": {
            task: gymnasium.vector.SyncVectorEnv(
                [lambda task=task: Toy(task)],  # type: ignore[misc]
                autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP,
            )
            for task in range(len(TASKS))
        }
    }
    info = eval_policy_all(environments, Still(), same, same, same, same, EPISODES, start_seed=1000)
    path = folder / policy / "eval_info.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(info, indent=2))


def _without_what_is_not_called() -> None:
    """Its policies want another transformers than ours, and its pictures torchvision."""
    vision = ("", ".transforms", ".transforms.v2", ".transforms.functional", ".io", ".ops",
              ".transforms.v2.functional", ".models", ".models._utils", ".ops.misc")  # fmt: skip
    names = [f"torchvision{name}" for name in vision]
    policies = ("", ".factory", ".pretrained", ".xvla", ".xvla.configuration_xvla")
    for name in [*names, *(f"lerobot.policies{name}" for name in policies)]:
        module = MagicMock()
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__version__ = "0"
        sys.modules[name] = module
    sys.modules["lerobot.policies.pretrained"].PreTrainedPolicy = object  # type: ignore[attr-defined]


def main() -> None:
    """Make all files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder: Path = parser.parse_args().folder
    folder.mkdir(exist_ok=True)
    for policy, steps in (("a", 220), ("b", 220), ("short", 100)):
        vla_eval_files(policy, folder, steps)
    for policy in "ab":
        lerobot_file(policy, folder)


if __name__ == "__main__":
    main()
