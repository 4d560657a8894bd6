"""Traces come back bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wambench.trace import Trace

RNG = np.random.default_rng(0)
ODD = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324], np.float64)
PAYLOADS = np.array([0x7FF8_0000_DEAD_BEEF, 0x7FF0_0000_0000_0001, 2**64 - 1], np.uint64)


def bits(array: NDArray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


@pytest.mark.parametrize(
    ("actions", "snapshots"),
    [
        pytest.param(RNG.normal(size=(50, 7)), RNG.normal(size=(51, 40)), id="random"),
        pytest.param(np.ones((9, 7)), np.full((10, 3), np.pi), id="constant"),
        pytest.param(np.tile(ODD, (4, 1)), RNG.normal(size=(5, 2)), id="odd-values"),
        pytest.param(PAYLOADS.view(np.float64)[:, None], np.zeros((4, 2)), id="nan-payloads"),
        pytest.param(np.zeros((0, 7)), RNG.normal(size=(1, 5)), id="no-step"),
        pytest.param(RNG.normal(size=(3, 1)), RNG.normal(size=(4, 1)), id="one-column"),
        pytest.param(RNG.normal(size=(7, 6)).T, RNG.normal(size=(7, 14))[:, ::2], id="strided"),
    ],
)
def test_round_trip_is_bit_exact(
    actions: NDArray[np.float64], snapshots: NDArray[np.float64]
) -> None:
    digests = RNG.integers(0, 2**64, len(snapshots), dtype=np.uint64)
    back = Trace.unpack(Trace(actions, snapshots, digests).pack())
    for ours, theirs in (
        (actions, back.actions),
        (snapshots, back.snapshots),
        (digests, back.digests),
    ):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        assert bits(ours) == bits(theirs)


def test_resting_joints_pack_small() -> None:
    resting = np.tile(RNG.normal(size=40), (200, 1))
    trace = Trace(np.zeros((199, 7)), resting, np.arange(200, dtype=np.uint64))
    assert len(trace.pack()) < resting.nbytes / 20


def test_packing_is_deterministic() -> None:
    trace = Trace(RNG.normal(size=(5, 2)), RNG.normal(size=(6, 2)), np.zeros(6, np.uint64))
    assert trace.pack() == trace.pack() == Trace.unpack(trace.pack()).pack()
