"""What policy and suite tell each other, and what is caught when they disagree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.toy import SPEC as TOY
from wambench import plugins
from wambench.contract import ActionSpec, Orientation, PolicySpec, checked_chunk, mismatches, orient
from wambench.errors import PolicyFault

OTHER_CONVENTION: dict[str, Any] = {
    "dim": 7,
    "frame": "eef",
    "mode": "absolute",
    "translation_unit_m": 1.0,
    "rotation": "axis_angle",
    "rotation_unit_rad": 0.5,
    "gripper": "positive_opens",
    "low": 0.0,
    "high": 2.0,
}


def fitting(**changes: Any) -> PolicySpec:
    """A policy that fits the toy suite, changed."""
    needs: dict[str, Any] = {
        "paradigm": "scripted",
        "about": "fits",
        "cameras": ("agentview",),
        "image_size": (8, 8),
        "orientation": "upright",
        "proprio": ("position",),
        "privileged": ("expert_action",),
        "action": TOY.action,
    }
    return PolicySpec(**needs | changes)


def complaints(policy: PolicySpec) -> list[str]:
    return list(mismatches(policy, TOY, image_size=(8, 8), orientation="upright"))


def test_fitting_policies_have_no_mismatch() -> None:
    assert complaints(fitting()) == []
    assert complaints(PolicySpec(paradigm="scripted", about="needs nothing")) == []


def test_every_action_field_is_compared() -> None:
    assert set(OTHER_CONVENTION) == set(ActionSpec.model_fields)


@pytest.mark.parametrize("name", OTHER_CONVENTION)
def test_action_mismatch_names_field_and_both_values(name: str) -> None:
    ours = OTHER_CONVENTION[name]
    action = TOY.action.model_copy(update={name: ours})
    (found,) = complaints(fitting(action=action))
    assert f"{name}={ours!r}" in found and repr(getattr(TOY.action, name)) in found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cameras": ("agentview", "wrist")}, ["camera 'wrist'", "agentview"]),
        ({"proprio": ("eef_quat",)}, ["proprioception 'eef_quat'", "position"]),
        ({"privileged": ("depth",)}, ["privileged information 'depth'", "expert_action"]),
        ({"image_size": (16, 8)}, ["(16, 8)", "(8, 8)"]),
        ({"orientation": "opengl"}, ["opengl", "upright"]),
    ],
)
def test_other_mismatches_name_both_sides(changes: dict[str, Any], expected: list[str]) -> None:
    (found,) = complaints(fitting(**changes))
    assert all(part in found for part in expected), found


def test_all_mismatches_are_listed_at_once() -> None:
    action = TOY.action.model_copy(update={"dim": 7, "gripper": "positive_opens"})
    found = complaints(fitting(action=action, cameras=("wrist",), orientation="opengl"))
    assert len(found) == 4


def test_image_terms_do_not_matter_to_a_policy_without_cameras() -> None:
    assert complaints(fitting(cameras=(), image_size=(1, 1), orientation="opengl")) == []


def test_specs_refuse_unknown_fields_and_unfit_settling() -> None:
    with pytest.raises(ValidationError, match="camera"):
        fitting(camera=("agentview",))
    with pytest.raises(ValidationError, match="settle_action has 3 of 2"):
        type(TOY).model_validate(TOY.model_dump() | {"settle_action": (0.0, 0.0, 0.0)})


GOOD = np.zeros((4, 2), np.float32)


def with_value(value: float) -> np.ndarray:
    chunk = GOOD.copy()
    chunk[3, 1] = value
    return chunk


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        (None, "NoneType"),
        ([[0.0, 0.0]], "list"),
        (np.zeros((4, 2), int), "int64"),
        (np.zeros((4, 2), object), "object"),
        (np.zeros((4, 2), complex), "complex128"),
        (np.zeros(2), "(2,)"),
        (np.zeros((1, 4, 2)), "(1, 4, 2)"),
        (np.zeros((4, 7)), "(4, 7)"),
        (np.zeros((0, 2)), "(0, 2)"),
        (np.zeros((5, 2)), "(5, 2)"),
        (with_value(np.nan), "nan at action 3, dimension 1"),
        (with_value(np.inf), "inf at action 3, dimension 1"),
        (with_value(-np.inf), "-inf at action 3, dimension 1"),
    ],
)
def test_bad_chunks_are_faults_that_name_what_came(chunk: object, expected: str) -> None:
    with pytest.raises(PolicyFault) as fault:
        checked_chunk(chunk, TOY.action, horizon=4)
    assert expected in str(fault.value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_good_chunks_are_clipped_copies_in_float64(dtype: type) -> None:
    chunk = np.array([[-3, 0.5], [1, 1.5]], dtype)
    checked = checked_chunk(chunk, TOY.action, horizon=4)
    assert checked.dtype == np.float64 and not np.shares_memory(checked, chunk)
    assert checked.tolist() == [[-1, 0.5], [1, 1]]
    assert chunk[0, 0] == -3


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        ("upright", [[1, 2], [3, 4]]),
        ("opengl", [[3, 4], [1, 2]]),
        # LIBERO's array (opengl), turned by 180 degrees.
        ("rotated_180", np.rot90([[3, 4], [1, 2]], 2).tolist()),
    ],
)
def test_orientations(orientation: Orientation, expected: list[list[int]]) -> None:
    upright = np.repeat(np.array([[1, 2], [3, 4]], np.uint8)[..., None], 3, axis=2)
    turned = orient(upright, orientation)
    assert turned.flags.c_contiguous
    assert turned[..., 0].tolist() == expected


@pytest.mark.parametrize("name", ["imagewam-4b", "fastwam-joint", "pi0", "openvla-oft", "nano-pi0"])
def test_controls_are_policies_that_can_be_made(name: str) -> None:
    options = {} if name.startswith("nano") else {"batch_size": 2}
    policy = plugins.make_policy(name, options)
    draws = policy.controls()["untrained"]
    made = [plugins.make_policy(one.policy, one.options) for one in draws]
    assert all(one.spec == policy.spec for one in made)
    assert len({str(one.config()["options"]) for one in (policy, *made)}) == len(made) + 1
