"""Measuring faults: each is made, for real where it can be, and caught; a clean record has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from baselines.nano.config import NANO
from baselines.nano.trained import Trained, write_trained
from baselines.training.data.dataset import Demonstrations
from baselines.training.trainer import Trainer
from tests.conftest import Install
from tests.test_latency import STRANGER
from tests.test_training import episode, recipe
from wambench import plugins
from wambench.profile.flops import count as count_policy
from wambench.profile.latency import statistics
from wambench.profile.latency.bench import Bench
from wambench.profile.latency.choice import Choice
from wambench.profile.latency.clock import Call, HostClock, Timed
from wambench.profile.latency.comparing import comparison_faults, count_faults
from wambench.profile.latency.environment import Device, Environment, Reading, Watch
from wambench.profile.latency.faults import CHECKS, faults
from wambench.profile.latency.hosts import LocalHost
from wambench.profile.latency.nvidia import GpuReading, NvmlReader, Process, SmiReader
from wambench.profile.latency.protocol import QUICK, LatencyProtocol, Mode, Scope
from wambench.profile.latency.ratios import measured_ratio
from wambench.profile.latency.records import (
    Inputs,
    LatencyRecord,
    Memory,
    Outputs,
    Samples,
    Stages,
    Times,
    WarmUp,
    Work,
)
from wambench.profile.latency.run import Audit
from wambench.profile.records import PolicyCount, StageCount

RULES = QUICK.model_copy(
    update={"calls": 25, "seconds": 0.5, "warm_up_most_calls": 20, "stage_calls": 5}
)


# -- a record without a fault --------------------------------------------------------------------


def times(p50: float, **changes: Any) -> Times:
    """Times around a median, on a quiet machine."""
    random = np.random.default_rng(0)
    blocks: Samples = tuple(tuple(block) for block in random.normal(p50, p50 / 100, (10, 5)))
    found = statistics.summary(blocks, slow=1.5, resamples=100)
    fields = {
        "clock": "wall", **vars(found), "wall_p50_ms": p50, "cpu_p50_ms": p50, "joules": None,
        "warm_up": WarmUp(calls=25, seconds=1, change=0.001, settled=True),
        "samples": blocks, "cpu_samples": blocks, "moved": 0.004,
    }  # fmt: skip
    return Times(**{**fields, **changes})


def gpu(*names: str, throttled: Sequence[str] = (), sm_mhz: float | None = 1980) -> GpuReading:
    running = tuple(Process(pid=i, name=name, memory_mb=9) for i, name in enumerate(names))
    return GpuReading(
        sm_mhz=sm_mhz, memory_mhz=2619, temperature_c=40, power_w=300, utilisation=90,
        throttled=tuple(throttled), processes=running,
    )  # fmt: skip


def readings(
    before: GpuReading | None, during: GpuReading | None, mhz: float | None = 2600
) -> Environment:
    def reading(second: int, seen: GpuReading | None) -> Reading:
        return Reading(second=second, load=1, cpu_mhz=mhz, gpu=seen)

    return Environment(
        before=reading(0, before), during=(reading(1, during),), after=reading(2, during),
        own_processes=1, other_cpu_share=0.02,
    )  # fmt: skip


def device(kind: Any) -> Device:
    return Device(
        name="a device", kind=kind, cpu="a CPU", cores=2, memory_gb=80, system="Linux",
        software={"torch": "2", "threads": "1"}, matmul_flops={"float32": 1e11},
    )  # fmt: skip


CALLS: Mapping[Any, int] = {"text": 1, "vision": 1, "act": 4}
WARM: Mapping[Any, int] = {"vision": 1, "act": 4}
CLEAN = LatencyRecord(
    protocol="latency-1", rules=QUICK, policy="p", label="p", options={}, identity="x",
    geometry="own", preset=None, paradigm="small", track="external", mode="eager",
    dtype="float32", device=device("cpu"), environment=readings(None, None), horizon=8,
    executed_actions=4, control_hz=20,
    inputs=Inputs(instruction="go", distinct=32, flat=0, cameras={"a": (32, 32)}),
    outputs=Outputs(finite=True, actions=8, distinct=90, difference=None),
    work=Work(
        act_flops={"warm": 9 * 10**8, "cold": 10**9},
        program_flops={"warm": 9 * 10**8, "cold": 10**9}, attention_flops=10**8,
        act_calls={"warm": WARM, "cold": CALLS}, program_calls={"warm": WARM, "cold": CALLS},
        keeps_text=True,
    ),
    scopes={
        "kernels": {"warm": times(19), "cold": times(20)},
        "policy": {"warm": times(20), "cold": times(21)},
        "served": {"warm": times(22), "cold": times(23)},
    },
    stages=Stages(p50_ms={"text": 1, "vision": 2, "act": 17}, sum_ms=20, whole_ms=20.1, gap=-0.005),
    load_seconds=1, first_call_ms=30, compile_ms=None, compiled_graphs=None,
    memory=Memory(weights=4, process=10), served_by="a server", audit="a", reference="q",
)  # fmt: skip
ON_GPU = CLEAN.model_copy(
    update={"device": device("gpu"), "environment": readings(gpu(), gpu("python"))}
)


def stage(name: Any, calls: int, flops: int, counted: int | None = None) -> StageCount:
    return StageCount(
        stage=name, calls=calls, flops=flops, flops_per_call=flops // calls,
        flops_of_calls=(flops // calls,) * calls, counted_flops=counted or flops, kernels=1,
        moved_bytes=1, weight_bytes=1,
    )  # fmt: skip


def count(*stages: StageCount) -> PolicyCount:
    return PolicyCount(
        policy="p", options={}, geometry="own", preset=None, paradigm="small", track="external",
        horizon=8, executed_actions=4, control_hz=20, instruction="go", parameters={},
        stages=stages, cache_bytes=0, agreement=0, verdict="exact",
    )  # fmt: skip


TEXT, VISION, ACT = stage("text", 1, 10**8), stage("vision", 1, 10**8), stage("act", 4, 8 * 10**8)


def codes(found: Sequence[Any]) -> list[str]:
    assert all(fault.sentence and "\n" not in fault.sentence for fault in found)
    return sorted({fault.code for fault in found})


def test_a_clean_record_has_no_flag() -> None:
    assert faults(CLEAN) == [] == faults(ON_GPU)
    assert comparison_faults(CLEAN, CLEAN.model_copy(update={"policy": "q", "label": "q"})) == []
    assert count_faults(CLEAN, count(TEXT, VISION, ACT)) == []


# -- faults of one record ------------------------------------------------------------------------


def changed(part: str, base: LatencyRecord = CLEAN, **changes: Any) -> LatencyRecord:
    new = getattr(base, part).model_copy(update=changes)
    return base.model_copy(update={part: new})


def scoped(scope: Scope, found: Times) -> LatencyRecord:
    return CLEAN.model_copy(update={"scopes": {**CLEAN.scopes, scope: {"warm": found}}})


SEEDED: Mapping[str, Callable[[], LatencyRecord]] = {
    "not-synchronised": lambda: scoped("policy", times(5)),
    "part-of-the-work": lambda: changed("work", program_flops={"warm": 1, "cold": 7 * 10**8}),
    "fewer-steps": lambda: changed("work", program_calls={"warm": WARM, "cold": WARM | {"act": 1}}),
    "cold-is-warm": lambda: changed("work", act_calls={"warm": WARM, "cold": WARM}),
    "zeros-as-input": lambda: changed("inputs", flat=64),
    "same-input": lambda: changed("inputs", distinct=1),
    "same-output": lambda: changed("outputs", distinct=1),
    "not-finite": lambda: changed("outputs", finite=False),
    "short-chunk": lambda: changed("outputs", actions=3),
    "warm-up-cut": lambda: scoped(
        "policy",
        times(20, warm_up=WarmUp(calls=1, seconds=0, change=0.0, settled=True)),
    ),
    "not-settled": lambda: scoped(
        "policy",
        times(20, warm_up=WarmUp(calls=40, seconds=3, change=0.2, settled=False)),
    ),
    "not-of-its-samples": lambda: scoped("policy", times(20, p99_ms=20.5)),
    "other-process": lambda: ON_GPU.model_copy(
        update={"environment": readings(gpu("render"), gpu("render", "python"))}
    ),
    "throttled": lambda: ON_GPU.model_copy(
        update={"environment": readings(gpu(), gpu("python", throttled=["power cap"]))}
    ),
    "clocks-unstated": lambda: ON_GPU.model_copy(
        update={"environment": readings(gpu(sm_mhz=None), gpu("python", sm_mhz=None))}
    ),
    "reference-moved": lambda: scoped("policy", times(20, moved=-0.17)),
    "stages-off": lambda: changed("stages", sum_ms=15, gap=-0.25),
    "mode-without-effect": lambda: CLEAN.model_copy(
        update={"mode": "compiled", "compiled_graphs": 0}
    ),
    "partly-eager": lambda: CLEAN.model_copy(
        update={"mode": "graph", "compiled_graphs": 3, "refused": {"text": "it waits"}}
    ),
    "few-calls": lambda: scoped("policy", few()),
}


def few() -> Times:
    samples: Samples = ((20.0, 20.1, 19.9),) * 4
    found = statistics.summary(samples, slow=1.5, resamples=100)
    return times(20, samples=samples, **vars(found))


@pytest.mark.parametrize("code", SEEDED)
def test_a_seeded_fault_is_flagged_and_nothing_else(code: str) -> None:
    assert codes(faults(SEEDED[code]())) == [code]


def test_every_check_has_its_seed() -> None:
    caught = {check.__name__ for check in CHECKS if any(check(SEEDED[code]()) for code in SEEDED)}
    assert len(caught) == len(CHECKS) == len(SEEDED)


def test_faults_that_show_in_two_ways() -> None:
    later = readings(gpu(), gpu("python", "a renderer"))  # it came while we measured
    found = faults(ON_GPU.model_copy(update={"environment": later}))
    assert codes(found) == ["other-process"] and "a renderer" in found[0].sentence
    assert codes(faults(changed("environment", other_cpu_share=0.6))) == ["other-process"]
    # One that lists no process of ours at all (some containers) is no stranger.
    assert faults(ON_GPU.model_copy(update={"environment": readings(gpu(), gpu())})) == []
    # 10^9 FLOPs in 5 ms are 2 * 10^11 FLOP/s, where the device makes 10^11.
    fast = {"kernels": {"cold": times(5)}}
    found = faults(CLEAN.model_copy(update={"scopes": fast}))
    assert codes(found) == ["not-synchronised"] and "0.2 TFLOP/s" in found[0].sentence


# -- faults of comparing -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "other"),
    [
        ("other-mode", CLEAN.model_copy(update={"mode": "graph"})),
        ("other-dtype", CLEAN.model_copy(update={"dtype": "bfloat16"})),
        ("other-geometry", CLEAN.model_copy(update={"geometry": "paper"})),
        ("other-preset", CLEAN.model_copy(update={"preset": "best-exact"})),
        ("other-chunk", CLEAN.model_copy(update={"horizon": 32})),
        ("other-replan", CLEAN.model_copy(update={"executed_actions": 8})),
        ("other-pictures", changed("inputs", cameras={"a": (64, 64)})),
        ("other-device", changed("device", name="another")),
        ("other-threads", changed("device", software={"torch": "2", "threads": "8"})),
        ("other-protocol", changed("rules", variant="full")),
        ("other-steps", changed("work", program_calls={"cold": {**CALLS, "act": 10}})),
        ("text-on-one-side", changed("work", act_calls={"warm": CALLS, "cold": CALLS})),
        ("not-in-turn", CLEAN.model_copy(update={"audit": "b"})),
    ],
)
def test_what_must_not_be_compared_is_flagged(code: str, other: LatencyRecord) -> None:
    named = other.model_copy(update={"label": "q"})
    for pair in ((CLEAN, named), (named, CLEAN)):
        assert codes(comparison_faults(*pair)) == [code]


def test_a_ratio_is_of_policies_in_turn() -> None:
    other = CLEAN.model_copy(update={"label": "q", "audit": "b", "scopes": CLEAN.scopes})
    assert measured_ratio(CLEAN, other, "policy", "warm") is None
    same = other.model_copy(update={"audit": "a", "scopes": {"policy": {"warm": times(40)}}})
    found = measured_ratio(same, CLEAN, "policy", "warm")
    assert found and found.value == pytest.approx(2, rel=0.01) and found.clock == "cpu"
    assert measured_ratio(same, CLEAN, "policy", "cold") is None
    # A reference that has its own record from another audit: the ratio is in the other's.
    beside = CLEAN.model_copy(update={"ratios": {"policy": {"warm": found}}})
    assert measured_ratio(beside, other, "policy", "warm") == found
    turned = measured_ratio(other, beside, "policy", "warm")
    assert turned and turned.value == 1 / found.value and turned.low == 1 / found.high
    assert comparison_faults(beside, other) == []


def test_more_cameras_are_flagged() -> None:
    more = changed("inputs", cameras={"a": (32, 32), "b": (32, 32)})
    assert "other-cameras" in codes(comparison_faults(CLEAN, more))


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("mac-for-flop", count(TEXT, VISION, stage("act", 4, 4 * 10**8, 8 * 10**8))),
        ("mac-for-flop", count(TEXT, stage("act", 4, 4 * 10**8))),
        ("attention-missing", count(TEXT, VISION, stage("act", 4, 7 * 10**8))),
        ("one-step-for-the-call", count(TEXT, VISION, stage("act", 1, 2 * 10**8))),
        ("stage-missing", count(VISION, ACT)),
    ],
)  # fmt: skip
def test_a_wrong_count_is_flagged(code: str, wrong: PolicyCount) -> None:
    assert code in codes(count_faults(CLEAN, wrong))


# -- faults made for real ------------------------------------------------------------------------

LATE = """
import numpy as np
import torch
from wambench import Policy, PolicySpec

queue = []  # a device that works when it is waited for

class Late(Policy):
    spec = PolicySpec(paradigm="small", about="late", cameras=("wrist",), image_size=(8, 8),
                      horizon=2)
    def load(self):
        self.net = torch.nn.Linear(512, 512, bias=False)
    def act(self, observations):
        seen = observations[0]
        x = torch.full((512, 512), float(seen.noise_seed % 97))
        queue.append(lambda: self.net(x))
        return [np.full((2, 7), float(seen.noise_seed))]
"""
BAD = """
import dataclasses
import numpy as np
from wambench import Program
from smallpolicy import Small

class Zeros(Small):
    "Answers at once, and looks at nothing."
    def inference(self, on):
        return None
    def act(self, observations):
        return [np.zeros((8, 7)) for _ in observations]

class Broken(Small):
    def act(self, observations):
        [chunk] = super().act(observations)
        chunk[0, 0] = np.nan
        return [chunk]

class OneStep(Small):
    "Shows one denoising step of its four."
    def inference(self, on):
        shown = super().inference(on)
        return dataclasses.replace(shown, program=Program(self.program.steps[:3]))

class Between(Small):
    "Does more than its stages."
    def load(self):
        super().load()
        net, self.program = self.net, Slow(self.program.steps)
        self.program.net.append(net)

class Slow(Program):
    net = []
    def run(self, state, *, warm_text=False):
        out = super().run(state, warm_text=warm_text)
        self.net[-1]["vision"](state.image.expand(64, -1))
        return out

class Twice(Small):
    "Runs its program twice in a call, for guidance, say."
    def act(self, observations):
        super().act(observations)
        return super().act(observations)

class Careless(Small):
    "Takes every instruction for the one that it knows."
    def act(self, observations):
        return super().act([dataclasses.replace(o, instruction="pick") for o in observations])

class Curt(Small):
    def act(self, observations):
        return [chunk[:2] for chunk in super().act(observations)]
"""


@pytest.fixture
def policies(install: Install) -> None:
    torch.set_num_threads(1)
    names = ("Zeros", "Broken", "OneStep", "Between", "Twice", "Careless", "Curt")
    points = {name.lower(): f"bad:{name}" for name in names}
    points |= {"late": "late:Late", "small": "smallpolicy:Small"}
    modules = {"smallpolicy.py": STRANGER, "bad.py": BAD, "late.py": LATE}
    install("badpolicies", modules, {plugins.POLICIES: points})


def measured(
    name: str,
    folder: Path,
    make_bench: type[Bench] = Bench,
    rules: LatencyProtocol = RULES,
    scopes: Sequence[Scope] = ("kernels", "policy"),
) -> LatencyRecord:
    def host(choice: Choice, rules: LatencyProtocol, mode: Mode) -> LocalHost:
        return LocalHost(choice, rules, mode, make_bench)

    spec = plugins.make_policy(name, {}).spec
    choice = Choice(name, name, {}, spec, "", "own", None, 0)
    [record] = Audit(rules, "eager", folder, host, scopes=scopes).run([choice])
    return record


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("zeros", {"same-output"}),
        ("broken", {"not-finite"}),
        ("onestep", {"part-of-the-work"}),
        ("twice", {"part-of-the-work", "fewer-steps"}),
        ("careless", {"cold-is-warm"}),
        ("between", {"stages-off"}),
        ("curt", {"short-chunk"}),
        ("small", set()),
    ],
)
def test_policies_that_would_mislead(
    policies: None, tmp_path: Path, name: str, expected: set[str]
) -> None:
    found = set(codes(measured(name, tmp_path).flags))
    by_the_machine = {"other-process", "not-settled", "reference-moved", "clocks-unstated"}
    if name != "between":
        by_the_machine |= {"stages-off"}
    assert found - by_the_machine == expected


class Waits(HostClock):
    """Waits for the late device before and after a call."""

    def synchronise(self) -> None:
        import late  # type: ignore[import-not-found]

        with torch.inference_mode():
            while late.queue:
                late.queue.pop()()


class Hastes(Waits):
    """Times without waiting."""

    def time(self, call: Call) -> Timed:
        timed = HostClock().time(call)
        self.synchronise()
        return timed


class WaitingBench(Bench):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, make_clock=Waits)


class HastyBench(Bench):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments, make_clock=Hastes)


def test_a_clock_that_does_not_wait_is_caught(policies: None, tmp_path: Path) -> None:
    record = measured("late", tmp_path / "a", WaitingBench)
    assert record.work.act_flops == {"warm": 2 * 512**3, "cold": 2 * 512**3}
    assert "not-synchronised" not in codes(record.flags)
    hasty = measured("late", tmp_path / "b", HastyBench)
    assert "not-synchronised" in codes(hasty.flags)


def test_a_warm_up_that_was_cut_is_caught(
    policies: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = WarmUp(calls=1, seconds=0.0, change=None, settled=False)
    monkeypatch.setattr(Audit, "_warm_up", lambda *_: cut)
    record = measured("small", tmp_path, scopes=("policy",))
    assert {"warm-up-cut", "not-settled"} <= set(codes(record.flags))


def test_pictures_of_one_colour_are_caught(
    policies: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    black = np.zeros((32, 32, 3), np.uint8)
    monkeypatch.setattr("wambench.profile.observations._image", lambda *_: black)
    found = codes(measured("small", tmp_path, scopes=("policy",)).flags)
    assert "zeros-as-input" in found


def test_a_program_beside_the_acting_one_is_seen(policies: None) -> None:
    """Steps are put into the very program that acts, or the mode has no effect on act."""
    policy = plugins.make_policy("onestep", {})
    bench = Bench(policy, RULES, "eager")
    policy.load()
    work = bench.prepare().work
    assert work.act_calls == {} and work.program_calls["cold"]["act"] == 1
    assert work.act_flops and work.program_flops
    assert work.program_flops["cold"] < 0.9 * work.act_flops["cold"]


def test_a_compiler_that_compiles_nothing_is_caught(
    policies: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda run, **_: run)
    spec = plugins.make_policy("small", {}).spec
    choice = Choice("small", "small", {}, spec, "", "own", None, 0)
    [record] = Audit(RULES, "compiled", tmp_path, LocalHost, scopes=("kernels",)).run([choice])
    assert "mode-without-effect" in codes(record.flags)
    assert record.outputs.difference == 0 and record.compile_ms is not None


# -- the GPU, as its driver tells ----------------------------------------------------------------

SMI: Mapping[str, str] = {
    "clocks_event_reasons.active": "0x0000000000000005\n",
    "name,driver_version,memory.total,power.limit": "NVIDIA H100, 550.1, 81559, 700.00\n",
    "clocks.sm,clocks.mem,temperature.gpu,power.draw,utilization.gpu,clocks_event_reasons.active": (
        "1755, 2619, 61, 698.20, 100, 0x0000000000000004\n"
    ),
    "pid,process_name,used_memory": "41, /usr/bin/a, b, 500\n42, [Not Found], [N/A]\n",
}


def answer(arguments: Sequence[str]) -> str:
    assert arguments[:2] == ["-i", "0"]
    return SMI[arguments[2].split("=", 1)[1]]


def test_readings_of_nvidia_smi() -> None:
    reader = SmiReader("0", answer)
    assert reader.card().name == "NVIDIA H100" and reader.card().power_limit_w == 700
    assert reader.card().memory_gb == pytest.approx(85.52, abs=0.01)
    seen = reader.read()
    assert (seen.sm_mhz, seen.power_w, seen.temperature_c) == (1755, 698.2, 61)
    assert seen.throttled == ("power cap",) and reader.joules() is None
    assert [(p.pid, p.name, p.memory_mb) for p in seen.processes] == [
        (41, "/usr/bin/a, b", 500), (42, "[Not Found]", None),
    ]  # fmt: skip

    def old_driver(arguments: Sequence[str]) -> str:
        if "clocks_event" in arguments[2]:
            raise OSError("Field is not a valid field to query")
        if "clocks_throttle_reasons.active" in arguments[2] and "," in arguments[2]:
            return "[N/A], 2619, 61, [N/A], 0, [N/A]\n"
        if "clocks_throttle_reasons.active" in arguments[2]:
            return "0x1\n"
        return "" if "pid" in arguments[2] else answer(arguments)

    idle = SmiReader("0", old_driver).read()
    assert idle.sm_mhz is None and idle.throttled == () == idle.processes


class Nvml(SimpleNamespace):
    """pynvml's functions over made-up numbers."""

    class NVMLError(Exception):
        pass


def nvml(**changes: Any) -> Nvml:
    def unsupported(handle: str) -> int:
        raise Nvml.NVMLError("Not Supported")

    clocks = {0: 1980, 1: 2619}
    given = {
        "nvmlInit": lambda: None, "NVML_CLOCK_SM": 0, "NVML_CLOCK_MEM": 1,
        "NVML_TEMPERATURE_GPU": 0, "nvmlDeviceGetHandleByIndex": lambda index: f"gpu {index}",
        "nvmlDeviceGetName": lambda handle: b"NVIDIA H200",
        "nvmlSystemGetDriverVersion": lambda: "560",
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=141 * 10**9),
        "nvmlDeviceGetPowerManagementLimit": lambda handle: 700_000,
        "nvmlDeviceGetPowerUsage": lambda handle: 350_500,
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=97),
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: 0x40 | 0x1,
        "nvmlDeviceGetClockInfo": lambda handle, kind: clocks[kind],
        "nvmlDeviceGetTemperature": lambda handle, kind: 88,
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: [
            SimpleNamespace(pid=7, usedGpuMemory=2**30)
        ],
        "nvmlSystemGetProcessName": lambda pid: b"python",
        "nvmlDeviceGetTotalEnergyConsumption": lambda handle: 5000,
        **changes,
    }  # fmt: skip
    found = Nvml(**given)
    found.unsupported = unsupported
    return found


def test_readings_of_nvml() -> None:
    reader = NvmlReader("0", nvml())
    assert (reader.card().name, reader.card().memory_gb) == ("NVIDIA H200", 141)
    seen = reader.read()
    assert (seen.sm_mhz, seen.memory_mhz, seen.power_w) == (1980, 2619, 350.5)
    assert seen.throttled == ("hardware thermal slowdown",) and reader.joules() == 5
    assert seen.processes == (Process(pid=7, name="python", memory_mb=1024),)

    def unsupported(*_: object) -> int:
        raise Nvml.NVMLError("Not Supported")

    mute = NvmlReader("0", nvml(
        nvmlDeviceGetTotalEnergyConsumption=unsupported, nvmlDeviceGetPowerUsage=unsupported,
        nvmlDeviceGetCurrentClocksThrottleReasons=unsupported,
    ))  # fmt: skip
    assert mute.joules() is None and mute.read().power_w is None and mute.read().throttled == ()


def test_an_audit_beside_a_gpu_keeps_readings_and_energy(policies: None, tmp_path: Path) -> None:
    """A GPU that draws a joule a reading; the policy stays on the CPU here."""
    drawn = iter(range(10**6))
    reader = NvmlReader("0", nvml(
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: 1000 * next(drawn)
    ))  # fmt: skip
    spec = plugins.make_policy("small", {}).spec
    choice = Choice("small", "small", {}, spec, "", "own", None, 0)
    audit = Audit(RULES, "eager", tmp_path, LocalHost, gpu=reader, scopes=("policy",))
    [record] = audit.run([choice])
    warm = record.times("policy", "warm")
    assert warm and warm.joules == pytest.approx(1 / RULES.block_calls)
    assert record.environment.after.gpu and record.environment.after.gpu.sm_mhz == 1980
    strangers = list(record.environment.strangers())
    assert [stranger.pid for stranger in strangers] == [7]  # it was there before we were


def test_a_long_audit_keeps_few_readings_and_the_telling_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Watch(None)
    seen = [Reading(second=second, load=1, cpu_mhz=1, gpu=gpu("python")) for second in range(500)]
    seen[123] = seen[123].model_copy(update={"gpu": gpu("python", "a renderer")})
    seen[321] = seen[321].model_copy(update={"gpu": gpu("python", throttled=["power cap"])})
    monkeypatch.setattr(watch, "_during", seen)
    during = watch.environment(1).during
    assert len(during) <= 62 and {seen[0], seen[123], seen[321]} <= set(during)


def test_a_watch_reads_while_something_runs() -> None:
    with Watch(None, every_seconds=0.01) as watch:
        while len(watch.environment(1).during) < 3:
            pass
    seen = watch.environment(1)
    seconds = [reading.second for reading in seen.readings]
    assert seconds == sorted(seconds) and 0 <= seen.other_cpu_share <= 1


def test_a_nano_policy_measured_and_counted_agree(tmp_path: Path) -> None:
    """A real model, its real count: the same steps, the same FLOPs, no fault between them."""
    file = nano_weights("nano-fastwam-idm", tmp_path)
    options = {"weights": str(file)}
    spec = plugins.make_policy("nano-fastwam-idm", options).spec
    choice = Choice("nano", "nano-fastwam-idm", options, spec, "", "own", None, 0)
    few = {"calls": 5, "least_calls": 5, "stage_calls": 1, "warm_up_most_calls": 10}
    rules = RULES.model_copy(update=few)
    [record] = Audit(rules, "eager", tmp_path, LocalHost, scopes=("kernels",)).run([choice])
    counted = count_policy("nano-fastwam-idm", options)
    assert record.work.program_flops and record.work.program_flops["cold"] == counted.flops
    assert record.work.act_calls["cold"] == {s.stage: s.calls for s in counted.stages}
    assert count_faults(record, counted) == []
    stages = {
        s.stage: s.model_copy(update={"calls": 1, "flops": s.flops // s.calls})
        for s in counted.stages
    }
    one = counted.model_copy(update={"stages": tuple(stages.values())})
    assert codes(count_faults(record, one)) == ["one-step-for-the-call"]


def nano_weights(name: str, folder: Path) -> Path:
    """Weights as the trainer writes them, after no step."""
    episodes = tuple(episode(number) for number in range(3))
    demos = Demonstrations(
        cameras=("agentview", "wrist"), size=(64, 64), train=episodes[:2],
        validation=episodes[2:],
    )  # fmt: skip
    (folder / "training").mkdir()
    trainer = Trainer(NANO[name], recipe(name), demos, folder / "training")
    file = folder / "weights.safetensors"
    write_trained(
        file,
        Trained(
            config=trainer.config, recipe=trainer.recipe.model_dump(mode="json"),
            statistics=trainer.statistics, vocabulary=trainer.vocabulary,
            facts={"step": 0, "instructions": ["go to the light"]}, tensors=trainer.ema.values,
        ),
    )  # fmt: skip
    return file
