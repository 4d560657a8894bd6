"""Bad commands and broken packages: refused in one line, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import CommandLine, Install, Refused
from tests.records import grid, make_run
from wambench import plugins

COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "unknown command": ("swep x", ("'swep'", "sweep")),
    "missing argument": ("sweep --out runs/x", ("file", "sweep --help")),
    "missing option": ("sweep sweep.yaml", ("--out", "sweep --help")),
    "unknown suite": ("suites libero_objct", ("'libero_objct'", "libero_object")),
    "unknown policy": ("policies expertt", ("'expertt'", "expert")),
    "unknown protocol": ("protocols openpie", ("'openpie'", "openpi")),
    "export of nothing": ("export gone --episodes x.csv", ("'gone'", "not a run directory")),
    "export of no run": ("export empty --episodes x.csv", ("'empty'", "not a run directory")),
    "export of a file": ("export notes.txt --episodes x.csv", ("'notes.txt'", "not a run")),
    "merge of nothing": ("merge gone --out all", ("'gone'", "not a run directory")),
    "merge of a run and nothing": ("merge run gone --out all", ("'gone'", "not a run directory")),
    "merge into a file": ("merge run --out notes.txt", ("'notes.txt'", "choose another --out")),
    "nothing to export": ("export run", ("--episodes", "--timings", "--actions", "--light")),
    "table suffix": ("export run --episodes x.xlsx", ("'x.xlsx'", ".csv, .parquet, .json")),
    "no suffix": ("export run --timings x", ("'x'", ".csv, .parquet, .json")),
    "second suffix": ("export run --episodes x.csv --timings x.txt", ("'x.txt'", ".csv")),
    "actions suffix": ("export run --actions x.csv", ("'x.csv'", ".npz")),
    "no such folder": ("export run --episodes gone/x.csv", ("'gone/x.csv'", "make it")),
    "export over a folder": ("export run --episodes folder.csv", ("'folder.csv'",)),
    "parquet over a folder": ("export run --episodes folder.parquet", ("'folder.parquet'",)),
    "actions over a folder": ("export run --actions f.npz --policy p", ("'f.npz'",)),
    "full disk": ("export run --episodes full.csv", ("'full.csv'", "space")),
    "full disk, actions": ("export run --actions full.npz --policy p", ("'full.npz'", "space")),
    "actions of whom": ("export run --actions x.npz", ("--policy", "p, q")),
    "actions of nobody": ("export run --actions x.npz --policy r", ("'r'", "p, q")),
    "report of nothing": ("report gone", ("'gone'", "not a run directory")),
    "report of no run": ("report empty", ("'empty'", "not a run directory")),
}


@pytest.mark.parametrize("what", COMMANDS)
def test_bad_commands(refused: Refused, work: Path, what: str) -> None:
    command, expected = COMMANDS[what]
    if command.startswith("report") and "report" not in plugins.installed(plugins.COMMANDS):
        pytest.skip("no report command is installed")
    make_run(work / "run", grid())
    for folder in ("empty", "folder.csv", "folder.parquet", "f.npz"):
        (work / folder).mkdir()
    (work / "notes.txt").write_text("notes")
    if "full" in command:
        (work / command.split()[3]).symlink_to("/dev/full")
    refused(*command.split(), expected=expected)


# -- packages of strangers ---------------------------------------------------------------------

POLICY = """
from wambench import ActionSpec, Policy, PolicySpec
class P(Policy):
    spec = PolicySpec(paradigm="x", about="x", {needs})
    def act(self, observations):
        return []
"""
ACTION = (
    'action=ActionSpec(dim={dim}, frame="world", mode="delta", translation_unit_m=0.1, '
    'rotation="none", rotation_unit_rad=1.0, gripper="{gripper}", low=-1.0, high=1.0)'
)

STRANGERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "syntax": ("def f(:\n", ("fails to import", "SyntaxError")),
    "missing module": ("import numpyy\n", ("No module named 'numpyy'",)),
    "exit on import": ("import sys\nsys.exit('bye')\n", ("SystemExit", "bye")),
    "error of many lines": ("raise RuntimeError('one\\ntwo')\n", ("one two",)),
    "no such object": ("Q = 1\n", ("AttributeError", "'P'")),
    "not callable": ("P = 5\n", ("'int' object is not callable",)),
    "not a policy": ("class P: pass\n", ("wambench.Policy",)),
    "no spec": (
        POLICY.format(needs="").replace("spec =", "specs ="),
        ("PolicySpec", "wambench.Policy"),
    ),
    "bad spec": (POLICY.format(needs="horizon=0"), ("horizon", "not 0")),
    "no act": (POLICY.format(needs="").replace("def act", "def ack"), ("abstract", "act")),
    "exit in constructor": (POLICY.format(needs="") + "    __init__ = exit\n", ("SystemExit",)),
    "camera": (POLICY.format(needs="cameras=('wrist',)"), ("does not fit toy", "camera 'wrist'")),
    "orientation": (
        POLICY.format(needs="cameras=('agentview',), orientation='upright'"),
        ("upright images", "rotated_180", "wambench-1"),
    ),
    "image size": (
        POLICY.format(needs="cameras=('agentview',), image_size=(128, 128)"),
        ("(128, 128)", "(224, 224)"),
    ),
    "action dimension": (
        POLICY.format(needs=ACTION.format(dim=7, gripper="negative_opens")),
        ("dim=7", "toy expects 2"),
    ),
    "gripper sign": (
        POLICY.format(needs=ACTION.format(dim=2, gripper="positive_opens")),
        ("gripper='positive_opens'", "'negative_opens'"),
    ),
    "fingerprint": (
        POLICY.format(needs="") + "    def fingerprint(self): return {'w': open('/gone')}\n",
        ("fingerprint", "/gone"),
    ),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_strangers_policies(refused: Refused, work: Path, install: Install, what: str) -> None:
    source, expected = STRANGERS[what]
    install("stranger", {"stranger.py": source}, {plugins.POLICIES: {"odd": "stranger:P"}})
    (work / "sweep.yaml").write_text("policies: [odd]\nsuites: {toy: 0}\ninit_states: 0\n")
    refused("sweep", "sweep.yaml", "--out", "runs/x", expected=("'odd'", *expected))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import sys\nsys.exit(0)\n", "fails to import: SystemExit"),
        ("def S(): raise OSError('no\\nassets')\n", "OSError: no assets"),
        ("class S: pass\n", "wambench.Suite"),
        ("from toybench import ToySuite as S\n", "calls itself 'toy'"),
    ],
)
def test_strangers_suites(
    refused: Refused, work: Path, install: Install, source: str, expected: str
) -> None:
    install("stranger", {"stranger.py": source}, {plugins.SUITES: {"odd": "stranger:S"}})
    (work / "sweep.yaml").write_text("policies: [expert]\nsuites: {odd: all}\n")
    refused("sweep", "sweep.yaml", "--out", "runs/x", expected=("'odd'", expected))


def test_two_packages_with_one_name(refused: Refused, work: Path, install: Install) -> None:
    points = {plugins.POLICIES: {"expert": "stranger:P"}}
    install("stranger", {"stranger.py": POLICY.format(needs="")}, points)
    (work / "sweep.yaml").write_text("policies: [expert]\nsuites: {toy: 0}\n")
    expected = ("'expert'", "stranger 1.0", "wambench 0.1.0", "uninstall one")
    refused("sweep", "sweep.yaml", "--out", "runs/x", expected=expected)


def test_a_broken_package_does_not_hide_the_others(
    toy: object, wambench: CommandLine, install: Install
) -> None:
    points = {plugins.POLICIES: {"odd": "stranger:P"}, plugins.SUITES: {"odd-suite": "stranger:S"}}
    install("stranger", {"stranger.py": "exit(3)"}, points)
    for command, names in (("policies", ("expert", "odd")), ("suites", ("toy", "odd-suite"))):
        ended = wambench(command)
        assert ended.code == 0 and "broken" in ended.out
        assert all(name in ended.out for name in names)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("sweep", "--help"), ("export", "-h")])
def test_help_is_no_error(wambench: CommandLine, arguments: tuple[str, ...]) -> None:
    ended = wambench(*arguments)
    assert (ended.code, ended.err) == (0, "") and ended.out.startswith("Usage: wambench")
