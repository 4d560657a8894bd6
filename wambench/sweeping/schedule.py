"""Which cell a free worker runs next: its own task's first, else the longest task left."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Container, Iterable

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

    def policies(self) -> set[str]:
        """Policies that have cells left."""
        return {kind[0] for kinds in self._kinds.values() for kind in kinds}

    def next_of(self, task: TaskName, ready: Container[str]) -> Cell | None:
        """Take the next cell of a task that is for a ``ready`` policy; None: there is none."""
        kinds = self._kinds.get(task, Counter())
        if not any(kind[0] in ready for kind in kinds):
            return None
        waiting = self._waiting[task]
        place = next(i for i, cell in enumerate(waiting) if cell.policy in ready)
        cell = waiting[place]
        del waiting[place]
        kinds[cell.kind] -= 1
        if not kinds[cell.kind]:
            del kinds[cell.kind]
        return cell

    def next_task(self, served: Iterable[TaskName], ready: Container[str]) -> TaskName | None:
        """The task a worker without one should open; None if no opening would pay.

        ``served``: the tasks of the other workers; ``ready``: policies that can be asked. A task
        that is served already is shared only if the share saves more time than opening it costs.
        """
        helpers: dict[TaskName, int] = defaultdict(int)
        for task in served:
            helpers[task] += 1
        best, best_gain = None, 0.0
        for task, kinds in self._kinds.items():
            able = [(kind, count) for kind, count in kinds.items() if kind[0] in ready]
            if not able:
                continue
            left = sum(count * self._seconds(kind) for kind, count in able)
            gain = left / (1 + helpers[task])
            if helpers[task] and gain <= self._open_seconds(task):
                continue
            if gain > best_gain or best is None:
                best, best_gain = task, gain
        return best

    def put_back(self, cell: Cell) -> None:
        """Return a cell whose attempt failed; it waits behind its task's others."""
        self.add([cell])

    def drop_policy(self, label: str) -> list[Cell]:
        """Give up on a policy; returns its cells."""
        dropped = []
        for task, waiting in self._waiting.items():
            dropped += [cell for cell in waiting if cell.policy == label]
            self._waiting[task] = deque(cell for cell in waiting if cell.policy != label)
            for kind in [kind for kind in self._kinds[task] if kind[0] == label]:
                del self._kinds[task][kind]
        return dropped

    def drop_task(self, task: TaskName) -> list[Cell]:
        """Give up on a task; returns its cells."""
        self._kinds.pop(task, None)
        return list(self._waiting.pop(task, ()))
