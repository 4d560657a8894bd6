"""A cell: policy × protocol × task × init state × seed, and the key that names its result.

The key is a hash of everything that determines the result of the cell on a given machine's
pixels, and of nothing else: two drivers on two machines give the same cell the same key, so their
runs merge without arguments, and a sweep that is resumed or extended skips what is known.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wambench.clock import Timing
from wambench.errors import UserError, one_line
from wambench.policy import Policy
from wambench.protocols import Protocol
from wambench.suite import Factors, Suite, Task

EPISODE_VERSION = 1
"""Raised whenever the episode loop may change the result of any cell."""


def digest_of(value: Any) -> str:
    """128-bit BLAKE2 of canonical JSON, in hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class PolicyChoice:
    """A policy as a sweep names it."""

    label: str  # unique within a run; what tables show
    name: str  # entry point
    options: Mapping[str, Any] = field(default_factory=dict)
    timing: Timing | None = None  # how its decisions are paid for; None: not at all

    def identity(self, policy: Policy) -> dict[str, Any]:
        """What of a policy decides its actions: name, options, spec, source files, fingerprint."""
        try:
            fingerprint = dict(policy.fingerprint())
            digest_of(fingerprint)
        except UserError:  # it says what is wrong and what mends it
            raise
        except Exception as error:
            raise UserError(
                f"policy {self.label!r} has no usable fingerprint: {one_line(error)}; "
                "it must return a mapping of strings"
            ) from error
        decides = self.timing.decides() if self.timing else None
        return {
            "name": self.name,
            "options": {k: v for k, v in self.options.items() if k not in policy.logistics},
            # What it could do if asked to is decided by its source.
            "spec": policy.spec.model_dump(mode="json", exclude={"inpaints"} | _unused(policy)),
            "source": _source_hash(type(policy)),
            "fingerprint": fingerprint,
        } | ({} if decides is None else {"timing": decides})


def _unused(policy: Policy) -> set[str]:
    """Fields of a spec that decide nothing where they are empty, and were not always there."""
    return set() if policy.spec.foresees else {"foresees"}


def _source_hash(kind: type[Policy]) -> str:
    """Hash of the files that define a policy's class and what it inherits from."""
    digest = hashlib.blake2b(digest_size=16)
    for ancestor in kind.__mro__[: kind.__mro__.index(Policy)]:
        source = inspect.getsourcefile(ancestor)
        digest.update(Path(source).read_bytes() if source else b"")
    return digest.hexdigest()


Kind = tuple[str, str, int]
"""Policy, suite and task index."""


@dataclass(frozen=True)
class Cell:
    """One episode to run, self-contained enough to travel to a worker."""

    key: str
    policy: str  # label
    protocol: str
    suite: str
    task_index: int
    task: str
    init_state: int
    seed: int

    @property
    def place(self) -> tuple[str, str, int, int, int]:
        """By what cells are ordered: policy, suite, task, initial state, seed."""
        return self.policy, self.suite, self.task_index, self.init_state, self.seed

    @property
    def kind(self) -> Kind:
        """What cells share that are expected to take equally long."""
        return self.policy, self.suite, self.task_index

    def describe(self) -> str:
        """One line for messages."""
        return (
            f"{self.policy} on {self.suite}/{self.task_index} "
            f"init {self.init_state} seed {self.seed}"
        )


@dataclass(frozen=True)
class StoredCell:
    """A cell with what is known of it."""

    cell: Cell
    outcome: str | None  # None: not run yet, or infrastructure failed each time
    steps: int | None
    fault: str
    final_digest: str | None
    seconds: Mapping[str, float]
    infrastructure_failures: int
    looks: int = 0  # how often the policy was asked


class CellMaker:
    """Makes the cells of one policy on one suite; hashes what they share once."""

    def __init__(
        self, choice: PolicyChoice, policy: Policy, protocol: Protocol, suite: Suite
    ) -> None:
        self._label, self._protocol, self._suite = choice.label, protocol.name, suite.spec.name
        self._instructions = protocol.instructions
        self._shared = digest_of(
            {
                "episode_version": EPISODE_VERSION,
                "label": choice.label,  # two labels of one policy are two arms of a comparison
                "policy": choice.identity(policy),
                "protocol": protocol.determinants(suite.spec),
                "suite": [suite.spec.name, suite.spec.version, dict(suite.fingerprint())],
                "privileged": dict(suite.privileged_fingerprint(policy.spec.moved_by)),
            }
        )

    def make(self, task: Task, init_state: int, seed: int) -> Cell:
        """Build a cell and its key."""
        told = task.start(init_state).told(self._instructions)
        key = digest_of([self._shared, task.name, told, task.init_states_hash, init_state, seed])
        return Cell(
            key=key,
            policy=self._label,
            protocol=self._protocol,
            suite=self._suite,
            task_index=task.index,
            task=task.name,
            init_state=init_state,
            seed=seed,
        )


def noise_seed(cell: Cell, step: int, factors: Factors | None = None) -> int:
    """63-bit seed of a policy's noise at a control step; the same for every policy and protocol.

    A cell whose ``factors`` name a plain one has the noise of that, so that the two differ in
    nothing but what was changed on purpose.
    """
    place: list[Any] = [cell.suite, cell.task, cell.init_state]
    if factors is not None and factors.base_state is not None:
        place = [factors.base_suite, factors.base_task, factors.base_state]
    return int(digest_of([*place, cell.seed, step])[:16], 16) >> 1


def simulator_seed(protocol: Protocol, init_state: int, factors: Factors | None = None) -> int:
    """Seed of the simulator's reset in this episode: that of the plain cell where there is one."""
    if factors is not None and factors.base_state is not None:
        init_state = factors.base_state
    shifted = protocol.simulator_seeding == "plus_init_state"
    return protocol.simulator_seed + (init_state if shifted else 0)
