"""The three modes by name."""

from __future__ import annotations

from collections.abc import Callable

from baselines.videowam import idm, joint, plain
from baselines.videowam.config import Mode, Options
from baselines.videowam.modules import FastWam
from baselines.videowam.state import State
from wambench.inference import Program

PROGRAMS: dict[Mode, Callable[[FastWam, Options], Program[State]]] = {
    "plain": plain.program,
    "joint": joint.program,
    "idm": idm.program,
}

FAMILIES: dict[str, Mode] = {
    "fastwam-plain": "plain",
    "fastwam-joint": "joint",
    "fastwam-idm": "idm",
}
