"""A model behind the policy contract: files checked early, stages run, text kept, actions out."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from baselines.core.card import Card, changed
from baselines.core.labels import Labels, View, Watch
from baselines.core.machine import has_gpu, memory_gb
from baselines.core.options import RunOptions
from baselines.core.source import source_hash
from baselines.core.tokens import Tokenize
from wambench import Needs, Observation, Policy, PolicySpec, UserError
from wambench.attention import Attention
from wambench.contract import Frozen
from wambench.inference import Inference, Program, Variant
from wambench.profile.latency.modes import Executed, execute
from wambench.profile.observations import INSTRUCTION

if TYPE_CHECKING:  # a listing must not import torch
    import torch
    from torch import Tensor, nn

    from baselines.core.checkpoints.statistics import Statistics
    from baselines.core.inputs import Inputs, Preparation

COMPUTING = ("torch", "diffusers", "transformers")  # packages whose version may move an action
FREE_SHARE = 0.8  # of a machine's memory that weights may take


@dataclass(frozen=True)
class Ready:
    """A built model and everything that feeds it."""

    model: nn.Module
    program: Program[Any]
    prepare: Preparation
    view: View


class LearnedPolicy(Policy):
    """Base of every policy with weights. A family says how to build, fill, prepare and run."""

    flows = True  # whether its chunk is sampled by a flow, which can begin with given actions

    def __init__(self, card: Card, options: RunOptions) -> None:
        card = changed(card, options)
        self.card, self.options = card, options
        on_gpu = options.device == "cuda" or (options.device == "auto" and has_gpu())
        if options.mode == "graph" and not on_gpu:
            raise UserError(
                f"policy {card.name!r}: mode graph needs a GPU, and device is {options.device} "
                "here; leave mode out, or set device: cuda for a node that has one"
            )
        self.spec = PolicySpec(
            paradigm=card.paradigm,
            track="published",
            about=card.about,
            cameras=card.robot.cameras,
            image_size=card.robot.image_size,
            orientation=card.robot.orientation,
            proprio=card.robot.proprio,
            action=card.robot.action,
            horizon=card.architecture.horizon,
            replan_steps=card.replan_steps,
            inpaints=self.flows and options.mode == "eager",
            max_batch=options.batch_size,
            num_gpus=1 if on_gpu else 0,
        )
        self.watch = Watch()
        self._texts: dict[str, Any] = {}
        self._ready: Ready | None = None
        self._executed = Executed(())

    @abstractmethod
    def savings(self) -> Frozen:
        """The family's inference options under the chosen preset."""

    @abstractmethod
    def files(self) -> Mapping[str, tuple[Path | None, str]]:
        """Option -> (path or None, what it must lead to), for every file of weights."""

    @abstractmethod
    def build(self) -> nn.Module:
        """Make the model, without memory."""

    @abstractmethod
    def fill(self, model: nn.Module, dtype: Any) -> None:
        """Give the model its weights from the files, all or none; UserError for a bad file."""

    @abstractmethod
    def program(self, model: nn.Module) -> Program[Any]:
        """The stages of one inference."""

    @abstractmethod
    def state(self, inputs: Inputs) -> Any:
        """The stages' state for a batch; in the end it has ``action``."""

    @abstractmethod
    def tokenizer(self) -> Tokenize:
        """The tokenizer of the text side."""

    @abstractmethod
    def view(self) -> View:
        """Its image tokens."""

    @abstractmethod
    def attention(self, view: View, words: Callable[[str], Sequence[str]]) -> Attention:
        """What its action tokens read, given :meth:`view` and how its tokenizer spells."""

    def cache(self, state: Any) -> Sequence[Tensor]:
        """Keys and values in a finished state that later steps read again."""
        return ()

    def components(self, model: nn.Module) -> Mapping[str, nn.Module]:
        """Its parts by name, as in ``card.parameters``."""
        return dict(model.named_children())

    def flops(self, text_tokens: int) -> Sequence[int] | None:
        """Closed form of every step of the program, for an instruction of so many tokens."""
        return None

    def noise_shape(self) -> tuple[int, int]:
        """Actions of a chunk and channels of the noise they start from."""
        return self.card.architecture.horizon, self.card.architecture.action_dim

    def keep_text(self, state: Any, row: int) -> Any:
        """What the text stage made of one sample, to be used again for the same instruction."""
        return state.text[row, : state.lengths[row]].clone()

    def reuse_text(self, state: Any, kept: Sequence[Any]) -> None:
        """Give a state what was kept for each of its samples."""
        from torch.nn.utils.rnn import pad_sequence

        state.text = pad_sequence(list(kept), batch_first=True)

    def needs(self) -> Needs:
        """Parameters, files that are still to be named, memory of the weights."""
        files = {} if self.options.weights == "random" else self.files()
        size = 2 if self.options.dtype == "bfloat16" else 4
        return Needs(
            parameters=self.card.parameters,
            files={option: what for option, (path, what) in files.items() if path is None},
            memory_gb=sum(self.card.parameters.values()) * size / 1e9,
        )

    def obstacles(self) -> Sequence[str]:
        """Files not named or not there, no GPU where one is asked for, too little memory."""
        needs = self.needs()
        found = [f"needs {', '.join(needs.files)}"] if needs.files else []
        if self.options.weights == "files":
            paths = (path for path, _ in self.files().values())
            found += [f"no {str(path)!r}" for path in paths if path and not path.exists()]
        if self.options.device == "cuda" and not has_gpu():
            found.append("no GPU")
        if not self.spec.num_gpus and needs.memory_gb > FREE_SHARE * memory_gb():
            found.append(f"{needs.memory_gb:.0f} GB of weights, {memory_gb():.0f} GB here, no GPU")
        return found

    def config(self) -> Mapping[str, Any]:
        """Architecture, options and what the preset means, resolved."""
        return {
            "architecture": self.card.architecture.model_dump(mode="json"),
            "options": self.options.model_dump(mode="json"),
            "inference": self.savings().model_dump(mode="json"),
        }

    def fingerprint(self) -> Mapping[str, str]:
        """Hashes of files and source, and what computes; UserError if a file is not named."""
        out = {f"version:{name}": metadata.version(name) for name in COMPUTING}
        out["code"] = source_hash("baselines.core", self.card.package)
        out["device"] = "cuda" if self.spec.num_gpus else "cpu"
        if self.options.weights == "random":
            return out | {"weights": f"random, seed {self.options.weights_seed}"}
        from baselines.core.checkpoints.hashing import path_hash

        named: dict[str, Path] = {}
        for option, (path, what) in self.files().items():
            if path is None:
                raise UserError(
                    f"policy {self.card.name!r} needs option {option} ({what}); give its path, or "
                    "weights: random if only time matters"
                )
            named[option] = path
        named.pop("statistics", None)
        out |= {option: path_hash(path) for option, path in named.items()}
        self.statistics()  # raises here, and not in the policy's process, if they are unfit
        if statistics := self.statistics_file():
            out["statistics"] = path_hash(statistics)
        return out

    def load(self) -> None:
        """Build the model, fill it and move it; read tokenizer and statistics."""
        import torch

        from baselines.core.build import fill_random

        if not self.spec.num_gpus:
            torch.set_num_threads(self.options.threads)
        dtype = getattr(torch, self.options.dtype)
        device = torch.device("cuda" if self.spec.num_gpus else "cpu")
        model = self.build()
        if self.options.weights == "random":
            fill_random(model, self.options.weights_seed, dtype, device)
        else:
            self.fill(model, dtype)
        self._ready = self._made_ready(model.to(device), device, self.statistics())
        self._executed = execute(self.inference("loaded"), self.options.mode)

    def _made_ready(
        self, model: nn.Module, device: torch.device, statistics: Statistics | None
    ) -> Ready:
        import torch

        from baselines.core.inputs import Preparation

        prepare = Preparation(
            robot=self.card.robot,
            tokenize=self.tokenizer(),
            statistics=statistics,
            text_length=self.card.architecture.text_length,
            noise_shape=self.noise_shape(),
            noise_seed=self.options.noise_seed,
            device=device,
            dtype=getattr(torch, self.options.dtype),
        )
        return Ready(model, self.program(model), prepare, self.view())

    def inference(self, on: Literal["meta", "loaded"]) -> Inference:
        """One inference laid open; on meta it needs no files.

        The tokenizer is the stand-in unless the options name one, so on meta the number of text
        tokens is about right only; where text is padded that does not matter.
        """
        if on == "loaded":
            ready = self._loaded()
        else:
            import torch

            model = self.build().to(getattr(torch, self.options.dtype))
            ready = self._made_ready(model, torch.device("meta"), None)
        return Inference(
            program=ready.program,
            state=functools.partial(self._start, ready),
            components=self.components(ready.model),
            action=lambda state: state.action,
            cache=self.cache,
            flops=self.flops(len(ready.prepare.tokenize(INSTRUCTION))),
            control_hz=self.card.robot.control_hz,
            attention=self.attention(ready.view, ready.prepare.tokenize.spelled),
        )

    def variants(self) -> Mapping[str, Variant]:
        """Geometries it is had under."""
        return self.card.variants

    def controls(self) -> Mapping[str, Sequence[Variant]]:
        """Random weights; one draw, as large as these models are."""
        own = self.options.model_dump(mode="json", exclude_defaults=True)
        random = {"weights": "random", "weights_seed": self.options.weights_seed + 1}
        return {"untrained": [Variant(policy=self.card.name, options=own | random)]}

    def _start(self, ready: Ready, observations: Sequence[Observation]) -> Any:
        inputs = ready.prepare(observations)
        state = self.state(inputs)
        if self.flows:
            state.committed = inputs.committed
        words = ready.prepare.tokenize.spelled
        state.reader = self.watch.reader(
            lambda: Labels(words(observations[0].instruction), ready.view)
        )
        return state

    def _loaded(self) -> Ready:
        if self._ready is None:
            raise RuntimeError(f"policy {self.card.name!r} was not loaded; call load() first")
        return self._ready

    def statistics_file(self) -> Path | None:
        """Where the statistics of the training data are; None for random weights."""
        from baselines.core.checkpoints.statistics import statistics_path

        checkpoint = self.options.checkpoint
        if self.options.weights == "random" or checkpoint is None:
            return None
        return self.options.statistics or statistics_path(checkpoint)

    def statistics(self) -> Statistics | None:
        """Statistics of the training data; UserError if the file is missing or does not fit."""
        from baselines.core.checkpoints.statistics import read_statistics

        path, dim = self.statistics_file(), self.card.robot.action.dim
        return read_statistics(path, action_dim=dim) if path else None

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """Chunks [horizon, A] in the suite's convention."""
        size = self.options.batch_size
        groups = (observations[i : i + size] for i in range(0, len(observations), size))
        return [chunk for group in groups for chunk in self._act(group)]

    def _act(self, observations: Sequence[Observation]) -> list[NDArray[np.float64]]:
        import torch

        ready = self._loaded()
        state = self._start(ready, observations)
        names = [seen.instruction for seen in observations]
        keeps_text = any(step.once_per_instruction for step in ready.program.steps)
        is_known = keeps_text and all(name in self._texts for name in names)
        if is_known:
            self.reuse_text(state, [self._texts[name] for name in names])
        with torch.inference_mode():
            ready.program.run(state, warm_text=is_known)
            if keeps_text and not is_known:
                for row, name in enumerate(names):
                    self._texts[name] = self.keep_text(state, row)
        for stage, reason in self._executed.refused().items():
            raise RuntimeError(f"mode graph: stage {stage} cannot be captured: {reason}")
        return ready.prepare.commands(state.action, observations)
