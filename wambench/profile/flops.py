"""Count one inference of a policy, stage by stage, without weights and without a GPU."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

from wambench import plugins
from wambench.errors import UserError, did_you_mean
from wambench.inference import Inference, StageName
from wambench.policy import Policy
from wambench.profile.acting import acting
from wambench.profile.counter import check_counter
from wambench.profile.fvcore_counter import by_stage, check_fvcore
from wambench.profile.observations import INSTRUCTION, observations
from wambench.profile.records import TOLERANCE, PolicyCount, StageCount, Verdict
from wambench.profile.steps import Counted, trace_steps
from wambench.profile.trace import Traced

FEW = 2  # policies that are sooner counted here than in processes of their own


def made(policy: str, options: Mapping[str, Any], geometry: str | None = None) -> Policy:
    """Construct a policy as it is under a geometry; None: as it is.

    Raises:
        UserError: an unknown policy, an option it refuses, a geometry it does not have.
    """
    plain = plugins.make_policy(policy, options)
    variants = plain.variants()
    if geometry is None or not variants:
        return plain
    if geometry not in variants:
        raise UserError(
            f"policy {policy!r} has no geometry {geometry!r}; {did_you_mean(geometry, variants)}"
        )
    variant = variants[geometry]
    return plugins.make_policy(variant.policy, {**options, **variant.options})


def closed_form(
    policy: str, options: Mapping[str, Any], geometry: str | None = None
) -> Mapping[StageName, int]:
    """FLOPs per stage by the policy's own formulae, without running anything.

    Raises:
        UserError: as :func:`made`; a policy without closed form.
    """
    inference = made(policy, options, geometry).inference("meta")
    if inference is None or inference.flops is None:
        raise UserError(f"policy {policy!r} has no closed form; count it")
    found: dict[StageName, int] = {}
    for step, flops in zip(inference.program.steps, inference.flops, strict=True):
        found[step.stage] = found.get(step.stage, 0) + flops
    return found


def count(
    policy: str,
    options: Mapping[str, Any],
    geometry: str | None = None,
    *,
    with_fvcore: bool = False,
) -> PolicyCount:
    """Count a policy by closed form, by torch's counter and by our own trace.

    Args:
        policy: its name.
        options: to make it with.
        geometry: one of its variants; None: itself.
        with_fvcore: ask fvcore, too.

    Raises:
        UserError: as :func:`made`; a policy that computes nothing with torch; a torch that cannot
            count; no fvcore where it is asked for.
    """
    if with_fvcore:
        check_fvcore()
    subject = made(policy, options, geometry)
    inference = subject.inference("meta")
    check_counter("meta" if inference else "cpu")
    inference = inference or acting(policy, subject)
    seen = observations(subject.spec, 1)
    counted, state = trace_steps(inference, seen, with_fvcore=with_fvcore)
    traces = [one.traced for one in counted]
    if not any(traced.kernels for traced in traces):
        raise UserError(f"policy {policy!r} computes nothing with torch; there is nothing to count")
    stages = _stages(inference, traces)
    agreement, verdict = _agreement(inference, stages)
    spec = subject.spec
    return PolicyCount(
        policy=policy,
        options=dict(options),
        geometry=geometry or "own",
        preset=subject.config().get("options", {}).get("preset"),
        paradigm=spec.paradigm,
        track=spec.track,
        horizon=spec.horizon,
        executed_actions=spec.replan_steps or spec.horizon,
        control_hz=inference.control_hz,
        instruction=INSTRUCTION,
        parameters=_parameters(inference, subject),
        stages=stages,
        cache_bytes=sum(t.numel() * t.element_size() for t in inference.cache(state)),
        agreement=agreement,
        verdict=verdict,
        fvcore=_fvcore(inference, counted) if with_fvcore else {},
    )


def count_all(
    policies: Sequence[tuple[str, Mapping[str, Any]]],
    geometry: str | None = None,
    *,
    with_fvcore: bool = False,
) -> Sequence[PolicyCount]:
    """Count several policies, as :func:`count` does, on all cores.

    Raises:
        UserError: as :func:`count`, before anything is counted where a name or option is wrong.
    """
    for policy, options in policies:
        made(policy, options, geometry)
    work = partial(_count_one, geometry=geometry, with_fvcore=with_fvcore)
    workers = min(len(os.sched_getaffinity(0)), len(policies))
    if workers < 2 or len(policies) <= FEW:
        return list(map(work, policies))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, policies))


def _count_one(
    request: tuple[str, Mapping[str, Any]], geometry: str | None, with_fvcore: bool
) -> PolicyCount:
    policy, options = request
    return count(policy, options, geometry, with_fvcore=with_fvcore)


def _fvcore(inference: Inference, counted: Sequence[Counted]) -> Mapping[str, int | str]:
    flops = [one.traced.counted_flops for one in counted]
    return by_stage(inference.program.steps, [one.fvcore for one in counted], flops)


def _stages(inference: Inference, traces: Sequence[Traced]) -> tuple[StageCount, ...]:
    """Gather steps in stages, in the order in which the stages first run."""
    closed = inference.flops or [traced.counted_flops for traced in traces]
    order = list(dict.fromkeys(step.stage for step in inference.program.steps))
    steps = list(zip(inference.program.steps, traces, closed, strict=True))
    found = []
    for stage in order:
        own = [(traced, flops) for step, traced, flops in steps if step.stage == stage]
        calls = tuple(flops for _, flops in own)
        found.append(
            StageCount(
                stage=stage,
                calls=len(own),
                flops=sum(calls),
                flops_per_call=calls[0] if len(set(calls)) == 1 else None,
                flops_of_calls=calls,
                counted_flops=sum(traced.counted_flops for traced, _ in own),
                kernels=sum(traced.kernels for traced, _ in own),
                moved_bytes=sum(traced.moved_bytes for traced, _ in own),
                weight_bytes=sum(traced.weight_bytes for traced, _ in own),
                operations=_alike(
                    operation for traced, _ in own for operation in traced.operations
                ),
            )
        )
    return tuple(found)


def _alike(operations: Iterable[tuple[int, int]]) -> tuple[tuple[int, int, int], ...]:
    return tuple((flops, moved, n) for (flops, moved), n in sorted(Counter(operations).items()))


def _agreement(inference: Inference, stages: Sequence[StageCount]) -> tuple[float | None, Verdict]:
    if inference.flops is None:
        return None, "counted"
    worst = max(
        abs(stage.flops - stage.counted_flops) / max(stage.flops, stage.counted_flops, 1)
        for stage in stages
    )
    if worst == 0:
        return worst, "exact"
    return worst, "within 1 %" if worst <= TOLERANCE else "unverified"


def _parameters(inference: Inference, subject: Policy) -> Mapping[str, int]:
    if declared := subject.needs().parameters:
        return declared
    return {
        name: sum(parameter.numel() for parameter in module.parameters())
        for name, module in inference.components.items()
    }
