"""Presets of peers: what their wire means and how they act, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wambench.contract import Frozen, PolicySpec
from wambench.errors import UserError, did_you_mean
from wambench.wire.presets import (
    GR00T_PANDA,
    OPENPI_PANDA,
    STARVLA_PANDA,
    VLA_EVAL_PANDA,
    WirePreset,
)
from wambench.wire.remote.address import Protocol

Gripper = Literal["as_is", "sign", "one_opens"]
"""Of the last number of an action. ``sign``: -1 below 0, else +1, as vla-eval's benchmarks take it.
``one_opens``: 1 opens and 0 closes, told apart at 0.5, as the LIBERO clients of starVLA and GR00T
take it."""


class Peer(Frozen):
    """A kind of server, as its own clients see it.

    Attributes:
        about: in words.
        protocol: that it speaks.
        paradigm: of what it serves.
        wire: names of its fields.
        image_size: (height, width) that its own client sends.
        horizon: actions of one chunk.
        replan_steps: that its own client executes of them; None: all.
        gripper: what its last number means.
    """

    about: str
    protocol: Protocol
    paradigm: str
    wire: WirePreset
    image_size: tuple[int, int]
    horizon: int
    replan_steps: int | None
    gripper: Gripper

    def spec(self, horizon: int | None, max_batch: int) -> PolicySpec:
        """What wambench is to know of it; ``horizon`` None: the preset's."""
        return PolicySpec(
            paradigm=self.paradigm,
            track="external",
            about=self.about,
            cameras=tuple(self.wire.images),
            image_size=self.image_size,
            orientation=self.wire.orientation,
            proprio=tuple(name for name, _ in self.wire.state),
            action=self.wire.action,
            horizon=horizon or self.horizon,
            replan_steps=self.replan_steps,
            max_batch=max_batch,
        )


def translated(chunk: NDArray[np.floating], gripper: Gripper) -> NDArray[np.floating]:
    """A chunk [H, A] with the gripper as ours: -1 opens, +1 closes."""
    if gripper == "as_is":
        return chunk
    last = chunk[:, -1:]
    ours = np.where(last < 0, -1.0, 1.0) if gripper == "sign" else 1.0 - 2.0 * (last > 0.5)
    return np.concatenate([chunk[:, :-1], ours.astype(chunk.dtype)], axis=1)


WITHOUT_STATE = STARVLA_PANDA.model_copy(update={"state": ()})  # as starVLA's own LIBERO client

PEERS: Mapping[str, Peer] = {
    "pi0-libero": Peer(
        about="pi0 on LIBERO behind openpi's server",
        protocol="openpi", paradigm="vla", wire=OPENPI_PANDA, image_size=(224, 224),
        horizon=50, replan_steps=5, gripper="as_is",
    ),
    "pi05-libero": Peer(
        about="pi0.5 on LIBERO behind openpi's server",
        protocol="openpi", paradigm="vla", wire=OPENPI_PANDA, image_size=(224, 224),
        horizon=10, replan_steps=5, gripper="as_is",
    ),
    "vla-eval-libero": Peer(
        about="a model server of vla-eval on LIBERO, asked before every control step",
        protocol="vla-eval", paradigm="vla", wire=VLA_EVAL_PANDA, image_size=(256, 256),
        horizon=1, replan_steps=None, gripper="sign",
    ),
    "vla-eval-oft-libero": Peer(
        about="vla-eval's OpenVLA-OFT on LIBERO, whose chunk of 8 lives in the server",
        protocol="vla-eval", paradigm="vla", wire=VLA_EVAL_PANDA, image_size=(256, 256),
        horizon=8, replan_steps=None, gripper="sign",
    ),
    "starvla-libero": Peer(
        about="starVLA on LIBERO",
        protocol="starvla", paradigm="vla", wire=WITHOUT_STATE, image_size=(224, 224),
        horizon=8, replan_steps=None, gripper="one_opens",
    ),
    # 16 and 8: N1.6's libero_panda and its LIBERO loop. The server says how many, and is asked.
    "gr00t-libero": Peer(
        about="GR00T on LIBERO; chunks of 16 are N1.6's, N1.7 wants horizon: 40",
        protocol="gr00t", paradigm="vla", wire=GR00T_PANDA, image_size=(256, 256),
        horizon=16, replan_steps=8, gripper="one_opens",
    ),
}  # fmt: skip
"""openpi 15a9616, vla-eval 0.8.0, starVLA 0ed0aad, Isaac-GR00T N1.6."""


def peer(name: str, protocol: Protocol) -> Peer:
    """Look one up; UserError for an unknown one, or one of another protocol."""
    if name not in PEERS:
        raise UserError(f"unknown preset {name!r}; {did_you_mean(name, PEERS)}")
    found = PEERS[name]
    if found.protocol != protocol:
        raise UserError(
            f"preset {name!r} is of {found.protocol}, the address of {protocol}; "
            f"for {protocol}: {', '.join(n for n, p in PEERS.items() if p.protocol == protocol)}"
        )
    return found
