"""Scripted experts for LIBERO: privileged simulator state in, OSC_POSE actions out."""

from .expert import Expert

__all__ = ["Expert"]
