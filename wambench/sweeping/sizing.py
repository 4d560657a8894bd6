"""What a sweep needs, what there is, and what therefore runs: all at once, in turns, or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wambench.errors import UserError
from wambench.policy import Policy
from wambench.sweepfile import Placing, Plan
from wambench.sweeping.machine import RESERVE_MB, Node

SCRIPTED_MB = 150  # measured: Ray's worker and numpy
LEARNED_MB = 550  # measured: torch, diffusers and transformers beside them


@dataclass(frozen=True)
class Load:
    """What one process of a policy takes; ``replicas``: how many are wanted, None: all that pay."""

    memory_mb: int
    gpus: float = 0
    replicas: int | None = 1


@dataclass
class Room:
    """What is free for policies on each node."""

    memory_mb: list[int]
    gpus: list[float]

    def take(self, load: Load) -> int | None:
        """Reserve a place for one process; the node's number, or None if it must wait."""
        for node, (memory, gpus) in enumerate(zip(self.memory_mb, self.gpus, strict=True)):
            if load.memory_mb <= memory and load.gpus <= gpus + 1e-9:
                self.memory_mb[node] -= load.memory_mb
                self.gpus[node] -= load.gpus
                return node
        return None

    def give_back(self, load: Load, node: int) -> None:
        """Free a place."""
        self.memory_mb[node] += load.memory_mb
        self.gpus[node] += load.gpus


@dataclass(frozen=True)
class Sizing:
    """What a sweep will take.

    Attributes:
        workers: simulator processes.
        simulator_mb: memory of each.
        loads: label -> what the policy takes.
        nodes: what there is.
    """

    workers: int
    simulator_mb: int
    loads: Mapping[str, Load]
    nodes: Sequence[Node] = field(default_factory=list)

    def room(self) -> Room:
        """What the simulators leave to policies."""
        cores = max(1, sum(node.cores for node in self.nodes))
        shares = [-(-self.workers * node.cores // cores) for node in self.nodes]
        return Room(
            [
                node.memory_mb - share * self.simulator_mb
                for node, share in zip(self.nodes, shares, strict=True)
            ],
            [float(node.gpus) for node in self.nodes],
        )

    def homeless(self) -> str | None:
        """A policy that has no place although it is alone; None: each has one."""
        alone = (label for label, load in self.loads.items() if self.room().take(load) is None)
        return next(alone, None)

    def turns(self) -> list[list[str]]:
        """Policies that are in memory together, one list after the other."""
        turns: list[list[str]] = []
        room = self.room()
        for label, load in self.loads.items():
            if not turns or room.take(load) is None:
                room = self.room()
                room.take(load)
                turns.append([])
            turns[-1].append(label)
        return turns

    @property
    def available_mb(self) -> int:
        """Memory of all nodes, what is kept for Ray here included."""
        return _memory(self.nodes) + (RESERVE_MB if len(self.nodes) == 1 else 0)

    def needs(self) -> list[dict[str, Any]]:
        """What every policy and the simulators take, for people; ``turn`` from 1."""
        turn = {label: 1 + n for n, labels in enumerate(self.turns()) for label in labels}
        rows: list[dict[str, Any]] = [
            {
                "what": label,
                "processes": load.replicas or 1,
                "memory_mb": load.memory_mb,
                "gpus": int(load.gpus) if load.gpus == int(load.gpus) else load.gpus,
                "turn": turn[label],
            }
            for label, load in self.loads.items()
        ]
        each = {"memory_mb": self.simulator_mb, "gpus": 0, "turn": "all"}
        return [*rows, {"what": "simulator", "processes": self.workers, **each}]

    def available(self) -> str:
        """One line that says what there is."""
        cores, gpus = (sum(getattr(n, what) for n in self.nodes) for what in ("cores", "gpus"))
        many = f"{len(self.nodes)} nodes: " if len(self.nodes) > 1 else "there are "
        return f"{many}{cores} cores, {self.available_mb} MiB, {gpus} GPUs"

    @property
    def memory_mb(self) -> int:
        """Peak of all processes, Ray's included."""
        most = max(sum(self.loads[label].memory_mb for label in turn) for turn in self.turns())
        return RESERVE_MB + self.workers * self.simulator_mb + most


def size(
    plan: Plan, workers: int | None, nodes: Sequence[Node], labels: Sequence[str] | None = None
) -> Sizing:
    """Choose the number of simulators; raises UserError for what can never fit.

    ``labels``: policies that have something to do; None: all.
    """
    each = max(suite.spec.memory_mb for suite in plan.suites.values())
    gpus = sum(node.gpus for node in nodes)
    asked = (plan.process[label] for label in plan.policies if labels is None or label in labels)
    loads = {label: _load(plan, label) for label in dict.fromkeys(asked)}
    for label, load in loads.items():
        _check(label, load, nodes, each)
    largest = max(load.memory_mb for load in loads.values())
    if len(nodes) == 1:
        fit = (nodes[0].memory_mb - largest) // each
    else:
        fit = sum(min(node.cores, node.memory_mb // each) for node in nodes)
    if fit < 1 or not any(node.cores for node in nodes):
        raise UserError(
            f"no node has a core and {each} MiB for one simulator; give Ray's nodes --num-cpus and "
            "more memory"
        )
    if workers is not None and workers > fit:
        need = RESERVE_MB + largest + workers * each
        raise UserError(
            f"--workers {workers} needs {need} MiB, {_memory(nodes) + RESERVE_MB} MiB are "
            f"available; use --workers {fit} or fewer"
        )
    cores = sum(node.cores for node in nodes)
    chosen = workers or min(cores, fit, max(1, len(plan.cells)))
    while True:
        sizing = Sizing(
            chosen, each, {n: _placed(v, gpus, chosen) for n, v in loads.items()}, nodes
        )
        homeless = sizing.homeless()
        if homeless is None:
            return sizing
        if workers is not None or chosen == 1:
            raise UserError(
                f"policy {homeless!r} needs {loads[homeless].memory_mb} MiB, which no node has "
                f"beside {chosen} simulators of {each} MiB; use fewer --workers or a larger node"
            )
        chosen -= 1


def _load(plan: Plan, label: str) -> Load:
    choice, policy = plan.placing.get(label, Placing()), plan.policies[label]
    gpus = policy.spec.num_gpus if choice.num_gpus is None else choice.num_gpus
    return Load(_policy_mb(policy, gpus), gpus, choice.replicas)


def _policy_mb(policy: Policy, gpus: float) -> int:
    """Memory of a policy's process; weights on a GPU do not count."""
    if policy.spec.track == "scripted":
        return SCRIPTED_MB
    weights = 0 if gpus else policy.needs().memory_gb * 1e9 / 2**20
    return LEARNED_MB + round(weights)


def _check(label: str, load: Load, nodes: Sequence[Node], simulator_mb: int) -> None:
    """Refuse a policy that no node can hold."""
    most = max((node.gpus for node in nodes), default=0)
    where = "this machine" if len(nodes) == 1 else "the largest node"
    if load.gpus > most:
        has = f"{most} GPU{'s' * (most != 1)}" if most else "no GPU"
        raise UserError(
            f"policy {label!r} needs {load.gpus:g} GPU{'s' * (load.gpus > 1)}, {where} has {has}; "
            "run it where there is one, or leave it out of the sweep file"
        )
    able = [node.memory_mb for node in nodes if node.gpus >= load.gpus]
    need = load.memory_mb + (simulator_mb if len(nodes) == 1 else 0)
    if need > max(able):
        beside = f", one simulator {simulator_mb} MiB" if len(nodes) == 1 else ""
        raise UserError(
            f"not enough memory: policy {label!r} needs {load.memory_mb} MiB{beside}, {where} has "
            f"{max(able)} MiB for them beside {RESERVE_MB} MiB for Ray; free some, use a larger "
            "machine, or leave the policy out"
        )
    if load.replicas and load.gpus and load.replicas * load.gpus > sum(n.gpus for n in nodes):
        raise UserError(
            f"policy {label!r}: {load.replicas} replicas need {load.replicas * load.gpus:g} GPUs, "
            f"there are {sum(n.gpus for n in nodes)}; write replicas: auto"
        )


def _placed(load: Load, gpus: int, workers: int) -> Load:
    """With as many processes as asked for, or one for every GPU that a simulator could use."""
    if load.replicas is not None:
        return load
    return replace(load, replicas=max(1, min(workers, int(gpus // (load.gpus or gpus + 1)))))


def _memory(nodes: Iterable[Node]) -> int:
    return sum(node.memory_mb for node in nodes)
