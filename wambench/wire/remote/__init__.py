"""Policies that other processes serve, asked as if they were here."""

from wambench.wire.remote.policy import RemotePolicy

__all__ = ["RemotePolicy"]
