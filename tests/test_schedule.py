"""Which cell runs next, how a sweep is cut into parts, and what fits on a machine."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from tests.records import grid, make_cell
from wambench import sweepfile
from wambench.cells import Cell
from wambench.errors import UserError
from wambench.suite import Suite
from wambench.sweep import sizing
from wambench.sweep.schedule import Schedule

A, B, C = (("toy", task) for task in range(3))


def make_schedule(
    counts: Mapping[int, int], seconds: float = 10.0, open_seconds: float = 7.0
) -> Schedule:
    """A schedule of ``counts[task]`` cells of each task, each of ``seconds``."""
    cells = [make_cell(task=t, init_state=i) for t, count in counts.items() for i in range(count)]
    return Schedule(cells, lambda kind: seconds, lambda task: open_seconds)


def test_longest_task_first() -> None:
    assert make_schedule({0: 2, 1: 5, 2: 3}).next_task([]) == B


def test_length_counts_seconds_not_cells() -> None:
    cells = [make_cell(task=0), make_cell(task=1, init_state=0), make_cell(task=1, init_state=1)]
    slow = Schedule(cells, lambda kind: 100 if kind[2] == 0 else 1, lambda task: 0)
    assert slow.next_task([]) == A


def test_worker_stays_with_its_task_in_order() -> None:
    schedule = make_schedule({0: 3, 1: 9})
    taken = [schedule.next_of(A) for _ in range(4)]
    assert [cell and cell.init_state for cell in taken] == [0, 1, 2, None]
    assert not schedule.has(A) and schedule.has(B) and len(schedule) == 9


def test_unserved_task_is_preferred_to_sharing() -> None:
    assert make_schedule({0: 9, 1: 5}).next_task([A]) == B


@pytest.mark.parametrize(
    ("cells", "expected"), [(1, None), (2, A)], ids=["5 s saved", "10 s saved"]
)
def test_sharing_only_if_it_saves_more_than_opening_costs(
    cells: int, expected: tuple[str, int] | None
) -> None:
    assert make_schedule({0: cells}, open_seconds=7.0).next_task([A]) == expected


def test_shares_shrink_with_every_helper() -> None:
    schedule = make_schedule({0: 6}, open_seconds=7.0)  # 60 s
    assert [schedule.next_task([A] * helpers) for helpers in (6, 7, 8)] == [A, A, None]


def test_nothing_left_means_no_task() -> None:
    schedule = make_schedule({0: 1})
    schedule.next_of(A)
    assert schedule.next_task([]) is None


def test_put_back_waits_behind_the_others() -> None:
    schedule = make_schedule({0: 2})
    first = schedule.next_of(A)
    assert first is not None
    schedule.put_back(first)
    order = [schedule.next_of(A), schedule.next_of(A)]
    assert order[1] is first and order[0] is not first


def test_put_back_revives_a_finished_task() -> None:
    schedule = make_schedule({0: 1})
    cell = schedule.next_of(A)
    assert cell is not None and not schedule.has(A)
    schedule.put_back(cell)
    assert schedule.next_task([]) == A and schedule.remaining() == {cell.kind: 1}


def test_dropped_task_is_gone() -> None:
    schedule = make_schedule({0: 4, 1: 1})
    assert len(schedule.drop_task(A)) == 4
    assert schedule.drop_task(A) == []
    assert schedule.next_task([]) == B and len(schedule) == 1


# -- parts of a sweep --------------------------------------------------------------------------

CELLS = grid(tasks=5, init_states=4)


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 40, 41])
def test_shards_are_a_contiguous_even_partition(parts: int) -> None:
    shards = [sweepfile.shard(CELLS, f"{part}/{parts}") for part in range(1, parts + 1)]
    assert list(itertools.chain(*shards)) == CELLS, "complete, disjoint, in order"
    sizes = sorted(map(len, shards))
    assert sizes[-1] - sizes[0] <= 1


def plan_of(text: str) -> sweepfile.Plan:
    import yaml

    return sweepfile.plan(sweepfile.SweepFile.model_validate(yaml.safe_load(text)))


PAIRED = """
policies: [random, frozen, expert]
suites: {toy: all}
init_states: 0-4
seeds: [0, 1]
"""


def name(cell: Cell) -> tuple[str, int, int, int]:
    return cell.suite, cell.task_index, cell.init_state, cell.seed


@pytest.mark.usefixtures("toy")
def test_any_prefix_and_part_holds_the_same_cells_for_every_policy() -> None:
    cells = plan_of(PAIRED).cells
    assert len(cells) == 3 * 3 * 5 * 2 == len({cell.key for cell in cells})
    for part in [cells[:9], cells[: 3 * 11], sweepfile.shard(cells, "2/5")]:
        named = {
            label: {name(cell) for cell in part if cell.policy == label}
            for label in ("random", "frozen", "expert")
        }
        assert named["random"] == named["frozen"] == named["expert"] != set()


@pytest.mark.usefixtures("toy")
def test_tasks_by_number_name_and_range_in_the_order_named() -> None:
    cells = plan_of("policies: [random]\nsuites: {toy: [go right, 0-0]}\ninit_states: 3").cells
    assert [(cell.task, cell.init_state) for cell in cells] == [("go right", 3), ("go left", 3)]


@pytest.mark.usefixtures("toy")
def test_same_policy_twice_under_labels_with_options() -> None:
    plan = plan_of(
        "policies: [{name: noisy-expert, label: low, options: {noise: 0.0}}, noisy-expert]\n"
        "suites: {toy: 0}\ninit_states: 0"
    )
    assert [cell.policy for cell in plan.cells] == ["low", "noisy-expert"]
    assert plan.cells[0].key != plan.cells[1].key


# -- what fits ---------------------------------------------------------------------------------


def machine(monkeypatch: pytest.MonkeyPatch, available_mb: int, cores: int) -> None:
    memory = SimpleNamespace(available=available_mb * 2**20)
    monkeypatch.setattr(sizing.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(sizing, "cores", lambda: cores)


FIXED = sizing.RESERVE_MB + 3 * sizing.POLICY_MB  # PAIRED has three policies


@pytest.mark.parametrize(
    ("available", "cores", "asked", "expected"),
    [
        (FIXED + 1000, 4, None, 4),  # cores bind
        (FIXED + 250, 4, None, 2),  # memory binds: 100 MiB each
        (FIXED + 1000, 4, 9, 9),  # asked for
        (FIXED + 100_000, 500, None, 90),  # no more workers than cells
    ],
)
def test_number_of_workers(
    toy: Suite,
    monkeypatch: pytest.MonkeyPatch,
    available: int,
    cores: int,
    asked: int | None,
    expected: int,
) -> None:
    machine(monkeypatch, available, cores)
    assert toy.spec.memory_mb == 100
    size = sizing.size_machine(plan_of(PAIRED), asked)
    assert (size.workers, size.memory_mb) == (expected, FIXED + expected * 100)


@pytest.mark.usefixtures("toy")
def test_too_little_memory_is_refused_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(PAIRED)
    machine(monkeypatch, FIXED + 99, 4)
    with pytest.raises(UserError, match=rf"100 MiB.*{FIXED} MiB.*{FIXED + 99} MiB"):
        sizing.size_machine(plan, None)
    machine(monkeypatch, FIXED + 350, 4)
    with pytest.raises(UserError, match=r"--workers 4 needs.*use --workers 3"):
        sizing.size_machine(plan, 4)


@pytest.mark.usefixtures("toy")
def test_estimate_learns_from_finished_episodes() -> None:
    plan = plan_of(PAIRED)
    estimate, cell = sizing.Estimator(plan), plan.cells[0]
    assert estimate.seconds(cell.kind) == pytest.approx(50 * 0.001)  # 40 steps and 10 to settle
    for total in (2.0, 4.0):
        estimate.learn(cell, {"total": total})
    assert estimate.seconds(cell.kind) == 3.0
    other = next(one for one in plan.cells if one.policy != cell.policy)
    assert estimate.seconds(other.kind) == pytest.approx(50 * 0.001)
    assert estimate.wall_seconds({cell.kind: 2}, workers=2) == pytest.approx((3 + 3 + 1.0) / 2)
