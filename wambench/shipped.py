"""Files that come with wambench beside its code: published figures, sweep files."""

from __future__ import annotations

import sysconfig
from pathlib import Path


def shipped(place: str) -> Path:
    """Where a file or folder lies, such as "results/published": in a checkout, or installed."""
    checkout = Path(__file__).parents[1] / place
    return checkout if checkout.exists() else _installed(place)


def _installed(place: str) -> Path:
    return Path(sysconfig.get_path("data"), "share", "wambench", place)
