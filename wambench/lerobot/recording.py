"""Take stored episodes of one task again and write what a policy saw, in a process of their own.

A run keeps actions and what the cameras need, no frames and no proprioception. So the actions are
executed once more, every state is held against the stored one to the last bit, and the robot is
read and drawn on the way: row t is what was there before action t.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from wambench import plugins
from wambench.contract import PolicySpec, orient
from wambench.episode import Setting, course
from wambench.errors import UserError, one_line
from wambench.lerobot import layout
from wambench.lerobot.features import (
    ACTION,
    ORIENTATION,
    STATE,
    camera_keys,
    rate,
    state_fields,
)
from wambench.lerobot.plan import Entry, Look
from wambench.lerobot.statistics import OfPictures, of_numbers
from wambench.protocols import Protocol
from wambench.suite import Simulator, Task
from wambench.trace import Trace
from wambench.video import Film

# Training jumps to any frame, so every second one is whole, as in LeRobot's own videos, and none
# waits for a later one. x264's result depends on its number of threads.
ENCODING = {"crf": "18", "preset": "medium", "g": "2", "bf": "0", "threads": "1"}
RECORDED = PolicySpec(paradigm="recorded", about="what a run remembers")
GOES_ON = "whole episodes stay, and the same command goes on from there"


@dataclass(frozen=True)
class Job:
    """Episodes of one task to write into a data set."""

    root: Path
    suite: str
    task: Task
    rules: Protocol
    look: Look
    rendering: str
    episodes: Sequence[tuple[Entry, Trace]]


def recorded(job: Job) -> Iterator[Entry]:
    """Write a job's episodes; yields each one when its files are there.

    Raises:
        UserError: an episode cannot be written, or is not the stored one any more.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(there, job), daemon=True)
    process.start()
    there.close()
    try:
        for entry, _ in job.episodes:
            try:
                trouble = here.recv()
            except EOFError:
                process.join()
                raise UserError(
                    f"the process that draws {entry.cell.describe()} died "
                    f"(exit code {process.exitcode}); {GOES_ON}"
                ) from None
            if trouble is not None:
                raise UserError(trouble)
            yield entry
    finally:
        process.kill()
        process.join()


def _work(connection: Connection, job: Job) -> None:
    """Write episodes, saying None after each, or what is wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and kills
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        suite = plugins.make_suite(job.suite)
        entry = job.episodes[0][0]
        try:
            simulator = suite.open(job.task, job.rendering)
            for entry, trace in job.episodes:
                start = job.task.start(entry.cell.init_state)
                setting = Setting(job.rules, suite.spec, RECORDED, start)
                _write(job, setting, simulator, entry, trace)
                connection.send(None)
        except UserError as error:
            connection.send(str(error))
        except Exception as error:
            connection.send(f"cannot export {entry.cell.describe()}: {one_line(error)}; {GOES_ON}")


def _write(job: Job, setting: Setting, simulator: Simulator, entry: Entry, trace: Trace) -> None:
    suite, size = setting.suite, (job.look.size, job.look.size)
    fields, cameras = state_fields(suite), camera_keys(suite)
    videos = {key: layout.video_file(job.root, key, entry.index) for key in cameras.values()}
    pictures = {key: OfPictures() for key in videos}
    states = []
    with contextlib.ExitStack() as stack:
        films = {}
        for key, file in videos.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            film = Film(layout.part_of(file), size, suite.control_hz, ENCODING)
            films[key] = stack.enter_context(film)
        for step in course(entry.cell, setting, simulator, trace.actions):
            if simulator.digest() != int(trace.digests[step]):
                raise UserError(
                    f"{entry.cell.describe()}: the state after {step} steps is not the stored "
                    "one; export with the packages that the run was made with"
                )
            if step == entry.steps:
                break
            if fields:
                read = simulator.proprio(fields)
                states.append(np.concatenate([read[name] for name in fields]))
            drawn = simulator.draw(simulator.snapshot(), list(cameras), size)
            for camera, key in cameras.items():
                frame = orient(drawn[camera], ORIENTATION)
                films[key].add(frame)
                pictures[key].add(frame)
    for file in videos.values():
        layout.part_of(file).replace(file)
    columns = {STATE: np.array(states, np.float32)} if fields else {}
    columns[ACTION] = trace.actions.astype(np.float32)
    columns |= layout.rows_of(entry, rate(suite))
    statistics = {key: counted.result() for key, counted in pictures.items()}
    statistics |= {name: of_numbers(values) for name, values in columns.items()}
    about = {"cell": entry.cell.key, "stats": statistics}
    layout.write_table(layout.table_file(job.root, entry.index), columns, about)
