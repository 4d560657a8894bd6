"""The interface every policy implements, from a random one to a 10-billion-parameter model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from wambench.contract import EpisodeStart, Needs, Observation, PolicySpec
from wambench.inference import Inference, Variant


class Policy(ABC):
    """A robot policy, registered under the entry-point group ``wambench.policies``.

    Life: ``__init__(**options)`` is cheap (it validates options and sets ``spec``; the driver
    calls it to check the contract), ``load()`` does the heavy work once in the policy's own
    process, then ``reset`` / ``act`` / ``forget`` serve many episodes at once.

    Row *i* of what ``act`` returns may depend on row *i* of its input and on the memory of that
    episode only: the engine batches requests from many simulators, and a cell's result must not
    depend on its neighbours.
    """

    spec: PolicySpec

    logistics: ClassVar[frozenset[str]] = frozenset()
    """Options that say where and how it is asked (an address, a time-out) and not what it answers.

    They are no part of cell keys. A policy that has some lives elsewhere: the sweep stops if its
    first episodes all end at their first look.
    """

    def load(self) -> None:
        """Load weights. Called once, in the process that will call ``act``."""
        return None

    def fingerprint(self) -> Mapping[str, str]:
        """Hashes of everything outside the source that moves the actions (weights, statistics).

        Called by the driver on an instance that was not loaded; it goes into the cell keys.
        """
        return {}

    def needs(self) -> Needs:
        """What it takes to run; for listings, so it must be quick and load nothing."""
        return Needs()

    def obstacles(self) -> Sequence[str]:
        """Why it cannot run here with these options, one line each; empty if it can."""
        return ()

    def config(self) -> Mapping[str, Any]:
        """Everything that was resolved from the options, as JSON; for people and records.

        A report shows these, where they are there: ``conditions`` (``parameters``, ``flops`` of one
        decision, ``tokens``: what -> how many) and ``trained`` (``step`` of ``steps``,
        ``batch_size``, ``samples``, ``episodes``, ``data_hash``, ``seed``, ``cpu_seconds``,
        ``flops_per_step``).
        """
        return {}

    def inference(self, on: Literal["meta", "loaded"]) -> Inference | None:
        """Lay one inference open, for profilers and attention maps.

        Args:
            on: ``meta``: a torch model without memory, for counting; ``loaded``: the one that
                ``load()`` made.

        Returns:
            None from a policy that does not (it can still be audited, through ``act`` alone).
        """
        return None

    def variants(self) -> Mapping[str, Variant]:
        """Geometry (robotwin, paper, …) -> how this policy is had under it."""
        return {}

    def controls(self) -> Mapping[str, Sequence[Variant]]:
        """Versions of this policy that must do worse, by name (untrained, told something else).

        Several of one name are draws of it, where it is random.
        """
        return {}

    def reset(self, start: EpisodeStart) -> None:
        """Begin an episode. Only policies with a memory override this."""
        return None

    @abstractmethod
    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """Return an action chunk, float [1 <= H <= ``spec.horizon``, A], per observation."""

    def measured(self, episode: str) -> Mapping[str, Sequence[float]]:
        """What it measured of its looks in an episode: name with unit -> a number each, NaN: none.

        Asked before :meth:`forget`; stored beside the episode, no part of its result.
        """
        return {}

    def forget(self, episode: str) -> None:
        """Drop the memory of an episode that ended."""
        return None
