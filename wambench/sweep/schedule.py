"""Which cell a free worker runs next: its own task's first, else the longest task left."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable

from wambench.cells import Cell

TaskName = tuple[str, int]  # suite, task index


class Schedule:
    """Cells still to run, by task. Opening a task costs seconds, so workers stay with theirs."""

    def __init__(
        self,
        cells: Iterable[Cell],
        seconds: Callable[[Cell], float],
        open_seconds: Callable[[TaskName], float],
    ) -> None:
        self._seconds, self._open_seconds = seconds, open_seconds
        self._waiting: dict[TaskName, deque[Cell]] = defaultdict(deque)
        self.add(cells)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, cells: Iterable[Cell]) -> None:
        """Put more cells behind those of their tasks."""
        for cell in cells:
            self._waiting[cell.suite, cell.task_index].append(cell)

    def remaining(self) -> list[Cell]:
        """All cells still to run."""
        return [cell for waiting in self._waiting.values() for cell in waiting]

    def has(self, task: TaskName) -> bool:
        """Whether a task has cells left."""
        return bool(self._waiting.get(task))

    def next_of(self, task: TaskName) -> Cell | None:
        """Take the next cell of a task; None when it is done."""
        waiting = self._waiting.get(task)
        return waiting.popleft() if waiting else None

    def next_task(self, served: Iterable[TaskName]) -> TaskName | None:
        """The task a worker without one should open; None if no opening would pay.

        ``served``: the tasks of the other workers. A task that is served already is shared only if
        the share saves more time than opening it costs.
        """
        helpers: dict[TaskName, int] = defaultdict(int)
        for task in served:
            helpers[task] += 1
        best, best_gain = None, 0.0
        for task, waiting in self._waiting.items():
            if not waiting:
                continue
            left = sum(map(self._seconds, waiting))
            gain = left / (1 + helpers[task])
            if helpers[task] and gain <= self._open_seconds(task):
                continue
            if gain > best_gain or best is None:
                best, best_gain = task, gain
        return best

    def put_back(self, cell: Cell) -> None:
        """Return a cell whose attempt failed; it waits behind its task's others."""
        self._waiting[cell.suite, cell.task_index].append(cell)

    def drop_task(self, task: TaskName) -> list[Cell]:
        """Give up on a task; returns its cells."""
        return list(self._waiting.pop(task, ()))
