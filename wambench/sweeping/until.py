"""What ends a sweep early: the rule that is asked for, of which two policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wambench import plugins
from wambench.errors import UserError, did_you_mean
from wambench.sweepfile import Plan
from wambench.sweeping.agenda import Until

RULE = "decided"
ALL = "all"


def until_decided(
    plan: Plan, pairs: Sequence[str], effect: float | None, look_every: int | None
) -> Until | None:
    """The rule that ends a sweep once it is decided which of each two policies is better.

    Args:
        plan: of the sweep.
        pairs: "A,B", two labels each, or "all": every two; none: there is no rule.
        effect: the difference that matters; None: the rule's own.
        look_every: rounds from one look to the next; None: 1.

    Raises:
        UserError: a label that is none, or an effect or a number of rounds without a rule.

    """
    if not pairs:
        for name, given in (("--effect", effect), ("--look-every", look_every)):
            if given is not None:
                raise UserError(f"{name} {given} is of no use without --until-decided; add that")
        return None
    if look_every is not None and look_every < 1:
        raise UserError(f"--look-every {look_every} is not a number of rounds; give 1 or more")
    options: dict[str, Any] = {} if effect is None else {"effect": effect}
    if ALL not in pairs:
        options["pairs"] = [_pair(text, list(plan.choices)) for text in pairs]
    rule = plugins.make_rule(RULE, list(plan.choices), options)
    return Until(RULE, rule, look_every or 1)


def _pair(text: str, labels: Sequence[str]) -> tuple[str, str]:
    """Split "A,B" into two labels, which may hold commas themselves."""
    parts = text.split(",")
    for place in range(1, len(parts)):
        first, second = (",".join(half).strip() for half in (parts[:place], parts[place:]))
        if first in labels and second in labels:
            return first, second
    if len(parts) != 2:
        raise UserError(
            f"--until-decided {text!r} is not two policies with a comma; write "
            f"{labels[0]},{labels[-1]} or {ALL}"
        )
    unknown = next(part.strip() for part in parts if part.strip() not in labels)
    raise UserError(
        f"--until-decided {text!r}: no policy {unknown!r} in this sweep; "
        f"{did_you_mean(unknown, labels)}"
    )
