"""Bad sweep files: exit code 2, one line that names thing and remedy, and nothing written."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import running
from tests.conftest import CommandLine, Refused, check_refusal

GOOD = "policies: [expert]\nsuites: {toy: [0]}\ninit_states: 0-1\n"


class Bad(NamedTuple):
    """What is wrong with a sweep, and what the message must say."""

    text: str
    expected: tuple[str, ...]
    options: tuple[str, ...] = ()


def sweep(policies: str = "[expert]", suites: str = "{toy: [0]}", rest: str = "") -> str:
    return f"policies: {policies}\nsuites: {suites}\n{rest}"


SWEEPS: dict[str, Bad] = {
    # names
    "suite": Bad(sweep(suites="{libero_objct: all}"), ("'libero_objct'", "libero_object")),
    "policy": Bad(sweep("[expertt]"), ("'expertt'", "did you mean expert")),
    "task name": Bad(sweep(suites="{toy: go rigt}"), ("'go rigt'", "did you mean go right")),
    "libero task name": Bad(
        sweep(suites="{libero_object: pick_up_the_alphabet_soup_and_place_it}"),
        ("libero_object", "pick_up_the_alphabet_soup_and_place_it_in_the_basket"),
    ),
    "task index": Bad(sweep(suites="{toy: [0, 3]}"), ("no task 3", "tasks 0-2")),
    "negative task": Bad(sweep(suites="{toy: -1}"), ("no task -1", "tasks 0-2")),
    "protocol": Bad(sweep(rest="protocol: openpie"), ("'openpie'", "did you mean openpi")),
    "rendering": Bad(
        sweep(rest="protocol_changes: {rendering: exat}"), ("'exat'", "did you mean exact")
    ),
    # YAML
    "malformed": Bad("policies: [expert\nsuites: {toy: 0}\n", ("sweep.yaml:2:", "not YAML")),
    "tab": Bad("policies: [expert]\nsuites:\n\ttoy: 0\n", ("sweep.yaml:3:", "not YAML")),
    "control character": Bad("policies: [\x07]\n", ("sweep.yaml", "not YAML")),
    "no such date": Bad(
        sweep(rest="seeds: 2020-13-45"), ("sweep.yaml:3:", "seeds.0", "2020-13-45")
    ),
    "key twice": Bad(GOOD + "suites: {toy: 1}\n", ("sweep.yaml:4:", "'suites' appears twice")),
    "suite twice": Bad(
        "policies: [expert]\nsuites:\n  toy: 0\n  toy: 1\n", ("sweep.yaml:4:", "'toy'")
    ),
    "empty file": Bad("", ("sweep.yaml", "'policies' and 'suites'")),
    "list": Bad("- policies\n- suites\n", ("sweep.yaml", "mapping")),
    "two documents": Bad(f"{GOOD}---\n{GOOD}", ("sweep.yaml", "not YAML")),
    # fields
    "unknown field": Bad("\n" + GOOD + "init_state: 3\n", ("sweep.yaml:5:", "init_states")),
    "misspelt field": Bad("polices: [expert]\nsuites: {toy: 0}\n", ("sweep.yaml:1:", "policies")),
    "unknown policy field": Bad(
        "policies:\n- name: expert\n  lable: x\nsuites: {toy: 0}\n",
        ("sweep.yaml:3:", "policies.0.lable", "did you mean label"),
    ),
    "missing field": Bad("policies: [expert]\n", ("sweep.yaml:1:", "suites", "is missing")),
    "nameless policy": Bad("policies: [{label: x}]\nsuites: {toy: 0}", ("policies.0.name",)),
    "policies of wrong type": Bad(sweep("expert"), ("sweep.yaml:1:", "policies", "'expert'")),
    "policy of wrong type": Bad(sweep("[expert, 5]"), ("policies.1", "not 5")),
    "suites of wrong type": Bad(sweep(suites="[toy]"), ("sweep.yaml:2:", "suites", "['toy']")),
    "tasks of wrong type": Bad(
        sweep(suites="{toy: {a: 1}}"), ("suites.toy.a", "init_states, tasks")
    ),
    "tasks left out": Bad(sweep(suites="{toy: }"), ("sweep.yaml:2:", "suites.toy", "None")),
    "tasks yes": Bad(sweep(suites="{toy: yes}"), ("toy", "'yes'", "go left")),
    "tasks true": Bad(sweep(suites="{toy: true}"), ("suites.toy", "True")),
    "options of wrong type": Bad(
        sweep("[{name: noisy-expert, options: 0.1}]"), ("policies.0.options", "0.1")
    ),
    "option that is a date": Bad(
        sweep("[{name: noisy-expert, options: {noise: 2020-01-01}}]"),
        ("'noisy-expert' refuses its options", "2020-01-01"),
    ),
    "protocol of wrong type": Bad(sweep(rest="protocol: 5"), ("sweep.yaml:3:", "protocol", "5")),
    # lists
    "no policies": Bad(sweep("[]"), ("policies: is empty",)),
    "no suites": Bad(sweep(suites="{}"), ("suites: is empty",)),
    "no tasks": Bad(sweep(suites="{toy: []}"), ("suites.toy is empty",)),
    "no init states": Bad(sweep(rest="init_states: []"), ("init_states is empty",)),
    "no seeds": Bad(sweep(rest="seeds: []"), ("seeds is empty",)),
    "same policy twice": Bad(sweep("[expert, expert]"), ("'expert' appears twice", "label")),
    "same task twice": Bad(sweep(suites="{toy: [0, go left]}"), ("suites.toy: 0 appears twice",)),
    "same init state twice": Bad(sweep(rest="init_states: [0-2, 1]"), ("init_states: 1 appears",)),
    "same seed twice": Bad(sweep(rest="seeds: [7, 7]"), ("seeds: 7 appears twice",)),
    # numbers
    "init state out of range": Bad(
        sweep(rest="init_states: [4, 5]"), ("init state 5", "toy/0", "0-4")
    ),
    "preset has more trials": Bad(sweep(), ("init state 5", "0-4")),
    "negative init state": Bad(
        sweep(rest="init_states: [0, -1]"), ("sweep.yaml:3:", "init_states.1", "-1")
    ),
    "backward range": Bad(sweep(rest="init_states: 5-3"), ("init_states", "'5-3'", "first-last")),
    "endless range": Bad(sweep(rest="seeds: 0-99999999999"), ("seeds", "0-99999999999")),
    "backward tasks": Bad(sweep(suites="{toy: 2-0}"), ("suites.toy", "'2-0'")),
    "seed that is a word": Bad(sweep(rest="seeds: [seven]"), ("sweep.yaml:3:", "seeds.0", "seven")),
    "seed that is yes": Bad(sweep(rest="seeds: yes"), ("seeds.0", "yes")),
    "fractional seed": Bad(sweep(rest="seeds: 1.5"), ("seeds.0", "1.5")),
    # protocol_changes
    "unknown change": Bad(
        sweep(rest="protocol_changes: {max_stps: {toy: 9}}"), ("'max_stps'", "max_steps")
    ),
    "rename": Bad(sweep(rest="protocol_changes: {name: mine}"), ("'name'",)),
    "change of wrong type": Bad(
        sweep(rest="protocol_changes: {settle_steps: many}"), ("settle_steps", "'many'")
    ),
    "budget of wrong type": Bad(
        sweep(rest="protocol_changes: {max_steps: 9}"), ("max_steps", "not 9")
    ),
    "budget of zero": Bad(
        sweep(rest="protocol_changes: {max_steps: {toy: 0}}"), ("max_steps.toy", "not 0")
    ),
    "budget of unknown suite": Bad(
        sweep(rest="protocol_changes: {max_steps: {libero_objct: 9}}"),
        ("'libero_objct'", "libero_object"),
    ),
    "replan of zero": Bad(sweep(rest="protocol_changes: {replan_steps: 0}"), ("replan_steps", "0")),
    "no such orientation": Bad(
        sweep(rest="protocol_changes: {orientation: sideways}"), ("'sideways'", "upright")
    ),
    "flat image": Bad(
        sweep(rest="protocol_changes: {image_size: [224]}"), ("protocol_changes: image_size",)
    ),
    # policies
    "wrong option": Bad(
        sweep("[{name: noisy-expert, options: {noize: 1}}]"), ("noize", "noise=0.1")
    ),
    "option of wrong type": Bad(
        sweep("[{name: noisy-expert, options: {noise: loud}}]"),
        ("noisy-expert", "loud", "noise=0.1"),
    ),
    "option out of range": Bad(
        sweep("[{name: noisy-expert, options: {noise: 2}}]"), ("noise=2", "0 to 1")
    ),
    "option where none is taken": Bad(
        sweep("[{name: random, options: {x: 1}}]"), ("random", "'x'", "no options")
    ),
    "replay without a file": Bad(sweep("[replay]"), ("replay", "actions")),
    "replay of no file": Bad(
        sweep("[{name: replay, options: {actions: gone.npz}}]"), ("gone.npz", "export --actions")
    ),
    "replay of no horizon": Bad(
        sweep("[{name: replay, options: {actions: sweep.yaml, horizon: 0}}]"), ("horizon", "not 0")
    ),
    "policy that needs another camera": Bad(
        sweep("[{name: replay, options: {actions: sweep.yaml}}]"),
        ("'replay' does not fit toy", "camera 'wrist'", "agentview", "'gripper_qpos'"),
    ),
    # command line
    "shard 0": Bad(GOOD, ("--shard '0/4'", "2/8"), ("--shard", "0/4")),
    "shard too high": Bad(GOOD, ("--shard '5/4'",), ("--shard", "5/4")),
    "shard abc": Bad(GOOD, ("--shard 'abc'",), ("--shard", "abc")),
    "too many workers": Bad(GOOD, ("--workers 9999", "MiB"), ("--workers", "9999")),
    "no workers": Bad(GOOD, ("--workers", "1"), ("--workers", "0")),
    "limit 0": Bad(GOOD, ("--limit", "1"), ("--limit", "0")),
    "limit abc": Bad(GOOD, ("--limit", "integer"), ("--limit", "abc")),
    "unknown option": Bad(GOOD, ("--worker", "--workers"), ("--worker", "2")),
}


@pytest.mark.parametrize("what", SWEEPS)
def test_bad_sweeps(refused: Refused, work: Path, what: str) -> None:
    bad = SWEEPS[what]
    (work / "sweep.yaml").write_text(bad.text)
    refused("sweep", "sweep.yaml", "--out", "runs/x", *bad.options, expected=bad.expected)


def test_the_good_sweep_is_good(work: Path, toy: object, wambench: CommandLine) -> None:
    """Else everything above could be refused for another reason. A dry run writes nothing."""
    (work / "sweep.yaml").write_text(GOOD)
    ended = wambench("sweep", "sweep.yaml", "--out", "runs/x", "--dry-run")
    assert (ended.code, ended.err) == (0, "") and "2 cells to run" in ended.out
    assert [path.name for path in work.iterdir()] == ["sweep.yaml"]


@pytest.mark.parametrize("what", ["missing", "directory", "binary", "loop"])
def test_sweep_files_that_cannot_be_read(refused: Refused, work: Path, what: str) -> None:
    file, why = work / "sweep.yaml", "No such file"
    if what == "directory":
        file.mkdir()
        why = "directory"
    elif what == "binary":
        file.write_bytes(bytes(range(256)))
        why = "UTF-8"
    elif what == "loop":  # unreadable even to root
        file.symlink_to(file)
        why = "symbolic links"
    refused("sweep", file, "--out", "runs/x", expected=(str(file), why, "sweeps/quick.yaml"))


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("what", ["suite", "malformed", "shard 0", "unknown option"])
def test_in_a_process_of_its_own(work: Path, what: str) -> None:
    """As the shell sees it, Python's own last words included."""
    bad = SWEEPS[what]
    (work / "sweep.yaml").write_text(bad.text)
    arguments = ("sweep", "sweep.yaml", "--out", "runs/x", *bad.options)
    ended: subprocess.CompletedProcess[str] = running.wambench(*arguments)
    check_refusal(ended.returncode, ended.stdout, ended.stderr, bad.expected)
    assert [path.name for path in work.iterdir()] == ["sweep.yaml"]
