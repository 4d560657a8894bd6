"""A run's passport: its protocol and the fingerprint of everything else that moves scores."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wambench.arithmetic import Arithmetic
from wambench.cells import EPISODE_VERSION, PolicyChoice, digest_of
from wambench.contract import Frozen
from wambench.policy import Policy
from wambench.protocols import Protocol
from wambench.suite import Simulator, Suite, first_task

BY_NAME = ("policies", "probes", "arithmetic")  # information that an extended run adds to
IMPORTED = "imported"  # of the information: label -> the file that results came from
ARITHMETIC = "arithmetic:"  # of the fingerprint, before a policy's label
VISIBLE_DIFFERENCE = 16  # of 255: what the eye notices at an edge


class SuiteProbe(Frozen):
    """What a worker found when it opened task 0 of a suite."""

    suite: str
    rendering: str
    environment: Mapping[str, str]  # GL backend and renderer, …
    frames_hash: str = Field(description="of the frames of task 0, init state 0, seed 0")
    golden: str = Field(description="'equal', 'none shipped', or in what way the frames differ")


class Passport(Frozen):
    """Two runs are comparable if ``protocol`` and ``fingerprint`` agree; ``info`` need not."""

    protocol: Mapping[str, Any]
    fingerprint: Mapping[str, Mapping[str, Any]]
    info: Mapping[str, Any]

    @property
    def is_imported(self) -> bool:
        """Whether another harness ran the episodes: their course is unknown."""
        return IMPORTED in self.info

    @property
    def id(self) -> str:
        """Hash of what must agree."""
        return digest_of([self.protocol, self.fingerprint])


def make_passport(
    protocol: Protocol,
    suites: Sequence[Suite],
    choices: Sequence[PolicyChoice],
    policies: Mapping[str, Policy],
    probes: Sequence[SuiteProbe],
    arithmetic: Mapping[str, Arithmetic] = MappingProxyType({}),
) -> Passport:
    """Collect a passport.

    The fingerprint is keyed ``suite:…``, ``pixels:…``, ``policy:…`` and ``arithmetic:…``, the last
    for the policies (labels) of which it is known.
    """
    fingerprint = dict(known_of(suites))
    for probe in probes:
        fingerprint[f"pixels:{probe.suite}"] = {"frames": probe.frames_hash}
    for choice in choices:
        identity = choice.identity(policies[choice.label])
        needed = policies[choice.label].spec.moved_by
        privileged = {k: v for s in suites for k, v in s.privileged_fingerprint(needed).items()}
        fingerprint[f"policy:{choice.label}"] = {
            "name": identity["name"],
            "options": identity["options"],
            "version": identity["spec"]["version"],
            "source": identity["source"],
            **({"timing": identity["timing"]} if "timing" in identity else {}),
            **identity["fingerprint"],
            **privileged,
        }
    for label, how in arithmetic.items():
        fingerprint[f"{ARITHMETIC}{label}"] = {"answers": how.answers}
    info = {
        "wambench": metadata.version("wambench"),
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "policies": {choice.label: policies[choice.label].config() for choice in choices},
        "probes": {p.suite: {**p.environment, "golden": p.golden} for p in probes},
        # By answers too, so that a run which was extended elsewhere tells of both.
        "arithmetic": {
            f"{label} {how.answers}": {"policy": label, "how": how.describe()}
            for label, how in arithmetic.items()
        },
    }
    return Passport(protocol=protocol.model_dump(mode="json"), fingerprint=fingerprint, info=info)


def known_of(suites: Sequence[Suite]) -> Mapping[str, Mapping[str, Any]]:
    """The part of a fingerprint that is known before anything is opened: engine and suites."""
    found: dict[str, Mapping[str, Any]] = {"engine": {"episode_version": EPISODE_VERSION}}
    for suite in suites:
        states = digest_of([[task.name, task.init_states_hash] for task in suite.tasks()])
        found[f"suite:{suite.spec.name}"] = {
            "version": suite.spec.version,
            "init_states": states,
            **suite.fingerprint(),
        }
    return found


def differences(ours: Passport, theirs: Passport) -> list[str]:
    """Where two passports disagree, one line each; parts that only one run has are no conflict."""
    found = []
    for key in sorted(set(ours.protocol) & set(theirs.protocol)):
        if key not in ("about", "source", "notes") and ours.protocol[key] != theirs.protocol[key]:
            found.append(f"protocol.{key}: {ours.protocol[key]!r} against {theirs.protocol[key]!r}")
    for part in sorted(set(ours.fingerprint) & set(theirs.fingerprint)):
        mine, other = ours.fingerprint[part], theirs.fingerprint[part]
        if part.startswith(ARITHMETIC):
            if mine != other:
                ways = (_computed(ours, part), _computed(theirs, part))
                found.append(f"{part}: computed with {ways[0]} there, {ways[1]} here")
            continue
        found += [
            f"{part}.{name}: {mine.get(name)!r} against {other.get(name)!r}"
            for name in sorted(set(mine) | set(other))
            if mine.get(name) != other.get(name)
        ]
    return found


def _computed(passport: Passport, part: str) -> str:
    """What computed a policy's answers, in words."""
    answers = passport.fingerprint[part]["answers"]
    entry = passport.info.get("arithmetic", {}).get(f"{part.removeprefix(ARITHMETIC)} {answers}")
    return f"{entry['how']} ({answers[:8]})" if entry else str(answers)


def refused(ours: Passport, theirs: Passport, allow: Sequence[str] = ()) -> list[str]:
    """The differences that are not allowed.

    ``allow`` names fields as the difference prints them ("suite:toy.mujoco"), or a whole
    part ("suite:toy").
    """

    def is_allowed(line: str) -> bool:
        field = line.split(": ")[0]
        return any(field == name or field.startswith(name + ".") for name in allow)

    return [line for line in differences(ours, theirs) if not is_allowed(line)]


def merged(old: Passport, new: Passport) -> Passport:
    """The passport of a run that was extended: old parts kept, new parts added or renewed."""
    return Passport(
        protocol=new.protocol,
        fingerprint={**old.fingerprint, **new.fingerprint},
        info={
            **new.info,
            **{
                part: {**old.info.get(part, {}), **new.info.get(part, {})}
                for part in BY_NAME
                if part in old.info or part in new.info
            },
        },
    )


def probe_suite(suite: Suite, simulator: Simulator, rendering: str) -> SuiteProbe:
    """Draw the golden frames in this process; ``simulator`` has the suite's first task open."""
    golden = suite.golden_frames(rendering)
    cameras = suite.spec.cameras
    size = next(iter(golden.values())).shape[:2] if golden else (128, 128)
    simulator.reset(first_task(suite).open_states[0], 0)
    frames = simulator.draw(simulator.snapshot(), cameras, (size[0], size[1]))
    digest = hashlib.blake2b(digest_size=16)
    for camera in cameras:
        digest.update(frames[camera].tobytes())
    found = [
        f"{camera}: {difference}"
        for camera in cameras
        if camera in golden and (difference := _difference(frames[camera], golden[camera]))
    ]
    verdict = "; ".join(found) or ("equal" if golden else "none shipped")
    return SuiteProbe(
        suite=suite.spec.name,
        rendering=rendering,
        environment=suite.environment(),
        frames_hash=digest.hexdigest(),
        golden=verdict,
    )


def _difference(frame: NDArray[np.uint8], golden: NDArray[np.uint8]) -> str:
    """In what way two frames differ; empty if they do not."""
    gap = np.abs(frame.astype(int) - golden.astype(int))
    if not gap.any():
        return ""
    share = float((gap.max(axis=2) > VISIBLE_DIFFERENCE).mean())
    return f"mean |d| {gap.mean():.2f}/255, {100 * share:.1f} % of pixels differ visibly"


def _commit() -> str:
    """Git commit of the source, with + if it was changed; "unknown" outside a checkout."""
    folder = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "-C", folder, "rev-parse", "--short=12", "HEAD"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
        changed = subprocess.run(
            ["git", "-C", folder, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
