"""LIBERO's suites, as entry points."""

from tasks.libero.suite import LiberoSuite


def libero_spatial() -> LiberoSuite:
    """Entry point of libero_spatial."""
    return LiberoSuite("libero_spatial")


def libero_object() -> LiberoSuite:
    """Entry point of libero_object."""
    return LiberoSuite("libero_object")


def libero_goal() -> LiberoSuite:
    """Entry point of libero_goal."""
    return LiberoSuite("libero_goal")


def libero_10() -> LiberoSuite:
    """Entry point of libero_10."""
    return LiberoSuite("libero_10")


def libero_90() -> LiberoSuite:
    """Entry point of libero_90."""
    return LiberoSuite("libero_90")
