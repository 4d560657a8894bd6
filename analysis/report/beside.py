"""What studies of a run's policies share when they stand beside it on a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from wambench.passport import Passport


def number_or_none(value: float) -> float | None:
    """A number of a table; None where it has none."""
    return None if pd.isna(value) else float(value)


def strangers(
    policies: Mapping[str, Mapping[str, Any]], labels: Mapping[str, str], passport: Passport | None
) -> list[str]:
    """Where the policies of a study are not those of the run, a line each.

    Args:
        policies: of the study, with their fingerprints.
        labels: what a study may call a policy -> its label in the run.
        passport: of the run.
    """
    unknown = [label for label in policies if label not in labels]
    others = []
    for label in policies:
        ours = passport.fingerprint.get(f"policy:{labels.get(label)}", {}) if passport else {}
        theirs = policies[label].get("fingerprint", {})
        if any(ours.get(name, value) != value for name, value in theirs.items()):
            others.append(label)
    out = []
    if unknown:
        out.append(f"Not policies of this run: {', '.join(unknown)}.")
    if others:
        out.append(f"Other weights or other code than in this run: {', '.join(others)}.")
    return out
