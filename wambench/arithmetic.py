"""How a policy computes: its answers to fixed observations, and what computed them.

Processors, and libraries that choose their kernels by them, round differently in the last bits.
Two runs of one cell may then end otherwise although nothing that names the cell differs.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from time import perf_counter
from typing import Any

import numpy as np

from wambench.contract import Frozen, Observation
from wambench.policy import Policy
from wambench.profile.acting import start_of
from wambench.profile.observations import observations

LOOKS = 3  # observations that a policy is asked about, one at a time
SLOW_SECONDS = 10.0  # a policy that takes longer is asked about one, once
EPISODE = "arithmetic"
UNREPEATABLE = "not the same twice"  # instead of a hash
LIBRARIES = ("numpy", "torch", "jax")


class Arithmetic(Frozen):
    """A policy's answers to fixed observations (a hash), and what computed them."""

    answers: str
    device: str
    kernels: str  # what torch chooses them by: AVX2, AVX512…; empty without torch
    threads: int
    versions: Mapping[str, str]

    def describe(self) -> str:
        """In words."""
        made = [self.device, self.kernels, f"{self.threads} thread{'s' * (self.threads > 1)}"]
        made += [f"{name} {version}" for name, version in self.versions.items()]
        return ", ".join(filter(None, made))


def arithmetic_of(policy: Policy) -> Arithmetic | None:
    """Ask a loaded policy; None for a scripted one, whose few sums agree everywhere.

    The policy forgets the episode it is asked in. What it raises, or answers otherwise when asked
    again, stands in ``answers`` instead of a hash: then only episodes can tell.
    """
    if policy.spec.track == "scripted":
        return None
    return Arithmetic(
        answers=_answers(policy),
        device=_device(policy),
        kernels=_torch("backends.cpu.get_cpu_capability", ""),
        threads=_torch("get_num_threads", 1),
        versions={name: metadata.version(name) for name in LIBRARIES if name in sys.modules},
    )


def _answers(policy: Policy) -> str:
    digest = hashlib.blake2b(digest_size=16)
    seen = observations(policy.spec, LOOKS)
    try:
        for number, one in enumerate(seen):
            began = perf_counter()
            chunk = _ask(policy, one)
            slow = perf_counter() - began > SLOW_SECONDS
            if number == 0 and not slow and _ask(policy, one) != chunk:
                return UNREPEATABLE
            digest.update(chunk)
            if slow:
                break
    except Exception as error:
        return f"none: it raised {type(error).__name__}"
    return digest.hexdigest()


def _ask(policy: Policy, seen: Observation) -> bytes:
    """The answer of an episode that begins with this observation."""
    policy.reset(start_of(policy.spec, seen, EPISODE))
    try:
        (chunk,) = policy.act([seen])
    finally:
        policy.forget(seen.episode)
    return np.ascontiguousarray(chunk).tobytes()


def _device(policy: Policy) -> str:
    if policy.spec.num_gpus and (name := _torch("cuda.get_device_name", "")):
        return str(name)
    return platform.machine()


def _torch(call: str, otherwise: Any) -> Any:
    """What a function of torch says, if the policy has imported it."""
    found: Any = sys.modules.get("torch")
    try:
        for part in call.split("."):
            found = getattr(found, part)
        return found()
    except Exception:  # no torch, no GPU, another torch
        return otherwise
