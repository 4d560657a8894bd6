"""A right policy passes every line; one that is broken in one way fails the line made for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from tests.conforming import BROKEN, Album, Right, looks, statuses, subject
from tests.conftest import CommandLine, Refused
from wambench import plugins
from wambench.conformance import LINES, Look, Subject, cause, findings
from wambench.conformance.comparing import compare, judged
from wambench.conformance.looks import gather
from wambench.conformance.seeing import canonical_axis_angle
from wambench.policy import Policy
from wambench.protocols import protocol

LOOKS = looks()


def failed(found: Mapping[str, str]) -> list[str]:
    return [name for name, status in found.items() if status == "failed"]


def blamed(asked: Subject) -> list[str]:
    """Lines that failed; of several conventions, where one may follow from another, the first."""
    every = list(findings(asked))
    first, wrong = cause(every), [one for one in every if one.result.status == "failed"]
    kept = [one for one in wrong if one is first or first is None or one.result.left == 1]
    return [one.line.name for one in kept]


def test_a_right_policy_passes_every_line() -> None:
    assert set(statuses(subject(Right(), LOOKS)).values()) == {"passed"}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_policy_fails_its_line_alone(how: str) -> None:
    line, breaking = BROKEN[how]
    found = statuses(subject(breaking(Right()), LOOKS))
    assert failed(found) == [line], found


def test_every_line_has_a_policy_that_fails_it() -> None:
    assert {line for line, _ in BROKEN.values()} == {line.name for line in LINES}


def test_a_policy_that_does_not_answer_fails_one_line() -> None:
    class Raising(Right):
        def act(self, observations: object) -> list[np.ndarray]:
            raise ValueError("out of order")

    found = statuses(subject(Raising(), LOOKS))
    assert failed(found) == ["chunk length"]
    assert {status for name, status in found.items() if name != "chunk length"} <= {
        "cannot be checked",
        "passed",  # it refuses NaN, if only because it refuses everything
    }


def test_a_difference_that_does_not_matter_decides_nothing() -> None:
    declared = np.full(len(LOOKS), 0.2)
    for other, status in (
        (declared * 1.04, "cannot be checked"),
        (declared * 0.96, "cannot be checked"),
        (declared * 1.06, "passed"),
        (declared * 0.94, "failed"),
        (declared + np.random.default_rng(0).normal(0, 0.5, len(LOOKS)), "cannot be checked"),
    ):
        assert judged([compare("other", LOOKS, declared, other)]).status == status


def test_the_two_forms_of_a_rotation() -> None:
    short, long = np.array([3.1, 0.0, 0.1]), np.array([3.14057, -0.00155, -0.0914])
    assert np.array_equal(canonical_axis_angle(short), short)
    # measured on libero_object, task 0, initial state 0
    assert np.allclose(canonical_axis_angle(long), [-3.13996, 0.00155, 0.09138], atol=2e-5)


# -- the command -------------------------------------------------------------------------------


def test_without_a_simulator_it_says_what_is_left_out(wambench: CommandLine) -> None:
    ended = wambench("conformance", "random", "--no-simulator", "--json")
    told = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    lines = {line["name"]: line for line in told["lines"]}
    assert list(lines) == [line.name for line in LINES]
    assert lines["determinism"]["status"] == lines["batch"]["status"] == "passed"
    assert lines["orientation"]["found"] == "it reads no pictures"
    assert "--no-simulator" in lines["gripper sign"]["found"]
    assert all(line["pitfall"] and line["effect"] for line in told["lines"])


@pytest.mark.usefixtures("toy")
def test_a_convention_is_held_against_the_suites_expert(wambench: CommandLine) -> None:
    ended = wambench("conformance", "wrong-gripper", "--suite", "toy")
    assert (ended.code, ended.err) == (1, ""), ended.out
    (told,) = (line for line in ended.out.splitlines() if line.startswith("FAIL"))
    assert told.startswith("FAIL  gripper sign: nearer to the expert under another convention")
    assert told.endswith("error: negated 2.000 -> 0.000")
    assert ", 1 failed, " in ended.out.splitlines()[-1]


REFUSED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "unknown policy": ("expertt", ("'expertt'", "expert")),
    "unknown suite": ("expert --suite libero_objekt", ("'libero_objekt'", "libero_object")),
    "unknown protocol": ("expert --protocol nano", ("'nano'", "nano-1")),
    "other pictures": ("nano-pi0 --protocol openpi", ("(64, 64)", "another --protocol")),
    "another robot": ("nano-pi0 --suite toy", ("'wrist'", "another --suite")),
    "no weights": ("pi0", ("'pi0' cannot run here", "checkpoint")),
    "bad option": ("random --option x", ("key=value",)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_asked_is_refused(refused: Refused, what: str) -> None:
    command, expected = REFUSED[what]
    refused("conformance", *command.split(), expected=expected)


# -- real frames, real weights -----------------------------------------------------------------

PICTURES = ("orientation", "camera order")
SAMPLE = ("rotation the long way", "fingers swapped", "mixes its batch", "gripper negated")
DEAF = {"instruction", "inputs"}  # an album has no words, and one camera often suffices it
FILLING = "fills the instruction in"  # with another task's, where tasks are LIBERO's


@pytest.fixture(scope="module")
def nano() -> Policy:
    policy = plugins.make_policy("nano-pi0", {})
    policy.load()
    return policy


@pytest.fixture(scope="module")
def real(nano: Policy) -> Sequence[Look]:
    return gather("libero_object", protocol("nano-1"), nano.spec)


@pytest.fixture(scope="module")
def told() -> Sequence[str]:
    return [task.instruction for task in plugins.make_suite("libero_object").tasks()]


@pytest.mark.slow
def test_a_trained_policy_fails_no_line(
    nano: Policy, real: Sequence[Look], told: Sequence[str]
) -> None:
    found = statuses(subject(nano, real, told))
    # It hardly looks: pictures turned or swapped move its error by less than a twentieth.
    assert found == {
        line.name: "cannot be checked" if line.name in PICTURES else "passed" for line in LINES
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [how for how, (line, _) in BROKEN.items() if line not in PICTURES and how != FILLING]
)
def test_a_trained_policy_that_is_broken_is_blamed_for_it_alone(
    how: str, nano: Policy, real: Sequence[Look], told: Sequence[str], sample: bool
) -> None:
    if sample and how not in SAMPLE:
        pytest.skip("not in the sample")
    line, breaking = BROKEN[how]
    # Fewer looks leave too few in an episode for a decision.
    assert blamed(subject(breaking(nano), real[::2], told)) == [line]


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [None, *(how for how, (line, _) in BROKEN.items() if line in PICTURES)]
)
def test_who_acts_on_real_frames_is_held_to_how_they_lie(
    how: str | None, nano: Policy, real: Sequence[Look], told: Sequence[str]
) -> None:
    album: Policy = Album(nano.spec, real)
    if how is None:
        found = statuses(subject(album, real, told))
        assert [found[name] for name in PICTURES] == ["passed", "passed"], found
        assert {*failed(found)} <= DEAF, found
        return
    line, breaking = BROKEN[how]
    assert set(blamed(subject(breaking(album), real, told))) - DEAF == {line}
