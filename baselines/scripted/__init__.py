"""Policies without weights: the scripted expert and the controls that must lose to it."""

from baselines.scripted.broken import FrozenPolicy, MirroredPolicy, RandomPolicy, WrongGripperPolicy
from baselines.scripted.demonstrator import DemonstratorPolicy
from baselines.scripted.expert import ExpertPolicy, NoisyExpertPolicy
from baselines.scripted.replay import ReplayPolicy
from baselines.scripted.staged import StagedFailurePolicy

__all__ = [
    "DemonstratorPolicy",
    "ExpertPolicy",
    "FrozenPolicy",
    "MirroredPolicy",
    "NoisyExpertPolicy",
    "RandomPolicy",
    "ReplayPolicy",
    "StagedFailurePolicy",
    "WrongGripperPolicy",
]
