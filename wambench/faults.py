"""Whose fault it is when a policy raises: a closed list of what is the machinery's.

Everything else is the policy's own (:class:`wambench.errors.PolicyFault`). A policy that knows
better raises :class:`wambench.errors.InfrastructureFailure` itself.
"""

from __future__ import annotations

from wambench.errors import InfrastructureFailure, PolicyFault, PolicyProcessDead

MACHINERY = (InfrastructureFailure, MemoryError, OSError)  # connections and time-outs are OSErrors
TORCH = ("OutOfMemoryError", "AcceleratorError", "DistBackendError", "DistNetworkError")
"""Of torch, told by name: the engine does not import it."""

MESSAGES = (
    "CUDA error", "CUDA driver error", "CUDA out of memory", "CUDNN_STATUS", "CUBLAS_STATUS",
    "cuDNN error", "NCCL error", "DefaultCPUAllocator: can't allocate memory", "std::bad_alloc",
    "Cannot allocate memory", "Too many open files", "No space left on device",
    "RESOURCE_EXHAUSTED",
)  # fmt: skip
"""How libraries that only raise RuntimeError begin what they say of a machine."""

DEAD = ("CUDA error", "CUDA driver error", "AcceleratorError")  # every later call fails as well


def is_machinery(error: BaseException) -> bool:
    """Whether an exception, or the one that it was raised from, is the machinery's fault."""
    return any(_blames_machine(one) for one in _causes(error))


def is_dead(error: BaseException) -> bool:
    """Whether the process that raised this must be replaced: its CUDA context is gone, say."""
    return isinstance(error, PolicyProcessDead) or any(
        any(word in str(one) or word in type(one).__name__ for word in DEAD)
        and "out of memory" not in str(one)
        for one in _causes(error)
        if _blames_machine(one)
    )


def blames_machine(text: str) -> bool:
    """Whether what a policy elsewhere says of a fault is the fault of the machine it is on."""
    kinds = (*TORCH, "MemoryError", InfrastructureFailure.__name__)
    return any(word in text for word in (*kinds, *MESSAGES))


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    while error not in chain:
        chain.append(error)
        if error.__cause__ is None:
            break
        error = error.__cause__
    return chain


def _blames_machine(error: BaseException) -> bool:
    if isinstance(error, PolicyFault):
        return False
    if isinstance(error, MACHINERY):
        return True
    kinds = type(error).__mro__
    if any(k.__name__ in TORCH and k.__module__.split(".")[0] == "torch" for k in kinds):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in MESSAGES)
