"""Measure policies in turn, block by block, the first one again at the end; write their records."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from wambench.profile.latency import statistics
from wambench.profile.latency.choice import Choice, groups
from wambench.profile.latency.clock import Timed
from wambench.profile.latency.environment import Device, Watch, cpu_name
from wambench.profile.latency.faults import faults
from wambench.profile.latency.hosts import Host
from wambench.profile.latency.messages import Prepared
from wambench.profile.latency.nvidia import GpuReader
from wambench.profile.latency.protocol import SCOPES, TEXTS, LatencyProtocol, Mode, Scope, Text
from wambench.profile.latency.ratios import ratio_of
from wambench.profile.latency.records import (
    LatencyRecord,
    Ratio,
    Samples,
    Stages,
    Times,
    WarmUp,
    read_record,
    record_file,
)

FREE_SHARE = 0.75  # of a device's memory that the weights of one group may take
DIGITS = 5  # of a millisecond: 10 ns

OpenHost = Callable[[Choice, LatencyProtocol, Mode], Host]


@dataclass
class Turn:
    """One policy in one scope with one text: what was timed so far."""

    host: Host
    warm_up: WarmUp
    blocks: list[Sequence[Timed]] = field(default_factory=list)
    joules: float | None = 0.0

    def is_done(self, rules: LatencyProtocol) -> bool:
        """Whether there are enough calls, or enough seconds of them."""
        calls = sum(map(len, self.blocks))
        seconds = sum(timed.wall_ms for block in self.blocks for timed in block) / 1000
        enough = calls >= rules.calls or seconds >= rules.seconds
        return enough and calls >= rules.least_calls


@dataclass
class Running:
    """A policy that is loaded, and what is known of it."""

    choice: Choice
    host: Host
    load_seconds: float
    prepared: Prepared
    scopes: dict[Scope, dict[Text, Times]] = field(default_factory=dict)
    stages: Stages | None = None


@dataclass(frozen=True)
class Audit:
    """What holds for all policies of one command.

    Attributes:
        open_host: starts a policy.
        gpu: the reader of the GPU, if there is one.
        scopes: to measure, of those a policy has.
        note: told what happens.
    """

    rules: LatencyProtocol
    mode: Mode
    out: Path
    open_host: OpenHost
    gpu: GpuReader | None = None
    scopes: Sequence[Scope] = SCOPES
    again: bool = False
    note: Callable[[str], None] = lambda line: None

    def run(self, choices: Sequence[Choice]) -> list[LatencyRecord]:
        """Measure policies, the first as the reference, and write a record for each.

        A policy with a complete record of the same conditions keeps it.

        Raises:
            UserError: a policy that fails; a damaged record in the way.
        """
        kept = {} if self.again else self._kept(choices)
        todo = [choice for choice in choices if choice.label not in kept]
        made: dict[str, LatencyRecord] = {}
        if todo:
            reference = choices[0]
            others = [choice for choice in todo if choice.label != reference.label]
            for group in groups([reference, *others], self._capacity_gb()):
                for record in self._measure(group):
                    # The reference runs beside every group; its first record is the one to keep.
                    if record.label not in kept and record.label not in made:
                        made[record.label] = record
                        record.write(self.out)
        return [(kept | made)[choice.label] for choice in choices]

    def device(self, choice: Choice) -> str:
        """Name of the device a policy will compute on."""
        return self.gpu.card().name if self.gpu and choice.spec.num_gpus else cpu_name()

    # -- one group ---------------------------------------------------------------------------

    def _measure(self, group: Sequence[Choice]) -> Iterator[LatencyRecord]:
        audit = secrets.token_hex(6)
        with Watch(self.gpu) as watch, ExitStack() as opened:
            running = []
            for choice in group:
                self.note(f"loading {choice.label}")
                host = self.open_host(choice, self.rules, self.mode)
                opened.callback(host.close)
                running.append(Running(choice, host, host.load_seconds(), host.prepare()))
            for scope in SCOPES:
                able = [one for one in running if scope in one.prepared.scopes]
                if scope in self.scopes and able:
                    for text in TEXTS:
                        self.note(f"{scope}, {text} text: {len(able)} policies in turn")
                        self._scope(able, scope, text, watch)
            for one in running:
                one.stages = one.host.stages()
            for one in running:
                yield self._record(one, running[0], audit, watch, len(running))

    def _scope(self, running: Sequence[Running], scope: Scope, text: Text, watch: Watch) -> None:
        rules = self.rules
        turns = [Turn(one.host, self._warm_up(one.host, scope, text)) for one in running]
        while waiting := [turn for turn in turns if not turn.is_done(rules)]:
            for turn in turns:
                # The reference runs in every round, so that every block has one to compare with.
                if turn in waiting or turn is turns[0]:
                    self._block(turn, scope, text, watch)
        again = [
            turns[0].host.block(scope, text, rules.block_calls)
            for _ in range(rules.reference_blocks)
        ]
        moved = _median(again, scope) / _median(turns[0].blocks, scope) - 1
        for one, turn in zip(running, turns, strict=True):
            one.scopes.setdefault(scope, {})[text] = self._times(turn, scope, moved)

    def _warm_up(self, host: Host, scope: Scope, text: Text) -> WarmUp:
        """Call until the median of a window rests, or patience ends."""
        rules = self.rules
        calls: list[Timed] = []
        while True:
            calls += host.block(scope, text, rules.block_calls)
            seconds = sum(timed.wall_ms for timed in calls) / 1000
            change = None
            if len(calls) >= rules.window + rules.block_calls:
                last = calls[-rules.window :]
                before = calls[-rules.window - rules.block_calls : -rules.block_calls]
                change = abs(_median([last], scope) / _median([before], scope) - 1)
            enough = len(calls) >= rules.warm_up_calls
            settled = enough and change is not None and change < rules.settled
            most = len(calls) >= rules.warm_up_most_calls or seconds >= rules.warm_up_most_seconds
            if settled or (enough and most):
                return WarmUp(
                    calls=len(calls), seconds=round(seconds, 3), change=change, settled=settled
                )

    def _block(self, turn: Turn, scope: Scope, text: Text, watch: Watch) -> None:
        before = watch.joules()
        turn.blocks.append(turn.host.block(scope, text, self.rules.block_calls))
        after = watch.joules()
        if before is None or after is None or turn.joules is None:
            turn.joules = None
        else:
            turn.joules += after - before

    def _times(self, turn: Turn, scope: Scope, moved: float) -> Times:
        calls = [timed for block in turn.blocks for timed in block]
        has_device = calls[0].device_ms is not None
        by_device = scope == "kernels" and has_device
        wall = _samples(turn.blocks, lambda timed: timed.wall_ms)
        device = _samples(turn.blocks, lambda timed: timed.device_ms) if by_device else None
        cpu = _samples(turn.blocks, lambda timed: timed.cpu_ms)
        samples = device or wall
        assert samples is not None and wall is not None
        found = statistics.summary(samples, slow=self.rules.slow, resamples=self.rules.resamples)
        return Times(
            clock="device" if by_device else "wall",
            **asdict(found),
            wall_p50_ms=statistics.median(wall),
            cpu_p50_ms=statistics.median(cpu) if cpu else None,
            joules=None if turn.joules is None else turn.joules / len(calls),
            warm_up=turn.warm_up,
            samples=samples,
            cpu_samples=None if has_device else cpu,
            moved=moved,
        )

    # -- records -----------------------------------------------------------------------------

    def _record(
        self, one: Running, reference: Running, audit: str, watch: Watch, processes: int
    ) -> LatencyRecord:
        prepared, choice, told = one.prepared, one.choice, one.host.told()
        spec = choice.spec
        record = LatencyRecord(
            protocol=self.rules.name,
            rules=self.rules,
            policy=choice.policy,
            label=choice.label,
            options=choice.options,
            identity=choice.identity,
            geometry=choice.geometry,
            preset=choice.preset,
            paradigm=spec.paradigm,
            track=spec.track,
            mode=self.mode,
            dtype=prepared.dtype,
            device=self._device(prepared),
            environment=watch.environment(processes),
            horizon=spec.horizon,
            executed_actions=spec.replan_steps or spec.horizon,
            control_hz=prepared.control_hz,
            inputs=prepared.inputs,
            outputs=told.outputs,
            work=prepared.work,
            scopes=one.scopes,
            stages=one.stages,
            load_seconds=round(one.load_seconds, 3),
            first_call_ms=prepared.first_call_ms,
            compile_ms=prepared.compile_ms,
            compiled_graphs=prepared.compiled_graphs,
            refused=prepared.refused,
            memory=told.memory,
            served_by=one.host.served_by,
            audit=audit,
            reference=reference.choice.label,
            ratios={} if one is reference else self._ratios(one, reference),
        )
        return record.model_copy(update={"flags": tuple(faults(record))})

    def _ratios(self, one: Running, reference: Running) -> Mapping[Scope, Mapping[Text, Ratio]]:
        out: dict[Scope, dict[Text, Ratio]] = {}
        for scope, texts in one.scopes.items():
            for text, ours in texts.items():
                theirs = reference.scopes.get(scope, {}).get(text)
                if theirs is not None:
                    out.setdefault(scope, {})[text] = ratio_of(ours, theirs, self.rules)
        return out

    def _device(self, prepared: Prepared) -> Device:
        card = self.gpu.card() if self.gpu and prepared.has_device else None
        name = card.name if card else ("unknown GPU" if prepared.has_device else cpu_name())
        return Device(
            name=name,
            kind="gpu" if prepared.has_device else "cpu",
            cpu=cpu_name(),
            cores=len(os.sched_getaffinity(0)),
            memory_gb=round(card.memory_gb if card else psutil.virtual_memory().total / 1e9, 1),
            driver=card.driver if card else None,
            power_limit_w=card.power_limit_w if card else None,
            system=platform.platform(),
            software=prepared.software,
            matmul_flops=prepared.matmul_flops,
        )

    def _kept(self, choices: Sequence[Choice]) -> dict[str, LatencyRecord]:
        """Complete records of the same policies under the same conditions."""
        kept = {}
        for choice in choices:
            path = record_file(self.out, choice.label)
            if path.exists():
                record = read_record(path)
                same = (record.identity, record.rules, record.mode, record.device.name) == (
                    choice.identity, self.rules, self.mode, self.device(choice)
                )  # fmt: skip
                if same and record.reference == choices[0].label:
                    kept[choice.label] = record
                    self.note(f"kept {path}; --again measures it again")
        return kept

    def _capacity_gb(self) -> float:
        total = self.gpu.card().memory_gb if self.gpu else psutil.virtual_memory().available / 1e9
        return FREE_SHARE * total


def _median(blocks: Sequence[Sequence[Timed]], scope: Scope) -> float:
    return statistics.median([[_steady(timed, scope) for timed in block] for block in blocks])


def _steady(timed: Timed, scope: Scope) -> float:
    """The time that :attr:`Times.steady_samples` holds."""
    if timed.device_ms is not None:
        return timed.device_ms if scope == "kernels" else timed.wall_ms
    return timed.wall_ms if timed.cpu_ms is None else timed.cpu_ms


def _samples(
    blocks: Sequence[Sequence[Timed]], of: Callable[[Timed], float | None]
) -> Samples | None:
    """One clock's times in their blocks; None if it was not there."""
    out = []
    for block in blocks:
        times = [of(timed) for timed in block]
        known = [round(time, DIGITS) for time in times if time is not None]
        if len(known) < len(times):
            return None
        out.append(tuple(known))
    return tuple(out)
