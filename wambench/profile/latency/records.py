"""What one latency measurement of one policy leaves on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from wambench.contract import Frozen
from wambench.errors import UserError, complaint
from wambench.inference import StageName
from wambench.naming import file_name
from wambench.profile.latency.environment import Device, Environment
from wambench.profile.latency.protocol import LatencyProtocol, Mode, Scope, Text

Samples = tuple[tuple[float, ...], ...]  # milliseconds, in blocks


class Fault(Frozen):
    """Something that makes a number, or the comparison of two, mean less than it seems to."""

    code: str
    sentence: str


class WarmUp(Frozen):
    """How warming up went. ``change``: of the last window's median; None: too few calls to say."""

    calls: int
    seconds: float
    change: float | None
    settled: bool


class Times(Frozen):
    """One scope with one kind of text; milliseconds.

    Attributes:
        clock: of ``samples`` and all percentiles: ``device`` events for kernels on a GPU, else
            ``wall``.
        low_ms, high_ms: bootstrap interval of the median.
        slow_calls: of more than ``slow`` medians; they are in all figures.
        wall_p50_ms: by the host's clock; larger than the device's where launching is the limit.
        cpu_p50_ms: CPU time of this process; None where the policy is in another one.
        joules: of the device, per call, if it counts its energy.
        samples: call by call; block i of all policies of an audit ran in round i.
        cpu_samples: the same in CPU time, where the policy computes on the CPU and here.
        moved: relative change of the reference's median when it was measured again at the end.
    """

    clock: Literal["device", "wall"]
    n: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    mean_ms: float
    min_ms: float
    max_ms: float
    low_ms: float
    high_ms: float
    slow_calls: int
    wall_p50_ms: float
    cpu_p50_ms: float | None
    joules: float | None
    warm_up: WarmUp
    samples: Samples
    cpu_samples: Samples | None
    moved: float

    @property
    def steady_samples(self) -> Samples:
        """What ratios are formed of: CPU time where there is no device, and it is known.

        Other programs' turns on a core are in wall time, and are none of the policy's.
        """
        return self.samples if self.cpu_samples is None else self.cpu_samples


class Ratio(Frozen):
    """This policy's median over the reference's, in paired rounds of one audit."""

    value: float
    low: float
    high: float
    clock: Literal["device", "wall", "cpu"]


class Inputs(Frozen):
    """What the policy was shown. ``flat``: pictures of one colour, such as zeros."""

    instruction: str
    distinct: int
    flat: int
    cameras: Mapping[str, tuple[int, int]]  # name -> (height, width)


class Outputs(Frozen):
    """What it answered in all timed calls.

    Attributes:
        actions: of the shortest chunk.
        distinct: different chunks; 1 from a policy that does not look.
        difference: largest gap between an action in this mode and eager, over the largest action;
            None in eager mode.
    """

    finite: bool
    actions: int
    distinct: int
    difference: float | None


class Work(Frozen):
    """What torch's counter saw in one call; 1 multiply-add = 2 FLOPs. None: torch is not used.

    Attributes:
        act_flops: of ``act``, by text.
        program_flops: of the program that ``kernels`` times.
        attention_flops: the part of ``program_flops`` (else ``act_flops``), cold, that is fused
            attention.
        act_calls: stage -> calls in ``act``, by text; empty if it does not run the program shown.
        program_calls: the same of the program.
        keeps_text: whether the program has steps that depend on the instruction alone.
    """

    act_flops: Mapping[Text, int] | None
    program_flops: Mapping[Text, int] | None
    attention_flops: int | None
    act_calls: Mapping[Text, Mapping[StageName, int]]
    program_calls: Mapping[Text, Mapping[StageName, int]]
    keeps_text: bool


class Stages(Frozen):
    """Single stages from a run of their own; medians in milliseconds, text included.

    ``sum_ms`` is the median of the stages' sum, ``whole_ms`` that of whole programs run in turn
    with them, by the same clock (CPU time where there is no device); ``gap`` the median of how far
    a sum is from the whole that ran just before it.
    """

    p50_ms: Mapping[StageName, float]
    sum_ms: float
    whole_ms: float
    gap: float


class Memory(Frozen):
    """Bytes at the peak of the timed calls; ``allocated`` and ``reserved`` are a GPU's."""

    weights: int
    process: int
    allocated: int | None = None
    reserved: int | None = None


class LatencyRecord(Frozen):
    """All of one policy in one mode on one device.

    Attributes:
        label: of the file; policy and what sets it apart from its plain self.
        identity: hash of options, source and files, as a sweep's cells have it.
        scopes: scope -> text -> times. A policy that shows no inference has no ``kernels``.
        load_seconds: to have it ready, weights included.
        first_call_ms: of the first ``act`` of the process, in eager mode.
        compile_ms: what the first calls took beyond the later ones, in the other modes.
        compiled_graphs: pieces that were compiled or captured.
        refused: stage -> why it could not be captured as a graph, and ran as it is.
        served_by: what stood between client and policy.
        audit: which records were measured in turn with each other.
        reference: label of the audit's first policy.
        ratios: scope -> text -> over the reference; empty for itself.
        flags: faults found in this record alone.
    """

    protocol: Literal["latency-1"]
    rules: LatencyProtocol
    policy: str
    label: str
    options: Mapping[str, Any]
    identity: str
    geometry: str
    preset: str | None
    paradigm: str
    track: str
    mode: Mode
    dtype: str
    device: Device
    environment: Environment
    horizon: int
    executed_actions: int
    control_hz: float | None
    inputs: Inputs
    outputs: Outputs
    work: Work
    scopes: Mapping[Scope, Mapping[Text, Times]]
    stages: Stages | None
    load_seconds: float
    first_call_ms: float
    compile_ms: float | None
    compiled_graphs: int | None
    refused: Mapping[StageName, str] = {}
    memory: Memory
    served_by: str
    audit: str
    reference: str
    ratios: Mapping[Scope, Mapping[Text, Ratio]] = {}
    flags: tuple[Fault, ...] = Field(default=())

    def times(self, scope: Scope, text: Text) -> Times | None:
        """The times of a scope, if it was measured."""
        return self.scopes.get(scope, {}).get(text)

    def act_ms(self, text: Text = "warm") -> float | None:
        """Median from observation to actions."""
        found = self.times("policy", text)
        return found.p50_ms if found else None

    def ms_per_action(self, text: Text = "warm") -> float | None:
        """Median per executed action: a chunk's cost spread, not a reaction time."""
        act = self.act_ms(text)
        return act / self.executed_actions if act is not None else None

    def actions_per_second(self, text: Text = "warm") -> float | None:
        """Most actions a robot can execute that waits while the policy computes."""
        each = self.ms_per_action(text)
        return 1000 / each if each else None

    def write(self, folder: Path) -> Path:
        """Write the file of the label, whole or not at all; one field a line."""
        content = self.model_dump(mode="json")
        lines = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in content.items())
        folder.mkdir(parents=True, exist_ok=True)
        path = record_file(folder, self.label)
        part = path.with_suffix(".part")
        part.write_text(f"{{\n{lines}\n}}\n")
        part.replace(path)
        return path


def record_file(folder: Path, label: str) -> Path:
    """Where the record of a label is kept."""
    return folder / f"{file_name(label)}.json"


def read_record(path: Path) -> LatencyRecord:
    """Read one record; UserError in one line if it is damaged or something else."""
    remedy = "remove it, or measure again with --again"
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"cannot read latency record {str(path)!r}: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{str(path)!r} is no JSON, so no latency record; {remedy}") from None
    try:
        return LatencyRecord.model_validate(content)
    except ValidationError as error:
        where, problem = complaint(error)
        place = ".".join(map(str, where)) or "content"
        raise UserError(
            f"{str(path)!r} is no latency record: {place}: {problem}; {remedy}"
        ) from None


def read_records(folder: Path) -> Sequence[LatencyRecord]:
    """Read all records of a folder, by name; UserError for a damaged or foreign file."""
    if not folder.is_dir():
        raise UserError(f"no folder {str(folder)!r}; make records with wambench audit latency")
    return [read_record(path) for path in sorted(folder.glob("[!.]*.json"))]
