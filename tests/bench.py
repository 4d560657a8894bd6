"""``make bench``: our sweep against the plain loop every harness runs, on the same cells.

The policy replays an expert's actions in chunks of 16, executing 8, and is given both cameras at
256 px each time it is asked: it costs nothing itself, looks like a chunked image policy, succeeds.

* plain: one process steps LIBERO's own ``OffScreenRenderEnv``, which draws both cameras at every
  step, as the reference evaluations do;
* exact, lean: simulator workers and a policy actor on Ray under the two rendering presets.

All take turns on the same two cells, so a busy machine slows all alike. Read the ratios, not the
seconds. Opening a task is left out on both sides and printed apart.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from tests.naive import NaiveEnvironment
from wambench import plugins
from wambench.cells import Cell
from wambench.episode import EpisodeRecord, Setting, run_episode
from wambench.policy_server import LocalClient, PolicyActor
from wambench.protocols import protocol
from wambench.sweeping.cluster import LocalRay, ray
from wambench.sweeping.pool import Pool, Slot
from wambench.sweeping.worker import ray_options

TASKS = [("libero_object", 2), ("libero_spatial", 0), ("libero_goal", 8)]
INIT_STATES = (0, 1)
RULES = {
    rendering: protocol("wambench-1", {"image_size": (256, 256), "rendering": rendering})
    for rendering in ("exact", "lean")
}


def cell_of(suite: str, task_index: int, init_state: int) -> Cell:
    task = plugins.make_suite(suite).tasks()[task_index]
    key = f"{suite}-{task_index}-{init_state}"
    return Cell(key, "replay", "bench", suite, task_index, task.name, init_state, 0)


def setting(cell: Cell, rendering: str, policy: Any) -> Setting:
    suite = plugins.make_suite(cell.suite)
    start = suite.tasks()[cell.task_index].start(cell.init_state)
    return Setting(RULES[rendering], suite.spec, policy.spec, start)


def expert_actions(cells: list[Cell]) -> dict[str, np.ndarray]:
    """The expert's actions on cells of one task."""
    suite = plugins.make_suite(cells[0].suite)
    simulator = suite.open(suite.tasks()[cells[0].task_index], "exact")
    expert = plugins.make_policy("expert", {})
    out = {}
    for cell in cells:
        record = run_episode(cell, setting(cell, "exact", expert), simulator, LocalClient(expert))
        out[f"{cell.suite}/{cell.task}/{cell.init_state}"] = record.trace.actions
    return out


def plain_process(pipe: Connection, suite: str, task_index: int) -> None:
    """Serve episodes of the plain loop: (init state, actions) in, (steps, success, seconds) out."""
    began = perf_counter()
    naive = NaiveEnvironment(suite, task_index, 256)
    pipe.send(perf_counter() - began)
    rules = RULES["exact"]
    settle = np.array(plugins.make_suite(suite).spec.settle_action)
    while True:
        request = pipe.recv()
        if request is None:
            return
        init_state, actions = request
        began = perf_counter()
        naive.begin(init_state, rules.simulator_seed)
        for _ in range(rules.settle_steps):
            naive.env.step(settle)
        step, done = 0, False
        while step < rules.budget(plugins.make_suite(suite).spec) and not done:
            _, _, done, _ = naive.env.step(actions[min(step, len(actions) - 1)])
            step += 1
        pipe.send((step, bool(done), perf_counter() - began))


def open_slots(pool: Pool, task: tuple[str, int]) -> float:
    for _ in range(pool.size):
        pool.open(task)
    opening = [ray.get(slot.reference) for slot in pool.slots]
    for slot in pool.slots:
        slot.reference = None
    return statistics.mean(opening)


def run_cells(
    slots: list[Slot], cells: list[Cell], rendering: str, policy: Any, actor: Any
) -> tuple[float, list[EpisodeRecord], int]:
    """Run the cells on the slots, all at once if there are as many; wall seconds, records, RSS."""
    began, waiting, busy, records, rss = perf_counter(), list(cells), {}, [], 0
    free = list(slots)
    while waiting or busy:
        while waiting and free:
            slot, cell = free.pop(), waiting.pop(0)
            reference = slot.actor.run.remote(cell, setting(cell, rendering, policy), actor)
            busy[reference] = slot
        (done,), _ = ray.wait(list(busy))
        finished = ray.get(done)
        records.append(finished.record)
        rss = max(rss, finished.rss_mb)
        free.append(busy.pop(done))
    return perf_counter() - began, sorted(records, key=lambda r: r.cell.init_state), rss


def bench_task(task: tuple[str, int], folder: Path, total: dict[str, Any]) -> None:
    cells = [cell_of(*task, init_state) for init_state in INIT_STATES]
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:  # the expert's simulator leaves with its process
        actions = pool.apply(expert_actions, (cells,))
    file = folder / f"{task[0]}-{task[1]}.npz"
    np.savez(file, **actions)
    options = {"actions": str(file)}
    policy = plugins.make_policy("replay", options)
    actor = ray.remote(PolicyActor).options(**ray_options()).remote("replay", options)
    pools = {name: Pool(2, name, stall_seconds=600) for name in RULES}
    for name, workers in pools.items():
        total[f"open_{name}_s"].append(open_slots(workers, task))
    ours, theirs = context.Pipe()
    plain = context.Process(target=plain_process, args=(theirs, *task), daemon=True)
    plain.start()
    total["open_plain_s"].append(ours.recv())

    for warm_up in (True, False):  # contexts and textures are made on the first frame
        for name, workers in pools.items():
            for slot in workers.slots if warm_up else ():
                run_cells([slot], cells[:1], name, policy, actor)
    seconds = defaultdict(float)
    plain_outcomes = []
    for cell in cells:
        ours.send((cell.init_state, actions[f"{cell.suite}/{cell.task}/{cell.init_state}"]))
        steps, success, spent = ours.recv()
        plain_outcomes.append((steps, success))
        seconds["plain"] += spent
        # After each plain episode both presets run both cells: four turns to its one, so that the
        # short ones are sampled as widely as the long one.
        for name, workers in pools.items():
            spent, records, rss = run_cells(workers.slots, cells, name, policy, actor)
            seconds[name] += spent / len(cells)
            total[f"rss_{name}_mb"].append(rss)
            for record in records:
                for stage, value in record.seconds.items():
                    total[f"stages_{name}"][stage].append(value / record.steps)
            if name == "exact":
                outcomes = [(r.steps, r.outcome == "success") for r in records]
                spent, _, _ = run_cells(workers.slots[:1], cells, name, policy, actor)
                seconds["exact, one worker"] += spent / len(cells)
    ours.send(None)
    for workers in pools.values():
        for slot in list(workers.slots):
            workers.kill(slot)
    ray.kill(actor)
    same = outcomes == plain_outcomes
    total["identical"].append(same)
    line = {"task": f"{task[0]}/{task[1]}", "outcomes identical": same}
    for name, value in seconds.items():
        total["seconds"][name] += value
        if name != "plain":
            line[name] = f"{seconds['plain'] / value:.1f}x"
    print(json.dumps(line), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one task instead of three")
    tasks = TASKS[:1] if parser.parse_args().quick else TASKS
    total: dict[str, Any] = defaultdict(list)
    total["seconds"] = defaultdict(float)
    for name in RULES:
        total[f"stages_{name}"] = defaultdict(list)
    cluster = LocalRay(4)
    with tempfile.TemporaryDirectory() as folder:
        for task in tasks:
            bench_task(task, Path(folder), total)
    cluster.stop()
    report(total, 2 * len(tasks))
    suite, task = tasks[0]
    command = [sys.executable, "-m", "tests.breakdown", suite, str(task)]
    subprocess.run(command, check=True)  # a process of its own: it tells what opening takes
    return 0 if all(total["identical"]) else 1


def report(total: dict[str, Any], episodes: int) -> None:
    seconds = total["seconds"]
    print(f"\n{'':24}{'episodes/hour':>14}{'against plain':>15}")
    for name, spent in seconds.items():
        print(f"{name:24}{3600 * episodes / spent:14.0f}{seconds['plain'] / spent:14.1f}x")
    print(f"\ntwo workers against one: {seconds['exact, one worker'] / seconds['exact']:.2f}x")
    for name in RULES:
        print(f"\n{name}: milliseconds per control step of one worker")
        stages = {s: 1e3 * statistics.mean(v) for s, v in total[f"stages_{name}"].items()}
        whole = stages.pop("total")
        named = sum(stages.values())
        for stage, value in sorted(stages.items(), key=lambda item: -item[1]):
            print(f"  {stage:10}{value:8.2f}{100 * value / whole:6.0f} %")
        print(f"  {'other':10}{whole - named:8.2f}{100 * (whole - named) / whole:6.0f} %")
        print(f"  peak memory of a worker: {max(total[f'rss_{name}_mb'])} MiB")
    opening = {n: statistics.mean(total[f"open_{n}_s"]) for n in ("plain", *RULES)}
    print(f"\nopening a task, seconds: { {k: round(v, 1) for k, v in opening.items()} }")


if __name__ == "__main__":
    sys.exit(main())
