"""Which cell a free worker runs next: its own task's first, else the longest task left."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable

from wambench.cells import Cell, Kind

TaskName = tuple[str, int]  # suite, task index


class Schedule:
    """Cells still to run, by task. Opening a task costs seconds, so workers stay with theirs.

    Cells are counted by kind, so that a choice takes as long with many of them as with few.
    """

    def __init__(
        self,
        cells: Iterable[Cell],
        seconds: Callable[[Kind], float],
        open_seconds: Callable[[TaskName], float],
    ) -> None:
        self._seconds, self._open_seconds = seconds, open_seconds
        self._waiting: dict[TaskName, deque[Cell]] = defaultdict(deque)
        self._kinds: dict[TaskName, Counter[Kind]] = defaultdict(Counter)
        self.add(cells)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, cells: Iterable[Cell]) -> None:
        """Put more cells behind those of their tasks."""
        for cell in cells:
            task = cell.suite, cell.task_index
            self._waiting[task].append(cell)
            self._kinds[task][cell.kind] += 1

    def remaining(self) -> Counter[Kind]:
        """How many cells of each kind are still to run."""
        return Counter(
            {kind: count for kinds in self._kinds.values() for kind, count in kinds.items()}
        )

    def has(self, task: TaskName) -> bool:
        """Whether a task has cells left."""
        return bool(self._waiting.get(task))

    def next_of(self, task: TaskName) -> Cell | None:
        """Take the next cell of a task; None when it is done."""
        if not self.has(task):
            return None
        cell = self._waiting[task].popleft()
        kinds = self._kinds[task]
        kinds[cell.kind] -= 1
        if not kinds[cell.kind]:
            del kinds[cell.kind]
        return cell

    def next_task(self, served: Iterable[TaskName]) -> TaskName | None:
        """The task a worker without one should open; None if no opening would pay.

        ``served``: the tasks of the other workers. A task that is served already is shared only if
        the share saves more time than opening it costs.
        """
        helpers: dict[TaskName, int] = defaultdict(int)
        for task in served:
            helpers[task] += 1
        best, best_gain = None, 0.0
        for task, kinds in self._kinds.items():
            if not kinds:
                continue
            left = sum(count * self._seconds(kind) for kind, count in kinds.items())
            gain = left / (1 + helpers[task])
            if helpers[task] and gain <= self._open_seconds(task):
                continue
            if gain > best_gain or best is None:
                best, best_gain = task, gain
        return best

    def put_back(self, cell: Cell) -> None:
        """Return a cell whose attempt failed; it waits behind its task's others."""
        self.add([cell])

    def drop_task(self, task: TaskName) -> list[Cell]:
        """Give up on a task; returns its cells."""
        self._kinds.pop(task, None)
        return list(self._waiting.pop(task, ()))
