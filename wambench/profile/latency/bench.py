"""One loaded policy on the bench, in the process that computes: prepared, timed, looked into."""

from __future__ import annotations

import resource
import statistics
import sys
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import psutil

from wambench.errors import UserError
from wambench.inference import Inference, StageName
from wambench.policy import Policy
from wambench.policy_server import describe
from wambench.profile.latency.clock import Clock, Timed, clock_of_this_process
from wambench.profile.latency.messages import Prepared, Told
from wambench.profile.latency.modes import execute
from wambench.profile.latency.peak import matmul_flops
from wambench.profile.latency.protocol import TEXTS, LatencyProtocol, Mode, Scope, Text
from wambench.profile.latency.records import Memory, Outputs, Stages, Work
from wambench.profile.latency.showing import Show
from wambench.profile.latency.work import counted, spied


class Bench:
    """Times one policy. Everything it returns can travel between processes.

    ``make_clock`` is asked after the first call, when it is known what the policy computes on.
    """

    def __init__(
        self,
        policy: Policy,
        rules: LatencyProtocol,
        mode: Mode,
        make_clock: Callable[[], Clock] = clock_of_this_process,
        backend: str = "inductor",
    ) -> None:
        self._policy, self._rules, self._mode = policy, rules, mode
        self._make_clock, self._backend = make_clock, backend
        self._show = Show(policy.spec, rules)
        self._chunks: set[bytes] = set()
        self._finite, self._shortest = True, policy.spec.horizon
        self._difference: float | None = None

    def prepare(self) -> Prepared:
        """Make the first calls, count the work, and put the program into its mode."""
        policy, show = self._policy, self._show
        self._inference: Inference | None = policy.inference("loaded")
        policy.reset(show.start())
        shown = show.next("warm")
        began = perf_counter()
        eager = self._act(shown)
        self._clock = self._make_clock()
        self._clock.synchronise()
        first_call_ms = 1000 * (perf_counter() - began)
        work = self._work()
        executed = execute(self._inference, self._mode, backend=self._backend)
        compile_ms = None
        if self._mode != "eager":
            compile_ms = sum(self._compile_ms(text) for text in TEXTS)
            scale = max(float(np.abs(eager).max()), 1e-9)
            self._difference = float(np.abs(self._act(shown) - eager).max()) / scale
        self._reset_peak()
        return Prepared(
            has_device=self._clock.has_device,
            first_call_ms=first_call_ms,
            compile_ms=compile_ms,
            work=work,
            inputs=show.inputs(),
            scopes=self._scopes(work),
            dtype=self._dtype(),
            control_hz=self._inference.control_hz if self._inference else None,
            software=self._software(),
            matmul_flops=matmul_flops(self._dtype(), has_device=self._clock.has_device),
            compiled_graphs=executed.graphs(),
            refused=executed.refused(),
        )

    def block(self, scope: Scope, text: Text, calls: int) -> list[Timed]:
        """Time some calls."""
        one = self._time_kernels if scope == "kernels" else self._time_act
        return [one(text) for _ in range(calls)]

    def stages(self) -> Stages | None:
        """Time single stages, in turn with whole programs; None if the policy shows none."""
        if self._inference is None:
            return None
        whole: list[float] = []
        sums: list[float] = []
        stages: dict[StageName, list[float]] = {}
        for _ in range(self._rules.stage_calls):
            timed = self._time_kernels("cold")
            by_cpu = timed.wall_ms if timed.cpu_ms is None else timed.cpu_ms
            whole.append(by_cpu if timed.device_ms is None else timed.device_ms)
            spans = self._time_steps()
            sums.append(sum(spans.values()))
            for stage, span in spans.items():
                stages.setdefault(stage, []).append(span)
        return Stages(
            p50_ms={stage: statistics.median(spans) for stage, spans in stages.items()},
            sum_ms=statistics.median(sums),
            whole_ms=statistics.median(whole),
            gap=statistics.median(s / w - 1 for s, w in zip(sums, whole, strict=True)),
        )

    def told(self) -> Told:
        """What is known when all is timed."""
        return Told(
            memory=self._memory(),
            outputs=Outputs(
                finite=self._finite,
                actions=self._shortest,
                distinct=len(self._chunks),
                difference=self._difference,
            ),
        )

    # -- one call ----------------------------------------------------------------------------

    def _act(self, shown: Any) -> np.ndarray:
        """One ``act``, looked at. UserError if it fails: nothing can be timed then."""
        try:
            chunk = self._policy.act([shown])[0]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise UserError(f"it cannot be measured: {describe(error)}") from error
        array = np.asarray(chunk, np.float64)
        self._look(array)
        return array

    def _look(self, chunk: np.ndarray) -> None:
        self._finite = self._finite and bool(np.isfinite(chunk).all())
        self._shortest = min(self._shortest, len(chunk))
        self._chunks.add(chunk.tobytes())

    def _time_act(self, text: Text) -> Timed:
        shown = self._show.next(text)
        chunks: list[Any] = []
        timed = self._clock.time(lambda: chunks.extend(self._policy.act([shown])))
        self._look(np.asarray(chunks[0], np.float64))
        return timed

    def _time_kernels(self, text: Text) -> Timed:
        import torch

        assert self._inference is not None
        with torch.inference_mode():
            state = self._state(text)
            program = self._inference.program
            timed = self._clock.time(lambda: program.run(state, warm_text=text == "warm"))
            action = self._inference.action(state)
            self._finite = self._finite and bool(torch.isfinite(action).all())
        return timed

    def _state(self, text: Text) -> Any:
        """A state that is ready to run; a warm one holds its text already."""
        assert self._inference is not None
        state = self._inference.state([self._show.next(text)])
        if text == "warm":
            for step in self._inference.program.steps:
                if step.once_per_instruction:
                    step.run(state)
        return state

    def _time_steps(self) -> Mapping[StageName, float]:
        """Milliseconds of each stage in one call with cold text."""
        import torch

        assert self._inference is not None
        steps = self._inference.program.steps
        with torch.inference_mode():
            state = self._state("cold")
            self._clock.synchronise()
            marks = self._clock.marks()
            marks.mark()
            for step in steps:
                step.run(state)
                marks.mark()
            spans = marks.spans_ms()
        out: dict[StageName, float] = {}
        for step, span in zip(steps, spans, strict=True):
            out[step.stage] = out.get(step.stage, 0.0) + span
        return out

    # -- before timing -----------------------------------------------------------------------

    def _work(self) -> Work:
        """Count ``act`` and program, warm after cold: the second call may use what was kept."""
        act = {text: self._counted(partial(self._act, self._show.next(text))) for text in TEXTS}
        inference = self._inference
        if inference is None:
            return Work(
                act_flops=_totals(act), program_flops=None, attention_flops=_attention(act),
                act_calls={}, program_calls={}, keeps_text=False,
            )  # fmt: skip
        ran, act_calls = {}, {}
        for text in TEXTS:
            state = self._state(text)
            run = partial(inference.program.run, state, warm_text=text == "warm")
            ran[text] = self._counted(run)
            with spied(inference.program) as calls:
                self._act(self._show.next(text))
            act_calls[text] = dict(calls)
        acts_by_it = any(act_calls.values())
        return Work(
            act_flops=_totals(act),
            program_flops=_totals(ran),
            attention_flops=_attention(ran),
            act_calls=act_calls if acts_by_it else {},
            program_calls={t: inference.program.calls(warm_text=t == "warm") for t in TEXTS},
            keeps_text=any(step.once_per_instruction for step in inference.program.steps),
        )

    def _counted(self, call: Callable[[], object]) -> tuple[int, int] | None:
        def run() -> None:
            call()
            self._clock.synchronise()

        return counted(run)

    def _compile_ms(self, text: Text) -> float:
        """What the first call takes beyond the second."""
        shown = [self._show.next(text) for _ in range(2)]
        spans = [self._clock.time(partial(self._act, seen)).wall_ms for seen in shown]
        if self._inference is not None:
            self._time_kernels(text)
        return max(0.0, spans[0] - spans[1])

    def _scopes(self, work: Work) -> tuple[Scope, ...]:
        """What can be timed in this mode: ``act`` is in it only if it runs the program shown."""
        if self._policy.logistics:  # never beside what is computed in a process of ours
            return ("wire",)
        if self._inference is None:
            return ("policy", "served")
        if self._mode == "eager" or work.act_calls:
            return ("kernels", "policy", "served")
        return ("kernels",)

    # -- facts -------------------------------------------------------------------------------

    def _modules(self) -> list[Any]:
        torch = sys.modules.get("torch")
        if torch is None:
            return []
        found = self._inference.components if self._inference else vars(self._policy)
        return [value for value in found.values() if isinstance(value, torch.nn.Module)]

    def _parameters(self) -> dict[int, Any]:
        return {id(p): p for module in self._modules() for p in module.parameters()}

    def _dtype(self) -> str:
        """Number format of most parameters."""
        sizes: dict[str, int] = {}
        for parameter in self._parameters().values():
            name = str(parameter.dtype).removeprefix("torch.")
            sizes[name] = sizes.get(name, 0) + parameter.numel()
        return max(sizes, key=lambda name: sizes[name]) if sizes else "unknown"

    def _memory(self) -> Memory:
        weights = sum(p.numel() * p.element_size() for p in self._parameters().values())
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        process = max(peak, psutil.Process().memory_info().rss)
        if not self._clock.has_device:
            return Memory(weights=weights, process=process)
        cuda = sys.modules["torch"].cuda
        return Memory(
            weights=weights,
            process=process,
            allocated=cuda.max_memory_allocated(),
            reserved=cuda.max_memory_reserved(),
        )

    def _reset_peak(self) -> None:
        if self._clock.has_device:
            sys.modules["torch"].cuda.reset_peak_memory_stats()

    def _software(self) -> dict[str, str]:
        found = {"python": sys.version.split()[0]}
        torch = sys.modules.get("torch")
        if torch is not None:
            found |= {
                "torch": torch.__version__,
                "threads": str(torch.get_num_threads()),
                "float32_matmul_precision": torch.get_float32_matmul_precision(),
            }
            if self._clock.has_device:
                found |= {
                    "cuda": str(torch.version.cuda),
                    "cudnn": str(torch.backends.cudnn.version()),
                }
        return found


def _totals(counts: Mapping[Text, tuple[int, int] | None]) -> dict[Text, int] | None:
    found = {text: count[0] for text, count in counts.items() if count is not None}
    return found or None


def _attention(counts: Mapping[Text, tuple[int, int] | None]) -> int | None:
    cold = counts["cold"]
    return cold[1] if cold is not None else None
