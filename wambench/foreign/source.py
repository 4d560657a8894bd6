"""What is known of one policy's episodes, wherever they were run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wambench.foreign.places import Named, Place, numbered
from wambench.passport import Passport


@dataclass(frozen=True)
class Source:
    """One policy's results.

    Attributes:
        label: names it in verdicts.
        successes: of ``episodes``.
        cells: place -> whether it succeeded; None: only the counts are known.
        faults: place -> what the policy raised there; such an episode is no success.
        lost: place -> the infrastructure failure that ended the episode; none of ``cells``.
        tasks: suite and number of a task -> its name, where that is no number.
        passport: what is known of the conditions; None: nothing.
        probed: whether that holds what a sweep finds when it opens a simulator, such as pixels.
    """

    label: str
    successes: int
    episodes: int
    cells: Mapping[Place, bool] | None = None
    faults: Mapping[Place, str] = field(default_factory=dict)
    lost: Mapping[Place, str] = field(default_factory=dict)
    tasks: Mapping[tuple[str, int], str] = field(default_factory=dict)
    passport: Passport | None = None
    probed: bool = True

    @classmethod
    def of_names(
        cls,
        label: str,
        named: Mapping[Named, bool],
        passport: Passport | None = None,
        faults: Mapping[Named, str] | None = None,
        lost: Mapping[Named, str] | None = None,
    ) -> Source:
        """Of episodes as a file names them; UserError if two cannot be told apart."""
        places = numbered([*named, *(lost or {})])
        return cls(
            label,
            sum(named.values()),
            len(named),
            cells={places[name]: success for name, success in named.items()},
            faults={places[name]: text for name, text in (faults or {}).items()},
            lost={places[name]: text for name, text in (lost or {}).items()},
            tasks={(name[0], place.task_index): name[1] for name, place in places.items()},
            passport=passport,
        )
