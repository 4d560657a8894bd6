"""Whose fault it is: what a policy raises because of the machine under it is not its own."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import torch

from tests.test_policy_server import see
from wambench import InfrastructureFailure, Policy, PolicySpec
from wambench.contract import Observation
from wambench.errors import PolicyFault, PolicyProcessDead
from wambench.faults import is_dead, is_machinery
from wambench.policy_server import LocalClient, answer_batch


def out_of_memory() -> Exception:
    """What torch raises for a tensor that no machine holds."""
    try:
        torch.empty(2**50)
    except RuntimeError as error:
        return error
    raise AssertionError


def caused(cause: BaseException) -> Exception:
    try:
        raise RuntimeError("the policy cannot answer") from cause
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        torch.AcceleratorError("CUDA error: device-side assert triggered"),
        out_of_memory(),
        MemoryError(),
        ConnectionResetError("gone"),
        TimeoutError("no answer"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
        InfrastructureFailure("the licence server is down"),
        caused(BrokenPipeError("the server of the model")),
    ],
)
def test_the_machine_is_to_blame(error: Exception) -> None:
    assert is_machinery(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (4x3 and 4x2)"),
        KeyError("CUDA error"),
        ValueError("No space left on device"),
        SystemExit(3),
        PolicyFault("NaN"),
        caused(KeyError("norm_stats")),
    ],
)
def test_the_policy_is_to_blame(error: BaseException) -> None:
    assert not is_machinery(error)


def test_only_a_lost_cuda_context_needs_another_process() -> None:
    assert is_dead(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not is_dead(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_dead(RuntimeError("CUDA error: out of memory"))
    assert not is_dead(MemoryError())


class Crowded(Policy):
    """Has memory for one observation at a time."""

    spec = PolicySpec(paradigm="test", about="small")

    def act(self, observations: list[Observation]) -> list[np.ndarray]:
        if len(observations) > 1:
            raise MemoryError
        return [np.zeros((1, 2))]


class Broken(Policy):
    spec = PolicySpec(paradigm="test", about="no context")

    def act(self, observations: list[Observation]) -> list[np.ndarray]:
        raise RuntimeError("CUDA error: unspecified launch failure")


def test_a_batch_that_is_too_large_is_asked_one_by_one() -> None:
    answers = answer_batch(Crowded(), [see("a"), see("b")])
    assert [answer.unwrap().shape for answer in answers] == [(1, 2), (1, 2)]


def test_the_episode_loop_gets_an_infrastructure_failure() -> None:
    with pytest.raises(PolicyProcessDead, match="policy raised RuntimeError: CUDA error"):
        LocalClient(Broken()).act(see("a"))
