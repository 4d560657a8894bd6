"""Nano policies: weights that ship with wambench, or that a user trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from baselines.core.labels import Labels, View, Watch
from baselines.core.machine import take_common_kernels
from baselines.core.options import parse
from baselines.core.robots import LIBERO, unchanged
from baselines.core.source import source_hash
from baselines.nano.conditions import conditions
from baselines.nano.config import SHIPPED, SIDE, TEXT_LENGTH, VERSIONS, NanoConfig
from baselines.nano.cost import flops
from baselines.nano.facts import training_facts, version_of
from baselines.nano.interventions import check, mean_state, told
from baselines.nano.options import NanoOptions
from baselines.nano.vocabulary import Vocabulary
from wambench import Needs, Observation, Policy, PolicySpec, UserError
from wambench.contract import EpisodeStart
from wambench.inference import Imagined, Inference, Program, Variant
from wambench.profile.observations import INSTRUCTION

if TYPE_CHECKING:
    import torch
    from torch import nn

    from baselines.core.checkpoints.statistics import Statistics
    from baselines.core.inputs import Preparation
    from baselines.nano.given import Giver
    from baselines.nano.models.base import NanoModel

UNTRAINED_DRAWS = 4  # one random network may look somewhere by chance
WEIGHTS = Path(__file__).parent / "weights"  # a folder for each version
ROBOT = dataclasses.replace(LIBERO, image_size=(SIDE, SIDE), command=unchanged, intended=unchanged)


@dataclass(frozen=True)
class Ready:
    """A built model and everything that feeds it."""

    model: NanoModel
    program: Program[Any]
    prepare: Preparation
    heard: Sequence[str] | None  # instructions it was trained on; None: not trained
    view: View
    giver: Giver | None = None  # of other futures than the model's own


class NanoPolicy(Policy):
    """A trained nano model. Its success says nothing of the published model of its paradigm."""

    def __init__(self, config: NanoConfig, options: NanoOptions) -> None:
        check(config, options)
        if "text" in options.blank and options.swap_instruction:
            raise UserError(
                f"policy {config.name!r}: blank 'text' and swap_instruction both decide what is "
                "heard; name one"
            )
        self.nano, self.options = config, options
        self.spec = PolicySpec(
            paradigm={"imagewam": "imagewam", "fastwam": "videowam"}.get(config.kind, "vla"),
            track="nano",
            about=f"nano: {config.about}",
            version=config.version,
            foresees=self.offsets if options.future == "oracle" else (),
            cameras=ROBOT.cameras,
            image_size=ROBOT.image_size,
            orientation=ROBOT.orientation,
            proprio=ROBOT.proprio,
            action=ROBOT.action,
            horizon=config.architecture.horizon,
            replan_steps=config.replan,
            inpaints=config.kind != "oft",
        )
        self.watch = Watch()
        self._ready: Ready | None = None

    @property
    def path(self) -> Path:
        """The weights file."""
        shipped = WEIGHTS / str(self.nano.version) / f"{self.nano.name}.safetensors"
        return self.options.weights or shipped

    @property
    def offsets(self) -> tuple[int, ...]:
        """How many control steps ahead the frames are that the model imagines."""
        horizon, count = self.nano.architecture.horizon, self.nano.future
        return tuple(horizon * (index + 1) // count for index in range(count))

    def needs(self) -> Needs:
        """Two million parameters."""
        return Needs(parameters=dict(self.nano.parameters), memory_gb=0.0)

    def obstacles(self) -> Sequence[str]:
        """Weights that are not there."""
        if self.path.is_file() or self.options.untrained is not None:
            return ()
        return (f"no weights {self.path.name}: train them",)

    def config(self) -> Mapping[str, Any]:
        """The preset, the options, and under which conditions the weights were trained."""
        return {
            "preset": self.nano.model_dump(mode="json"),
            "conditions": conditions(self.nano),
            "options": self.options.model_dump(mode="json"),
            "trained": {} if self.options.untrained is not None else training_facts(self.path),
        }

    def fingerprint(self) -> Mapping[str, str]:
        """Hashes of weights and source; UserError if the weights are not there."""
        from baselines.core.checkpoints.hashing import file_hash

        families = ("baselines.imagewam", "baselines.videowam", "baselines.vla")
        code = source_hash("baselines.core", "baselines.nano", *families)
        futures = self.options.futures
        given = {} if futures is None else {"futures": file_hash(futures)}
        if self._is_bare():
            return {"weights": "none", "code": code, **given}
        if not self.path.is_file():
            raise UserError(
                f"policy {self.nano.name!r}: no weights in {str(self.path)!r}; train them with "
                f"'wambench train {self.nano.name}' and name them as option weights"
            )
        return {"weights": file_hash(self.path), "code": code, **given}

    def load(self) -> None:
        """Build the model and fill it."""
        take_common_kernels()
        import torch

        from baselines.nano.models import make
        from baselines.nano.trained import read_trained

        torch.set_num_threads(1)  # sums then have one order, whatever else runs
        if self._is_bare():
            model = self._random_model()
            self._ready = self._made_ready(model, torch.device("cpu"), Vocabulary(()), None, None)
            return
        trained = read_trained(self.path)
        if trained.config != self.nano:
            there, wanted = (f"{one.name} {one.version}" for one in (trained.config, self.nano))
            raise UserError(f"{str(self.path)!r} holds {there}, not {wanted}; name the right file")
        model, tensors = make(trained.config).eval(), trained.tensors
        if self.options.untrained is not None:
            # What is computed from the data, and not learned, stays.
            model = self._random_model()
            tensors = {k: v for k, v in tensors.items() if not model.get_parameter(k).requires_grad}
        model.load_state_dict(tensors, strict=False)
        self._ready = self._made_ready(
            model, torch.device("cpu"), trained.vocabulary, trained.statistics,
            trained.facts.get("instructions", []),
        )  # fmt: skip

    def _is_bare(self) -> bool:
        """Whether it is to be untrained, and has no weights file to take statistics from."""
        return self.options.untrained is not None and not self.path.is_file()

    def _random_model(self) -> NanoModel:
        import torch

        from baselines.nano.models import make

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.options.untrained or 0)
            return make(self.nano).eval()

    def _made_ready(
        self,
        model: NanoModel,
        device: torch.device,
        vocabulary: Vocabulary,
        statistics: Statistics | None,
        heard: Sequence[str] | None,
    ) -> Ready:
        import torch

        from baselines.core.inputs import Preparation

        prepare = Preparation(
            robot=ROBOT,
            tokenize=vocabulary,
            statistics=statistics,
            text_length=TEXT_LENGTH,
            noise_shape=(self.spec.horizon, ROBOT.action.dim),
            noise_seed=self.options.noise_seed,
            device=device,
            dtype=torch.float32,
        )
        giver = None
        if self.options.future != "own":
            from baselines.nano.given import Giver

            giver = Giver(model, self.options, self.offsets, device)
        program = giver.program() if giver else model.program()
        return Ready(model, program, prepare, heard, model.view(ROBOT.cameras), giver)

    def inference(self, on: Literal["meta", "loaded"]) -> Inference:
        """One inference laid open; on meta it needs no weights and every word is unknown."""
        if on == "loaded":
            ready = self._loaded()
        else:
            import torch

            from baselines.core.build import on_meta
            from baselines.nano.models import make

            model = on_meta(lambda: make(self.nano))
            ready = self._made_ready(model, torch.device("meta"), Vocabulary(()), None, None)
        attention = ready.model.attention(ready.view, ready.prepare.tokenize.spelled, self.watch)
        return Inference(
            program=ready.program,
            state=partial(self._start, ready),
            components=self._components(ready.model),
            action=lambda state: state.action,
            cache=ready.model.cache,
            # Of the model as it is: another future's tokens are no design whose cost is asked.
            flops=None if ready.giver else flops(self.nano, INSTRUCTION),
            control_hz=ROBOT.control_hz,
            attention=None if self.options.future == "masked" else attention,
            imagined=partial(self._imagined, ready) if self.nano.future else None,
        )

    def _imagined(self, ready: Ready, state: Any) -> Imagined:
        """Pixels of what a finished inference expects to see."""
        import torch

        with torch.inference_mode():
            mosaics = ready.model.imagined(state)
        assert mosaics is not None, "a preset with future frames imagines them"
        pixels = ((mosaics.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        frames = torch.stack(pixels.split(SIDE, dim=-1), dim=1).movedim(3, -1)
        return Imagined(frames.cpu().numpy(), ROBOT.cameras, self.offsets)

    def variants(self) -> Mapping[str, Variant]:
        """LIBERO alone."""
        return {"libero": Variant(policy=self.nano.name)}

    def controls(self) -> Mapping[str, Sequence[Variant]]:
        """Random weights, and another task's instruction."""
        own = self.options.model_dump(mode="json", exclude_defaults=True)

        def variant(**options: Any) -> Variant:
            return Variant(policy=self.nano.name, options=own | options)

        return {
            "untrained": [variant(untrained=seed) for seed in range(UNTRAINED_DRAWS)],
            "other instruction": [variant(swap_instruction=1)],
        }

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """Chunks [16, 7]; one observation after the other, so that no neighbour matters."""
        return [self._act(seen) for seen in observations]

    def _act(self, seen: Observation) -> NDArray[np.float64]:
        import torch

        ready = self._loaded()
        with torch.inference_mode():
            state = ready.program.run(self._start(ready, [seen]))
        if ready.giver:
            ready.giver.remember(seen.episode, state)
        return ready.prepare.commands(state.action, [seen])[0]

    def _start(self, ready: Ready, observations: Sequence[Observation]) -> Any:
        """The family's state for a batch."""
        import torch

        from baselines.core.inputs import signed
        from baselines.nano.models.base import Seen

        heard = [self._instruction(seen, ready.heard) for seen in observations]
        inputs = ready.prepare(
            [
                told(dataclasses.replace(seen, instruction=instruction), self.options)
                for seen, instruction in zip(observations, heard, strict=True)
            ]
        )
        images = torch.stack([signed(image, torch.float32) for image in inputs.images], dim=1)
        proprio = inputs.proprio
        if "proprioception" in self.options.blank:
            mean = mean_state(ready.prepare.statistics, ROBOT.scaling, proprio.shape[1])
            proprio = torch.from_numpy(mean).to(proprio).expand_as(proprio)
        given = Seen(images, proprio, inputs.token_ids, inputs.lengths)
        with torch.inference_mode():
            state = ready.model.state(given, inputs.noise, inputs.noise_seeds)
            if ready.giver:
                state.given = ready.giver(observations, images, inputs.noise_seeds)
        if self.spec.inpaints:
            state.committed = inputs.committed
        words = ready.prepare.tokenize.spelled
        first = "" if "text" in self.options.blank else heard[0]
        state.reader = self.watch.reader(lambda: Labels(words(first), ready.view))
        return state

    def _loaded(self) -> Ready:
        if self._ready is None:
            raise RuntimeError(f"policy {self.nano.name!r} was not loaded; call load() first")
        return self._ready

    def _components(self, model: NanoModel) -> Mapping[str, nn.Module]:
        parts = dict(model.named_children())
        parts |= dict(parts.get("wam", model).named_children())
        return {name: parts[name] for name in self.nano.parameters}

    def _instruction(self, seen: Observation, heard: Sequence[str] | None) -> str:
        shift = self.options.swap_instruction
        if not shift or heard is None:
            return seen.instruction
        if seen.instruction not in heard:
            raise ValueError(f"swap_instruction: {seen.instruction!r} was not trained on")
        place = heard.index(seen.instruction) + shift
        return heard[place % len(heard)]


class FrozenFuture(NanoPolicy):
    """A nano policy that keeps the future of an episode's first decision: it alone has a memory."""

    def reset(self, start: EpisodeStart) -> None:
        """Begin an episode with no future kept."""
        self.forget(start.episode)

    def forget(self, episode: str) -> None:
        """Drop the future that was kept of an episode, if any was."""
        if self._ready and self._ready.giver:
            self._ready.giver.forget(episode)


def _make(name: str, /, **options: Any) -> NanoPolicy:
    chosen = parse(NanoOptions, name, options)
    kind = FrozenFuture if chosen.future == "frozen" else NanoPolicy
    own = SHIPPED if chosen.weights is None else version_of(chosen.weights)
    return kind(VERSIONS[chosen.version or own][name], chosen)


nano_imagewam = partial(_make, "nano-imagewam")
nano_imagewam_noise_idm = partial(_make, "nano-imagewam-noise-idm")
nano_imagewam_cache_idm = partial(_make, "nano-imagewam-cache-idm")
nano_fastwam = partial(_make, "nano-fastwam")
nano_fastwam_joint = partial(_make, "nano-fastwam-joint")
nano_fastwam_idm = partial(_make, "nano-fastwam-idm")
nano_pi0 = partial(_make, "nano-pi0")
nano_oft = partial(_make, "nano-oft")
