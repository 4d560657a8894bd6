"""Which cell runs next, how a sweep is cut into parts, and what fits on a machine."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.records import grid, make_cell
from wambench import sweepfile
from wambench.cells import Cell
from wambench.errors import UserError
from wambench.suite import Suite
from wambench.sweeping import machine
from wambench.sweeping.estimating import Estimator
from wambench.sweeping.machine import RESERVE_MB, Node
from wambench.sweeping.schedule import Schedule
from wambench.sweeping.sizing import size

READY = {make_cell().policy}
A, B, C = (("toy", task) for task in range(3))


def make_schedule(
    counts: Mapping[int, int], seconds: float = 10.0, open_seconds: float = 7.0
) -> Schedule:
    """A schedule of ``counts[task]`` cells of each task, each of ``seconds``."""
    cells = [make_cell(task=t, init_state=i) for t, count in counts.items() for i in range(count)]
    return Schedule(cells, lambda kind: seconds, lambda task: open_seconds)


def test_longest_task_first() -> None:
    assert make_schedule({0: 2, 1: 5, 2: 3}).next_task([], READY) == B


def test_length_counts_seconds_not_cells() -> None:
    cells = [make_cell(task=0), make_cell(task=1, init_state=0), make_cell(task=1, init_state=1)]
    slow = Schedule(cells, lambda kind: 100 if kind[2] == 0 else 1, lambda task: 0)
    assert slow.next_task([], READY) == A


def test_worker_stays_with_its_task_in_order() -> None:
    schedule = make_schedule({0: 3, 1: 9})
    taken = [schedule.next_of(A, READY) for _ in range(4)]
    assert [cell and cell.init_state for cell in taken] == [0, 1, 2, None]
    assert not schedule.has(A) and schedule.has(B) and len(schedule) == 9


def test_unserved_task_is_preferred_to_sharing() -> None:
    assert make_schedule({0: 9, 1: 5}).next_task([A], READY) == B


@pytest.mark.parametrize(
    ("cells", "expected"), [(1, None), (2, A)], ids=["5 s saved", "10 s saved"]
)
def test_sharing_only_if_it_saves_more_than_opening_costs(
    cells: int, expected: tuple[str, int] | None
) -> None:
    assert make_schedule({0: cells}, open_seconds=7.0).next_task([A], READY) == expected


def test_shares_shrink_with_every_helper() -> None:
    schedule = make_schedule({0: 6}, open_seconds=7.0)  # 60 s
    assert [schedule.next_task([A] * helpers, READY) for helpers in (6, 7, 8)] == [A, A, None]


def test_nothing_left_means_no_task() -> None:
    schedule = make_schedule({0: 1})
    schedule.next_of(A, READY)
    assert schedule.next_task([], READY) is None


def test_put_back_waits_behind_the_others() -> None:
    schedule = make_schedule({0: 2})
    first = schedule.next_of(A, READY)
    assert first is not None
    schedule.put_back(first)
    order = [schedule.next_of(A, READY), schedule.next_of(A, READY)]
    assert order[1] is first and order[0] is not first


def test_put_back_revives_a_finished_task() -> None:
    schedule = make_schedule({0: 1})
    cell = schedule.next_of(A, READY)
    assert cell is not None and not schedule.has(A)
    schedule.put_back(cell)
    assert schedule.next_task([], READY) == A and schedule.remaining() == {cell.kind: 1}


def test_dropped_task_is_gone() -> None:
    schedule = make_schedule({0: 4, 1: 1})
    assert len(schedule.drop_task(A)) == 4
    assert schedule.drop_task(A) == []
    assert schedule.next_task([], READY) == B and len(schedule) == 1


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


FIXED = RESERVE_MB + 150  # the largest of PAIRED's policies; all three are scripted


def node(available_mb: int, cores: int = 4, gpus: int = 0) -> list[Node]:
    return [Node(cores, available_mb - RESERVE_MB, gpus)]


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
    toy: Suite, available: int, cores: int, asked: int | None, expected: int
) -> None:
    assert toy.spec.memory_mb == 100
    assert size(plan_of(PAIRED), asked, node(available, cores)).workers == expected


@pytest.mark.usefixtures("toy")
def test_too_little_memory_is_refused_with_the_numbers() -> None:
    plan = plan_of(PAIRED)
    with pytest.raises(UserError, match=r"'random' needs 150 MiB, one simulator 100.*249 MiB"):
        size(plan, None, node(FIXED + 99))
    with pytest.raises(UserError, match=r"--workers 4 needs.*use --workers 3"):
        size(plan, 4, node(FIXED + 350))


@pytest.mark.usefixtures("toy")
def test_policies_that_do_not_fit_together_take_turns() -> None:
    plan = plan_of(PAIRED)
    together = size(plan, 1, node(RESERVE_MB + 100 + 3 * 150))
    assert together.turns() == [["random", "frozen", "expert"]]
    apart = size(plan, 1, node(RESERVE_MB + 100 + 2 * 150))
    assert apart.turns() == [["random", "frozen"], ["expert"]]
    assert apart.memory_mb == RESERVE_MB + 100 + 300


def placed(lines: str) -> sweepfile.Plan:
    return plan_of(f"policies: [{{name: random, {lines}}}]\nsuites: {{toy: all}}\ninit_states: 0-4")


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("lines", "gpus", "problem"),
    [
        ("num_gpus: 1", 0, "'random' needs 1 GPU, this machine has no GPU"),
        ("num_gpus: 2", 1, "'random' needs 2 GPUs, this machine has 1 GPU;"),
        ("num_gpus: 1, replicas: 3", 2, "3 replicas need 3 GPUs, there are 2; .*replicas: auto"),
    ],
)
def test_what_no_machine_can_hold_is_refused(lines: str, gpus: int, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        size(placed(lines), None, node(9000, gpus=gpus))


@pytest.mark.usefixtures("toy")
def test_simulators_of_a_cluster_leave_room_for_the_largest_policy() -> None:
    plan, nodes = plan_of(PAIRED), [Node(4, 400, 0), Node(4, 400, 0)]
    found = size(plan, None, nodes)
    assert found.workers == 4 and found.room().memory_mb == [200, 200]
    with pytest.raises(UserError, match=r"'random' needs 150 MiB, which no node has beside 8 sim"):
        size(plan, 8, nodes)
    with pytest.raises(UserError, match="no node has a core and 100 MiB for one simulator"):
        size(plan, None, [Node(0, 400, 0), Node(0, 400, 0)])


@pytest.mark.usefixtures("toy")
def test_replicas_are_as_many_as_simulators_could_use() -> None:
    auto = placed("num_gpus: 0.5, replicas: auto")
    assert size(auto, 4, node(9000, gpus=1)).loads["random"].replicas == 2
    assert size(auto, 4, node(9000, gpus=8)).loads["random"].replicas == 4
    assert size(placed("replicas: auto"), 4, node(9000)).loads["random"].replicas == 1
    assert placed("num_gpus: 1").cells == placed("replicas: 2").cells, "places are in no key"


def test_a_cgroup_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's limits are not the host's."""
    place = Path("/proc/self/cgroup").read_text().split("::")[-1].split()[0].lstrip("/")
    inner = tmp_path / place
    inner.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    before = machine.cores()
    (inner / "cpu.max").write_text("100000 100000\n")
    (inner / "memory.max").write_text(f"{3 << 30}\n")
    (inner / "memory.current").write_text(f"{1 << 30}\n")
    (inner / "memory.stat").write_text(f"anon 5\ninactive_file {1 << 29}\n")
    assert machine.cores() == 1 <= before
    assert machine.available_mb() == 2560
    assert machine.this_machine(memory_gb=2.0).memory_mb == int(2e9 / 2**20) - RESERVE_MB


@pytest.mark.usefixtures("toy")
def test_estimate_learns_from_finished_episodes() -> None:
    plan = plan_of(PAIRED)
    estimate, cell = Estimator(plan), plan.cells[0]
    assert estimate.seconds(cell.kind) == pytest.approx(50 * 0.001)  # 40 steps and 10 to settle
    for total in (2.0, 4.0):
        estimate.learn(cell, {"total": total})
    assert estimate.seconds(cell.kind) == 3.0
    other = next(one for one in plan.cells if one.policy != cell.policy)
    assert estimate.seconds(other.kind) == pytest.approx(50 * 0.001)
    assert estimate.wall_seconds({cell.kind: 2}, workers=2) == pytest.approx((3 + 3 + 1.0) / 2)
