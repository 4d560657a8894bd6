"""How many perturbed initial states there are in all, as installed suites tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wambench import plugins
from wambench.suite import Suite


@dataclass(frozen=True)
class Family:
    """Suites whose variants belong together.

    Attributes:
        name: empty for suites that are not installed, of which nothing is known.
        suites: of those asked for, the ones that belong to it.
        population: axis -> variants in all its installed suites, locked ones included; None if a
            suite is not installed.
    """

    name: str
    suites: Sequence[str]
    population: Mapping[str, int] | None

    @property
    def total(self) -> int | None:
        """Variants of all axes."""
        return None if self.population is None else sum(self.population.values())


def families(suites: Iterable[str]) -> Sequence[Family]:
    """Sort suites into families, by name; suites without one are each their own."""
    found: dict[str, list[str]] = {}
    for name in sorted(suites):
        suite = _suite(name)
        found.setdefault((suite.spec.family or name) if suite else "", []).append(name)
    return [
        Family(name, members, _population(name, members) if name else None)
        for name, members in sorted(found.items())
    ]


def _population(family: str, members: Sequence[str]) -> Mapping[str, int] | None:
    """Count the variants of all installed suites of a family."""
    kin = [one for name in plugins.installed(plugins.SUITES) if (one := _suite(name))]
    counted: Counter[str] = Counter()
    try:
        for suite in kin:
            if suite.spec.family == family or suite.spec.name in members:
                for task in suite.tasks():
                    counted.update(one.factors.axis for one in task.named if one.factors)
    except Exception:  # numbers must not depend on an intact simulator package
        return None
    return dict(sorted(counted.items())) or None


def _suite(name: str) -> Suite | None:
    """A suite; None where it is not installed or its package is broken."""
    try:
        return plugins.make_suite(name)
    except Exception:
        return None
