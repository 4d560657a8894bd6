"""Faults of one measurement: each a function from a record to what is wrong with it.

The list of errors is the one that reviewers of latency and FLOP tables find again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wambench.profile.latency import statistics
from wambench.profile.latency.protocol import TEXTS, Scope, Text
from wambench.profile.latency.records import Fault, LatencyRecord, Times

FASTER_THAN_PEAK = 1.25  # a product of other sizes may run a little faster than the one measured
NESTED = 1.3  # an outer scope takes at least as long as an inner one, but for noise …
FEW = 20  # calls that say nothing of a tail

Check = Callable[[LatencyRecord], list[Fault]]


def faults(record: LatencyRecord) -> list[Fault]:
    """Everything that is wrong with one record by itself."""
    return [fault for check in CHECKS for fault in check(record)]


def not_synchronised(record: LatencyRecord) -> list[Fault]:
    """Times shorter than the device can compute, or than a part of them: launches were timed."""
    found = []
    peak = max(record.device.matmul_flops.values(), default=None)
    for scope, text, times in _all(record):
        flops = _flops(record, scope, text)
        rate = flops / (times.p50_ms / 1000) if flops and times.p50_ms else 0.0
        if peak and rate > FASTER_THAN_PEAK * peak:
            found.append(
                f"{scope} ({text} text) would be {rate / 1e12:.3g} TFLOP/s on a device that "
                f"multiplies matrices at {peak / 1e12:.3g}"
            )
    for inner, outer in (("kernels", "policy"), ("policy", "served")):
        for text in TEXTS:
            ours, theirs = record.times(inner, text), record.times(outer, text)  # type: ignore[arg-type]
            if not (ours and theirs):
                continue
            # … which is seen in how far the reference moved while either was timed.
            allowed = NESTED * (1 + abs(ours.moved) + abs(theirs.moved))
            if ours.low_ms > allowed * theirs.high_ms:
                found.append(
                    f"{inner} ({text} text) takes {ours.p50_ms:.3g} ms, {outer} around it only "
                    f"{theirs.p50_ms:.3g} ms"
                )
    return [Fault(code="not-synchronised", sentence=f"{line}: not waited for") for line in found]


def part_of_the_work(record: LatencyRecord) -> list[Fault]:
    """The program that kernels times does less than ``act``: a stage, or steps, are missing."""
    act, program = record.work.act_flops, record.work.program_flops
    if act is None or program is None:
        return []
    short = act["cold"] - program["cold"]
    if short <= 0.01 * act["cold"]:
        return []
    share = short / act["cold"]
    return [
        Fault(
            code="part-of-the-work",
            sentence=f"act computes {act['cold']:,} FLOPs, the program that kernels times only "
            f"{program['cold']:,}: {share:.0%} of a call are not in it",
        )
    ]


def fewer_steps(record: LatencyRecord) -> list[Fault]:
    """The program runs a stage less often than ``act`` does: one step taken for the call."""
    found = []
    ran, timed = record.work.act_calls.get("cold", {}), record.work.program_calls.get("cold", {})
    for stage, calls in ran.items():
        if timed.get(stage, 0) < calls:
            found.append(
                Fault(
                    code="fewer-steps",
                    sentence=f"stage {stage} runs {calls} times in act, "
                    f"{timed.get(stage, 0)} times in what kernels times",
                )
            )
    return found


def cold_is_warm(record: LatencyRecord) -> list[Fault]:
    """A new instruction in every call, and still its text was not encoded."""
    work = record.work
    if not work.keeps_text or not work.act_calls:
        return []
    if work.act_calls["cold"].get("text", 0):
        return []
    return [
        Fault(
            code="cold-is-warm",
            sentence="act does not run the text stage for a new instruction: "
            "the cold column holds warm calls",
        )
    ]


def zeros_as_input(record: LatencyRecord) -> list[Fault]:
    """Pictures of one colour, on which some kernels run faster."""
    if not record.inputs.flat:
        return []
    return [
        Fault(
            code="zeros-as-input",
            sentence=f"{record.inputs.flat} of the pictures shown have one colour only",
        )
    ]


def same_input(record: LatencyRecord) -> list[Fault]:
    """Fewer different observations than the protocol asks for."""
    asked, shown = record.rules.distinct_observations, record.inputs.distinct
    if shown >= asked:
        return []
    return [
        Fault(
            code="same-input",
            sentence=f"{shown} different observations were shown; the protocol asks for {asked}",
        )
    ]


def same_output(record: LatencyRecord) -> list[Fault]:
    """One answer to everything: it is not the policy that was timed, or it was not computing."""
    if record.outputs.distinct > 1 or record.inputs.distinct < 2:
        return []
    return [
        Fault(code="same-output", sentence="every observation was answered with the same actions")
    ]


def not_finite(record: LatencyRecord) -> list[Fault]:
    """NaN or infinity, which some kernels run through faster, and no robot can use."""
    if record.outputs.finite:
        return []
    return [Fault(code="not-finite", sentence="some actions are NaN or infinite")]


def short_chunk(record: LatencyRecord) -> list[Fault]:
    """Fewer actions than are said to be executed: the time per action is too good."""
    if record.outputs.actions >= record.executed_actions:
        return []
    return [
        Fault(
            code="short-chunk",
            sentence=f"a chunk had {record.outputs.actions} actions, but "
            f"{record.executed_actions} are taken to be executed of each",
        )
    ]


def warm_up_cut(record: LatencyRecord) -> list[Fault]:
    """Fewer calls before timing than the protocol asks for."""
    least = record.rules.warm_up_calls
    return [
        Fault(
            code="warm-up-cut",
            sentence=f"{scope} ({text} text) had {times.warm_up.calls} calls to warm up; "
            f"the protocol asks for {least}",
        )
        for scope, text, times in _all(record)
        if times.warm_up.calls < least
    ]


def not_settled(record: LatencyRecord) -> list[Fault]:
    """The median still moved when warming up ended."""
    found = []
    for scope, text, times in _all(record):
        if not times.warm_up.settled:
            change = times.warm_up.change
            by = "unknown" if change is None else f"{change:.1%}"
            found.append(
                Fault(
                    code="not-settled",
                    sentence=f"{scope} ({text} text) was timed while its median still moved (by "
                    f"{by}; the protocol asks for {record.rules.settled:.0%})",
                )
            )
    return found


def few_calls(record: LatencyRecord) -> list[Fault]:
    """So few calls that their tail says nothing."""
    return [
        Fault(
            code="few-calls",
            sentence=f"{scope} ({text} text) has {times.n} calls; percentiles of {FEW} or fewer "
            "say nothing",
        )
        for scope, text, times in _all(record)
        if times.n <= FEW
    ]


def not_of_its_samples(record: LatencyRecord) -> list[Fault]:
    """Percentiles that its own samples do not have: a mean for a median, outliers left out."""
    found = []
    for scope, text, times in _all(record):
        own = statistics.summary(times.samples, slow=record.rules.slow, resamples=1)
        for name in ("n", "p50_ms", "p99_ms", "max_ms"):
            said, is_ = getattr(times, name), getattr(own, name)
            if abs(said - is_) > 0.001 * is_:
                found.append(
                    Fault(
                        code="not-of-its-samples",
                        sentence=f"{scope} ({text} text) says {name} = {said:.4g}, its samples "
                        f"have {is_:.4g}",
                    )
                )
    return found


def other_process(record: LatencyRecord) -> list[Fault]:
    """Somebody else used the device."""
    environment = record.environment
    strangers = [f"{p.name} ({p.pid})" for p in environment.strangers()]
    if record.device.kind == "gpu" and strangers:
        line = f"other processes were on the GPU: {', '.join(strangers)}"
        return [Fault(code="other-process", sentence=line)]
    share = environment.other_cpu_share
    if record.device.kind == "cpu" and share > record.rules.busy_share:
        line = f"other programs used {share:.0%} of the cores; wall times are theirs too"
        return [Fault(code="other-process", sentence=line)]
    return []


def throttled(record: LatencyRecord) -> list[Fault]:
    """The GPU held its clocks down."""
    if record.device.kind != "gpu":
        return []
    readings = [reading.gpu for reading in record.environment.readings if reading.gpu]
    reasons = sorted({reason for gpu in readings for reason in gpu.throttled})
    if not reasons:
        return []
    share = sum(bool(gpu.throttled) for gpu in readings) / len(readings)
    return [
        Fault(
            code="throttled",
            sentence=f"the GPU lowered its clocks in {share:.0%} of the readings: "
            f"{', '.join(reasons)}",
        )
    ]


def clocks_unstated(record: LatencyRecord) -> list[Fault]:
    """Nobody knows how fast the device ran."""
    readings = record.environment.readings
    if record.device.kind == "gpu":
        known = any(reading.gpu and reading.gpu.sm_mhz for reading in readings)
    else:
        known = any(reading.cpu_mhz for reading in readings)
    if known:
        return []
    return [Fault(code="clocks-unstated", sentence="the device's clock rates could not be read")]


def reference_moved(record: LatencyRecord) -> list[Fault]:
    """The first policy took another time when it was measured again at the end."""
    return [
        Fault(
            code="reference-moved",
            sentence=f"{scope} ({text} text): {record.reference} took {times.moved:+.1%} when "
            f"measured again at the end; unstable beyond {record.rules.largest_move:.0%}",
        )
        for scope, text, times in _all(record)
        if abs(times.moved) > record.rules.largest_move
    ]


def stages_off(record: LatencyRecord) -> list[Fault]:
    """The stages do not add up to the whole: something runs between or behind them."""
    stages = record.stages
    if stages is None or abs(stages.gap) <= record.rules.stage_tolerance:
        return []
    return [
        Fault(
            code="stages-off",
            sentence=f"the stages sum to {stages.sum_ms:.4g} ms, the whole takes "
            f"{stages.whole_ms:.4g} ms ({stages.gap:+.1%}, call by call)",
        )
    ]


def mode_without_effect(record: LatencyRecord) -> list[Fault]:
    """Called compiled or graph, but nothing was compiled or captured."""
    if record.mode == "eager" or record.compiled_graphs:
        return []
    return [
        Fault(
            code="mode-without-effect",
            sentence=f"mode {record.mode}, but nothing was compiled or captured: this is eager",
        )
    ]


def partly_eager(record: LatencyRecord) -> list[Fault]:
    """Some stages could not be captured and ran as they are."""
    return [
        Fault(code="partly-eager", sentence=f"stage {stage} ran eager in mode graph: {reason}")
        for stage, reason in record.refused.items()
    ]


def _all(record: LatencyRecord) -> Sequence[tuple[Scope, Text, Times]]:
    return [(s, t, times) for s, texts in record.scopes.items() for t, times in texts.items()]


def _flops(record: LatencyRecord, scope: Scope, text: Text) -> int | None:
    """What a call of a scope computes."""
    work = record.work
    counts = work.program_flops if scope == "kernels" else work.act_flops
    return counts[text] if counts else None


CHECKS: tuple[Check, ...] = (
    not_synchronised, part_of_the_work, fewer_steps, cold_is_warm, zeros_as_input, same_input,
    same_output, not_finite, short_chunk, warm_up_cut, not_settled, few_calls, not_of_its_samples,
    other_process, throttled, clocks_unstated, reference_moved, stages_off, mode_without_effect,
    partly_eager,
)  # fmt: skip
