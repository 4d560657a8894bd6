"""Demonstrations: stored episodes with frames and the expert's labels, in LIBERO's HDF5 layout."""

from tasks.libero.demos.command import command

__all__ = ["command"]
