"""The one training loop, for every paradigm, on a CPU or a GPU, resumable to the bit."""

from __future__ import annotations

import functools
import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from baselines.core.flow import seeded_noise
from baselines.nano.config import HORIZON, NanoConfig
from baselines.nano.models import make
from baselines.nano.models.base import Lesson, NanoModel
from baselines.nano.vocabulary import Vocabulary
from baselines.training.data.chunks import Chunks
from baselines.training.data.dataset import Demonstrations
from baselines.training.data.statistics import check_hash, training_statistics
from baselines.training.lessons import Teacher, sample_frames
from baselines.training.log import Log
from baselines.training.optimising import Optimiser
from baselines.training.pictures import write_picture
from baselines.training.recipe import Recipe
from baselines.training.start import Start
from baselines.training.state import Ema, read_state, write_state
from wambench import UserError
from wambench.profile.counter import counter

VALIDATION_SAMPLES = 64
PICTURED_SAMPLES = 6
REPORT_EVERY = 50  # steps between rows of the log

Report = Callable[[int, float], None]
"""Told after every step: how many are done, and the loss."""


@dataclass(frozen=True)
class Validation:
    """How the averaged weights do on episodes that were kept from training."""

    loss: float
    action_error: float  # mean |difference| of the six motions, normalised units
    gripper_error: float  # share of steps whose gripper command has the wrong sign


class Trainer:
    """A training in a folder: ``state.pt`` to resume from, ``log.csv``."""

    def __init__(
        self,
        config: NanoConfig,
        recipe: Recipe,
        demos: Demonstrations,
        folder: Path,
        start: Start | None = None,
    ) -> None:
        self.config, self.recipe, self.demos, self.folder = config, recipe, demos, folder
        torch.set_num_threads(recipe.threads)
        torch.manual_seed(recipe.seed)
        self.device = torch.device(recipe.device)
        self.model = make(config).to(self.device)
        if start is not None:
            start.check_words(demos.instructions)
            start.fill(self.model, lambda: sample_frames(demos.train).to(self.device))
        elif not self._state_file.exists():
            self.model.fit(sample_frames(demos.train).to(self.device))
        self.ema = Ema.of(self.model, recipe.ema)
        self.start = start
        self.statistics = start.statistics if start else training_statistics(demos.train)
        self.vocabulary = start.vocabulary if start else Vocabulary.of(demos.instructions)
        self._teacher = Teacher(self.statistics, self.vocabulary, demos.instructions, self.device)
        shared: dict[str, Any] = {
            "instructions": demos.instructions,
            "cameras": demos.cameras,
            "horizon": HORIZON,
            "future": config.future,
        }
        self._chunks = Chunks(
            episodes=demos.train, batch_size=recipe.batch_size, seed=recipe.seed, **shared
        )
        self._held_out = Chunks(episodes=demos.validation, seed=None, **shared)
        self._optimiser = Optimiser(self.model, recipe)
        self.step, self.cpu_seconds = 0, 0.0
        self._resume()
        self._log = Log(folder / "log.csv", keep=self.step)

    def run(self, report: Report = lambda step, loss: None, until: int | None = None) -> None:
        """Train to the end of the recipe, or to step ``until``."""
        last = min(until or self.recipe.steps, self.recipe.steps)
        while self.step < last:
            started = time.thread_time()
            row = self._one_step()
            self.cpu_seconds += time.thread_time() - started
            self.step += 1
            is_last = self.step == last
            if self.step % self.recipe.validate_every == 0 or is_last:
                found = self.validate()
                row |= {
                    "validation_loss": found.loss,
                    "validation_action_error": found.action_error,
                    "validation_gripper_error": found.gripper_error,
                }
            if self.step % REPORT_EVERY == 0 or is_last:
                self._log.add({"step": self.step, "cpu_seconds": round(self.cpu_seconds, 2), **row})
            if self.step % self.recipe.save_every == 0 or is_last:
                self._save()
            report(self.step, float(row["loss"]))

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, level, then half a cosine down to ``final_rate``.

        Level for long, so that the averaged weights are of use wherever a training is stopped.
        """
        recipe = self.recipe
        warm = max(1, round(recipe.warmup * recipe.steps))
        if step < warm:
            return recipe.learning_rate * (step + 1) / warm
        last = max(1, round(recipe.decay * recipe.steps))
        progress = max(0, step - (recipe.steps - last)) / last
        share = recipe.final_rate + (1 - recipe.final_rate) * (1 + math.cos(math.pi * progress)) / 2
        return recipe.learning_rate * share

    def weights_hash(self) -> str:
        """Hash of the averaged weights."""
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(self.ema.values):
            digest.update(name.encode())
            digest.update(self.ema.values[name].float().cpu().numpy().tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def flops_per_step(self) -> int:
        """FLOPs of the first step's forward and backward passes, by torch's counter."""
        generator = torch.Generator().manual_seed(self.recipe.seed)
        lesson = self._teacher.lesson(self._chunks.batch(0), 0, generator)
        model = make(self.config).to(self.device)
        with counter() as counted:
            model.losses(lesson, generator, self.recipe.action_draws).total.backward()
        return counted.get_total_flops()

    def averaged(self) -> NanoModel:
        """A copy of the model with the averaged weights."""
        model = make(self.config).to(self.device)
        model.load_state_dict(self.ema.values, strict=False)
        return model.eval()

    @torch.no_grad()
    def validate(self) -> Validation:
        """Judge the averaged weights; the same samples and noise every time."""
        model = self.averaged()
        generator = torch.Generator().manual_seed(self.recipe.seed)
        lesson, noise, seeds = self._held_out_lesson(VALIDATION_SAMPLES)
        total = model.losses(lesson, generator).total
        action = model.program().run(model.state(lesson.seen, noise, seeds)).action
        counted = ~lesson.action_is_pad
        error = (action - lesson.actions)[..., :6].abs().mean(dim=-1)
        is_wrong = (action[..., 6] > 0) != (lesson.actions[..., 6] > 0)
        count = counted.sum()
        return Validation(
            loss=float(total),
            action_error=float((error * counted).sum() / count),
            gripper_error=float((is_wrong & counted).sum() / count),
        )

    @torch.no_grad()
    def picture(self, path: Path) -> bool:
        """Write what the averaged weights imagine; False if the paradigm predicts no image."""
        lesson, noise, seeds = self._held_out_lesson(PICTURED_SAMPLES)
        model = self.averaged()
        imagined = model.imagined(model.program().run(model.state(lesson.seen, noise, seeds)))
        if imagined is not None:
            write_picture(path, lesson.seen.images, lesson.future, imagined)
        return imagined is not None

    def _held_out_lesson(self, count: int) -> tuple[Lesson, Tensor, tuple[int, ...]]:
        """Samples spread evenly over the validation episodes, the noise of a flow, its seeds."""
        numbers = torch.linspace(0, len(self._held_out) - 1, count).long()
        lesson = self._teacher.lesson(self._held_out.at(numbers.numpy()), 0, torch.Generator())
        seeds = tuple(range(count))
        noise = torch.cat([seeded_noise(seed, (1, *lesson.actions.shape[1:])) for seed in seeds])
        return lesson, noise.to(lesson.actions), seeds

    def _one_step(self) -> dict[str, float]:
        """One optimiser step; its randomness depends on the seed and the step's number alone."""
        recipe = self.recipe
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + self.step)
        batch = self._chunks.batch(self.step)
        lesson = self._teacher.lesson(batch, recipe.shift_pixels, generator)
        rate = self.learning_rate(self.step)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.dtype == "bfloat16"):
            losses = self.model.losses(lesson, generator, recipe.action_draws)
        norm = self._optimiser.step(losses.total, rate)
        if not math.isfinite(norm):
            raise UserError(
                f"training {self.config.name}: the gradient of step {self.step} is not finite; "
                "lower --learning-rate"
            )
        self.ema.update(self.model, self.step)
        return {
            "loss": losses.total.item(),
            "action_loss": losses.action.item(),
            "video_loss": losses.video.item(),
            "learning_rate": rate,
            "gradient_norm": norm,
        }

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.pt"

    def _save(self) -> None:
        write_state(
            self._state_file,
            {
                "recipe": self.recipe.model_dump_json(),
                "data_hash": self.demos.data_hash,
                "step": self.step,
                "cpu_seconds": self.cpu_seconds,
                "model": self.model.state_dict(),
                "ema": self.ema.values,
                "optimiser": self._optimiser.state(),
            },
        )

    def _resume(self) -> None:
        if not self._state_file.exists():
            return
        state = read_state(self._state_file)
        old, new = state["recipe"], self.recipe.model_dump_json()
        if old != new:
            raise UserError(
                f"{str(self.folder)!r} was begun with another recipe ({old}, now {new}); "
                "use the same, or another --out"
            )
        check_hash(state["data_hash"], self.demos, repr(str(self.folder)))
        self.model.load_state_dict(state["model"])
        self.ema.values = state["ema"]
        self._optimiser.restore(state["optimiser"])
        self.step, self.cpu_seconds = state["step"], state["cpu_seconds"]
