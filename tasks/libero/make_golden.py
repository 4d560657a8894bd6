"""Draw the golden frames that every run is checked against (``make golden``).

The frames of task 0, initial state 0, simulator seed 0 of each suite under each rendering preset.
Run it on the reference environment only (constraints.txt, ``WAMBENCH_GL=pip``), and only when the
environment is meant to change.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

from tasks.libero.offers import RENDERINGS
from tasks.libero.suite import ABOUT, LiberoSuite

SIZE = (128, 128)


def draw(name: str, rendering: str) -> None:
    """Draw one suite's frames in this process and save them."""
    suite = LiberoSuite(name)
    simulator = suite.open(suite.tasks()[0], rendering)
    simulator.reset(0, 0)
    frames = simulator.draw(simulator.snapshot(), suite.spec.cameras, SIZE)
    folder = Path(__file__).parent / "golden"
    folder.mkdir(exist_ok=True)
    for camera, frame in frames.items():
        Image.fromarray(frame).save(folder / f"{name}-{rendering}-{camera}.png", optimize=True)
    print(name, rendering, dict(suite.environment()))


def main() -> None:
    """Draw all, each in a process of its own: one environment per process."""
    for name in ABOUT:
        for rendering in RENDERINGS:
            subprocess.run([sys.executable, "-m", __spec__.name, name, rendering], check=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        draw(sys.argv[1], sys.argv[2])
    else:
        main()
