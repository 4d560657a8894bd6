"""The presets say what the reference evaluations do, and a changed preset says that it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.toy import SPEC as TOY
from wambench.errors import UserError
from wambench.protocols import FOLDER, protocol, protocols

SUITES = ("libero_spatial", "libero_object", "libero_goal", "libero_10")

# budgets S/O/G/L, settling, replan, trials, policy seeds, simulator seed, image size; from each
# reference's own source.
TABLE: dict[str, tuple[Any, ...]] = {
    "openpi": ((220, 280, 300, 520), 10, 5, 50, (7,), 7, 224),
    "openvla-oft": ((220, 280, 300, 520), 10, 8, 50, (7,), 0, 256),
    "lerobot": ((280, 280, 300, 520), 10, None, 10, (1000,), 1000, 256),
    "vla-eval": ((220, 280, 300, 520), 10, None, 50, (7,), 7, 256),
    "fastwam": ((400, 400, 400, 700), 30, 10, 50, (42,), 42, 224),
    "imagewam": ((400, 400, 400, 700), 30, 12, 25, (42,), 42, 224),
    "wambench-1": ((400, 400, 400, 700), 10, 8, 20, (0,), 0, 224),
    "nano-1": ((400, 400, 400, 700), 10, None, 20, (0,), 0, 64),
}
METAWORLD: dict[str, tuple[Any, ...]] = {  # replan, trials, policy seeds, sizes, rendering
    "metaworld-lerobot": (None, 10, (1000,), (480, 480), (480, 480), "exact"),
    "metaworld-1": (8, 10, (0,), (256, 256), (224, 224), "lean"),
}


def test_every_preset_is_in_the_table() -> None:
    assert set(protocols()) == {*TABLE, *METAWORLD} == {file.stem for file in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("name", TABLE)
def test_numbers_of_preset(name: str) -> None:
    rules = protocol(name)
    budgets = tuple(rules.max_steps[suite] for suite in SUITES)
    assert (
        budgets,
        rules.settle_steps,
        rules.replan_steps,
        rules.trials,
        rules.seeds,
        rules.simulator_seed,
        rules.image_size[0],
    ) == TABLE[name]
    assert rules.orientation == "rotated_180"
    drawn = (128, 128) if name == "nano-1" else (256, 256)
    assert rules.image_size[0] == rules.image_size[1] and rules.render_size == drawn
    assert rules.source and "libero_90" in rules.max_steps


@pytest.mark.parametrize("name", METAWORLD)
def test_numbers_of_a_preset_for_metaworld(name: str) -> None:
    rules = protocol(name)
    sizes = (rules.render_size, rules.image_size)
    numbers = (rules.replan_steps, rules.trials, rules.seeds, *sizes, rules.rendering)
    assert numbers == METAWORLD[name]
    assert len(rules.max_steps) == 4 and set(rules.max_steps.values()) == {500}
    assert (rules.settle_steps, rules.orientation, rules.gripper) == (0, "upright", "raw")
    assert rules.source


def test_lerobot_counts_seeds_up_and_others_do_not() -> None:
    shifted = {n for n, p in protocols().items() if p.simulator_seeding == "plus_init_state"}
    assert shifted == {"lerobot", "metaworld-lerobot"}


def test_changes_are_visible_in_the_name() -> None:
    changed = protocol("openpi", {"settle_steps": 3, "max_steps": {"libero_object": 20}})
    assert changed.name == "openpi+custom"
    assert changed.settle_steps == 3
    assert "settle_steps=3" in changed.about and "libero_object" in changed.about
    assert protocol("openpi").settle_steps == 10, "the preset itself is untouched"


def test_changing_one_budget_keeps_the_others() -> None:
    before, after = protocol("openpi"), protocol("openpi", {"max_steps": {"libero_object": 20}})
    assert after.max_steps == {**before.max_steps, "libero_object": 20}


def test_no_change_keeps_the_name() -> None:
    assert protocol("openpi", {}) is protocol("openpi")


def test_suites_a_protocol_does_not_know_keep_their_own_budget() -> None:
    assert protocol("openpi").budget(TOY) == TOY.default_max_steps
    assert protocol("openpi", {"max_steps": {"toy": 5}}).budget(TOY) == 5


@pytest.mark.parametrize("field", ["name", "version", "about", "source", "notes", "nonsense"])
def test_identity_and_unknown_fields_cannot_be_changed(field: str) -> None:
    with pytest.raises(UserError, match=f"no field '{field}'"):
        protocol("openpi", {field: "x"})
