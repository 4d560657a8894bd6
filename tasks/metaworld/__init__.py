"""MetaWorld's suites, as entry points."""

from tasks.metaworld.suite import MetaWorldSuite


def metaworld_easy() -> MetaWorldSuite:
    """Entry point of metaworld_easy."""
    return MetaWorldSuite("metaworld_easy")


def metaworld_medium() -> MetaWorldSuite:
    """Entry point of metaworld_medium."""
    return MetaWorldSuite("metaworld_medium")


def metaworld_hard() -> MetaWorldSuite:
    """Entry point of metaworld_hard."""
    return MetaWorldSuite("metaworld_hard")


def metaworld_very_hard() -> MetaWorldSuite:
    """Entry point of metaworld_very_hard."""
    return MetaWorldSuite("metaworld_very_hard")
