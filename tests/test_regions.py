"""Facts and regions from the simulator: true to the frames, and no trace of having been asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.snippets import in_simulators_process

REGIONS = """
import json, sys
import numpy as np
from scipy.ndimage import binary_dilation
from wambench import plugins
suite = plugins.make_suite(sys.argv[1])
sim = suite.open(suite.tasks()[int(sys.argv[2])], "exact")
sim.reset(0, 0)
for _ in range(10):
    sim.step(np.array(suite.spec.settle_action))
CAMERAS, SIZE = ["agentview", "wrist"], (192, 256)
env, start, digest = sim._env, sim.snapshot(), sim.digest()
facts = sim.facts(start)
goal = facts.goals[0]
involved = {g.subject for g in facts.goals} | {g.receptacle for g in facts.goals}
bystander = sorted(name for name in facts.objects if name not in involved)[0]

def moved(name, shift):
    low, high = env.sim.model.get_joint_qpos_addr(env.get_object(name).joints[-1])
    out = start.copy()
    out[low:low + 3] += shift
    return out

before, regions = sim.draw(start, CAMERAS, SIZE), sim.regions(start, CAMERAS, SIZE)
out = {"one_role": bool(all(
    (sum(mask.astype(int) for mask in roles.values()) == 1).all() for roles in regions.values()
))}
for name, role in ((goal.subject, "object"), (bystander, "distractor")):
    elsewhere = moved(name, [0.05, 0.02, 0.05])
    after, later = sim.draw(elsewhere, CAMERAS, SIZE), sim.regions(elsewhere, CAMERAS, SIZE)
    for camera in CAMERAS:
        changed = (before[camera] != after[camera]).any(axis=2)
        union = regions[camera][role] | later[camera][role]
        swapped = regions[camera][role] ^ later[camera][role]
        out[f"{role}/{camera}"] = {
            "changed": int(changed.sum()),
            # Anti-aliasing blends an edge into its neighbours.
            "outside": int((changed & ~binary_dilation(union, iterations=2)).sum()),
            "unchanged": float((swapped & ~changed).sum() / max(swapped.sum(), 1)),
        }
out["share"] = {
    camera: {role: float(mask.mean()) for role, mask in roles.items()}
    for camera, roles in regions.items()
}
out["undisturbed"] = bool(
    sim.digest() == digest
    and all((sim.draw(start, CAMERAS, SIZE)[c] == before[c]).all() for c in CAMERAS)
)
if goal.receptacle == "":  # a place on the table: the subject, put there, must cover it
    centre = env.sim.data.get_site_xpos(env.parsed_problem["goal_state"][0][2])
    shift = centre - facts.objects[goal.subject]
    there = sim.regions(moved(goal.subject, [shift[0], shift[1], 0.0]), CAMERAS[:1], SIZE)
    place = regions["agentview"]["goal"]
    out["covered"] = float((place & there["agentview"]["object"]).sum() / place.sum())
print(json.dumps(out))
"""


@pytest.mark.parametrize("task", ["libero_object 2", "libero_goal 5"])
def test_regions_are_where_the_frames_show_them(task: str) -> None:
    """What changes in a frame when one object is moved in it is that object's region."""
    found = in_simulators_process(REGIONS, *task.split())
    assert found["one_role"] and found["undisturbed"]
    for name in ("object/agentview", "object/wrist", "distractor/agentview"):
        assert found[name]["changed"] > 50, found
        assert found[name]["outside"] == 0, found
        assert found[name]["unchanged"] < 0.15, found
    assert found["share"]["wrist"]["gripper"] > 0.1 and found["share"]["wrist"]["arm"] == 0
    assert 0 < found["share"]["agentview"]["goal"] < 0.1
    if task == "libero_goal 5":
        assert found["covered"] > 0.8


FACTS = """
import json, sys
import numpy as np
from wambench import plugins
suite = plugins.make_suite("libero_goal")
sim = suite.open(suite.tasks()[7], "lean")  # turn on the stove: predicates note what they see
ACTIONS = np.random.default_rng(0).uniform(-1, 1, (30, 7))

def episode(ask):
    sim.reset(3, 0)
    out = []
    for action in ACTIONS:
        sim.step(action)
        out.append((sim.success(), sim.digest(), sim.snapshot().tobytes().hex()))
        if ask:
            lit = sim.snapshot()
            knob = sim._env.sim.model.get_joint_qpos_addr("flat_stove_1_button")
            lit[knob] = 1.0
            turned = sim.facts(lit).goals[0]
            assert turned.holds and turned.gap == 0, turned
            assert not sim.facts(sim.snapshot()).goals[0].holds
    return out

quiet, asked = episode(False), episode(True)
sim.reset(3, 0)  # nothing has moved since: the snapshot is the state itself
facts, model, data = sim.facts(sim.snapshot()), sim._env.sim.model._model, sim._env.sim.data._data
owner = sim._fact_finder()._owner_of_geom
live = {tuple(sorted((owner[a], owner[b]))) for a, b in data.contact.geom.tolist()}
print(json.dumps({
    "same": quiet == asked,
    "contacts": sorted(facts.contacts) == sorted(p for p in live if p[0] != p[1]),
    "hand": bool(np.allclose(facts.hand, sim.proprio(["eef_pos"])["eef_pos"], atol=1e-12)),
    "opening": facts.opening, "gap": facts.goals[0].gap, "subject": facts.goals[0].subject,
}))
"""


def test_asking_for_facts_changes_nothing() -> None:
    found = in_simulators_process(FACTS)
    assert found["same"] and found["contacts"] and found["hand"]
    assert found["subject"] == "flat_stove_1" and found["gap"] > 0.3
    assert 0.0 < found["opening"] < 0.09


STORED = """
import json, sys
import numpy as np
from pathlib import Path
from wambench import plugins
from wambench.store import Store
out = []
with Store.read(Path(sys.argv[1])) as store:
    suite = plugins.make_suite("libero_object")
    sim = suite.open(suite.tasks()[2], "lean")
    for stored in store.cells():
        if stored.cell.task_index == 2:
            sim.reset(stored.cell.init_state, 0)
            goals = [sim.facts(s).goals[0] for s in store.trace(stored.cell.key).snapshots]
            out.append({
                "success": stored.outcome == "success",
                "held_early": any(goal.holds for goal in goals[:-1]),
                "gap": [goal.gap for goal in goals], "holds": [goal.holds for goal in goals],
                "reach": min(goal.distance for goal in goals),
            })
print(json.dumps(out))
"""


def test_facts_of_a_stored_run_agree_with_its_outcomes(small_run: Path) -> None:
    found = in_simulators_process(STORED, str(small_run))
    assert {episode["success"] for episode in found} == {True, False}
    for episode in found:
        assert not episode["held_early"], "an episode ends when its goal holds"
        gap = np.array(episode["gap"])
        assert ((gap == 0) == np.array(episode["holds"])).all()
        if episode["success"]:
            assert gap[-1] < 0.02 < gap[0] and episode["reach"] < 0.02
        else:
            assert gap[-1] > 0.05 < episode["reach"]


def test_a_simulator_need_not_tell(toy: object) -> None:
    suite = toy
    simulator = suite.open(suite.tasks()[0], "exact")  # type: ignore[attr-defined]
    simulator.reset(0, 0)
    assert simulator.facts(simulator.snapshot()) is None
    assert simulator.regions(simulator.snapshot(), ["agentview"], (8, 8)) == {}
