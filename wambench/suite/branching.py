"""What would be seen if other actions were executed, while the episode stays as it is.

A simulator's state is more than any physics engine can be asked for (controllers, plans of an
expert, clocks), so nothing is saved and put back: the process is forked, the child goes on with the
episode and tells what the cameras would see, and the parent's simulator was never touched.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wambench.errors import one_line
from wambench.suite.simulator import Simulator

Choose = Callable[[int], NDArray[np.float64]]


def branched(simulator: Simulator, choose: Choose, steps: int) -> NDArray[np.float64]:
    """Snapshots [steps + 1, n] of a branch from the present state, the present one first.

    Args:
        simulator: in an episode. Its process must have no other thread that holds a lock.
        choose: the action [A] of each step of the branch, 0 to ``steps - 1``; it is called in the
            child, where it may ask the simulator, and nothing that it changes comes back.
        steps: control steps of the branch.

    Raises:
        RuntimeError: the branch failed, with its message.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _tell(simulator, choose, steps, reading, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    told = pickle.loads(content) if content else "it died"
    if isinstance(told, str):
        raise RuntimeError(f"a branch of the episode failed: {told}")
    return np.asarray(told)


def _tell(simulator: Simulator, choose: Choose, steps: int, reading: int, writing: int) -> None:
    """In the child: take the branch, write what came of it, and end without cleaning up."""
    try:
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            try:
                snapshots = [simulator.snapshot().copy()]
                for step in range(steps):
                    simulator.step(choose(step))
                    snapshots.append(simulator.snapshot().copy())
                pickle.dump(np.array(snapshots), pipe)
            except Exception as error:
                pickle.dump(one_line(error), pipe)
    finally:
        os._exit(0)
