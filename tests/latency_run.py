"""A made-up run under a paying clock: policies that suffer from latency in known ways."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.test_report import good_passport, record_of
from wambench.cells import Cell, PolicyChoice, digest_of
from wambench.clock import NAMED_RULES, Latency, Timing, charged_steps
from wambench.contract import PolicySpec
from wambench.protocols import protocol
from wambench.store import Store

HZ = 10  # of the toy suite
TASKS, STATES = ("go left", "go right", "grasp in the middle"), 5
LATENCIES_MS = (0.0, 100.0, 300.0, 800.0)
RULES = ("hold", "overlap")
OWN = {
    "claimed": Latency(ms=(300.0,), source="claimed", about="Table 5, X, A6000", where="Table 5"),
    "predicted": Latency(
        ms=(100.0,), source="predicted", about="x on H100, graph", where="H100, graph"
    ),
    "measured": Latency(
        ms=(80.0, 120.0, 400.0), source="measured", about="x on H100", where="H100, eager"
    ),
}  # fmt: skip
POLICIES: Mapping[str, float] = {"quick": 0.0, "slow": 0.1, "third <&>": 0.04}
"""Label -> success lost for every 100 ms of waiting."""


def timings(policy: str) -> Iterator[Timing]:
    """Those of the grid, own costs, and a wall clock."""

    def timing(rule: str, latency: Latency | None) -> Timing:
        return Timing(
            clock="paying" if latency else "wall",
            rule=rule,
            rules=NAMED_RULES[rule or "hold"],
            latency=latency,
            policy=policy,
        )

    yield timing("", Latency(ms=(0.0,), about="0 ms"))
    for ms in LATENCIES_MS[1:]:
        for rule in RULES:
            yield timing(rule, Latency(ms=(ms,), about=f"{ms:g} ms"))
    for latency in OWN.values():
        yield timing("hold", latency)
    yield timing("hold", None)


def label_of(timing: Timing) -> str:
    latency = timing.latency
    words = "wall" if latency is None else f"{latency.typical_ms:g}ms"
    if latency is not None and latency.source != "constant":
        words += f" {latency.source}"
    return " ".join(filter(None, (timing.policy, words, timing.rule)))


def make(
    folder: Path,
    policies: Mapping[str, float] = POLICIES,
    only: Sequence[str] = (),
    tasks: Sequence[str] = TASKS,
) -> Path:
    """The run; ``only``: arms of these labels."""
    rules = protocol("wambench-1", {"clock": "paying"}).model_dump(mode="json")
    passport = good_passport().model_copy(update={"protocol": rules})
    with Store.write(folder, "wambench sweep made-up.yaml") as store:
        store.set_passport(passport)
        for policy, lost in policies.items():
            for timing in timings(policy):
                label = label_of(timing)
                if not only or label in only:
                    _play(store, timing, label, lost, tasks)
    return folder


def _play(store: Store, timing: Timing, label: str, lost: float, tasks: Sequence[str]) -> None:
    spec = PolicySpec(paradigm="vla", track="nano", about="made up")
    made = [
        Cell(digest_of([label, task, state]), label, "wambench-1", "toy", index, task, state, 0)
        for index, task in enumerate(tasks)
        for state in range(STATES)
    ]
    store.add_plan(made, [PolicyChoice(label, timing.policy, {}, timing)], {label: spec})
    waits = 0.3 if timing.rule == "overlap" else 1.0
    ms = timing.latency.typical_ms if timing.latency else 200.0
    for cell in made:
        random = np.random.default_rng(int(digest_of([timing.policy, *cell.place[1:]])[:8], 16))
        won = random.random() < 0.95 - lost * waits * ms / 100
        record = record_of(cell, "success" if won else "failure")
        steps = charged_steps(ms, HZ, timing.rules)
        asked = list(range(0, record.steps, max(1, steps + 3)))
        told: dict[str, Any] = {
            "clock/asked_step": asked,
            "clock/charged_steps": [steps] * len(asked),
            "clock/held_steps": [min(record.steps, steps) if timing.rule == "hold" else 0],
            "clock/stale_actions": [min(record.steps, steps) if timing.rule == "overlap" else 0],
        }
        store.add_episode(dataclasses.replace(record, looks=len(asked), measured=told))
