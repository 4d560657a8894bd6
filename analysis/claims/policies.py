"""What policies say of themselves: released pictures, parameters, settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analysis.attention.folder import StudyFolder
from analysis.claims import attention
from analysis.claims.published import Published, Readings
from analysis.claims.rows import Number, Row, Verdict
from wambench import plugins
from wambench.policy import Policy

PARAMETERS = "action_expert_params_million"
SHOW = "wambench policies show"


def released_pictures(names: Iterable[str]) -> Mapping[tuple[int, int], str]:
    """Picture -> the policies that are released with it, over all their geometries.

    A geometry whose picture had to be asked for by an option is none of a release.
    """
    found: dict[tuple[int, int], list[str]] = {}
    for name in dict.fromkeys(names):
        for variant in plugins.make_policy(name, {}).variants().values():
            if "picture" not in variant.options:
                policy = plugins.make_policy(variant.policy, variant.options)
                owners = found.setdefault(_picture(policy), [])
                if variant.policy not in owners:
                    owners.append(variant.policy)
    return {picture: ", ".join(owners) for picture, owners in found.items()}


def _picture(policy: Policy) -> tuple[int, int]:
    height, width = policy.config()["architecture"]["image_size"]
    return int(height), int(width)


def parameter_rows(published: Published, readings: Readings) -> list[Row]:
    """Sizes of the action experts, as built."""
    out = []
    for name, claimed in published.action_expert_params_million.items():
        built = readings.experts.get(name)
        found: float | None = None
        verdict: Verdict = "not built here"
        why = f"No policy here is built on {name}."
        if built:
            parameters = plugins.make_policy(built["policy"], {}).needs().parameters
            count = parameters[built["component"]]
            found = count / 1e6
            verdict = "reproduced" if abs(found - claimed) <= 0.5 else "not reproduced"
            why = f"{built['policy']} as built has {count:,} parameters in its action expert."
            if verdict == "not reproduced":
                why = f"{why} {_apart(claimed, count, parameters)}"
        out.append(
            Row(
                id=f"{PARAMETERS}.{name}",
                kind="parameters",
                source="text",
                claim=f"The action expert beside {name} has {claimed:g} M parameters",
                claimed=claimed,
                unit="M",
                found=found,
                condition=built["policy"] if built else "",
                command=f"{SHOW} {built['policy']}" if built else "wambench policies",
                verdict=verdict,
                why=why,
            )
        )
    return out


def _apart(claimed: Number, count: int, parameters: Mapping[str, int]) -> str:
    """How far a count is from a figure in millions, and which parts round to it.

    The zeros at the figure's end may be no digits: 1100 can be 1.1 billion.
    """
    gap = count / 1e6 - claimed
    zeros = len(str(claimed)) - len(str(claimed).rstrip("0"))
    fitting = [
        f"{name} ({size:,})"
        for name, size in parameters.items()
        if round(size / 1e6, -zeros) == claimed
    ]
    return (
        f"That is {abs(gap):.1f} M {'more' if gap > 0 else 'fewer'} than printed; rounded to "
        f"{10**zeros} M, {claimed:g} is the size of {', '.join(fitting) or 'no part'}."
    )


def setting_rows(numbers: Mapping[str, str | Number], readings: Readings) -> list[Row]:
    """Settings of the training: those that a built policy shows are compared with it."""
    out = []
    for path, claimed in numbers.items():
        if not path.startswith("training."):
            continue
        found, policy = _shown(path, readings)
        verdict: Verdict = "not tested yet"
        why = "A setting of the paper's training, which is not repeated here."
        if found is not None:
            verdict = "reproduced" if found == claimed else "not reproduced"
            why = f"{policy} is built with {found:g}."
        out.append(
            Row(
                id=path,
                kind="setting",
                source="training details",
                claim=f"{path.removeprefix('training.').replace('.', ' ').replace('_', ' ')} is "
                f"{claimed:g}",
                claimed=claimed,
                found=found,
                condition=policy,
                command=f"{SHOW} {policy}" if policy else "wambench train --help",
                verdict=verdict,
                why=why,
            )
        )
    return out


def _shown(path: str, readings: Readings) -> tuple[float | None, str]:
    """The value in a built policy, and which; None where no policy shows it."""
    _, where, *rest = path.split(".")
    shown = readings.settings.get(where, {})
    if not rest or rest[0] not in shown:
        return None, ""
    name = shown["policy"]
    policy = plugins.make_policy(name, {})
    value: Any = (
        len(policy.spec.cameras)
        if shown[rest[0]] == "cameras"
        else policy.config()["architecture"][shown[rest[0]]]
    )
    return float(value[int(rest[1])] if len(rest) > 1 else value), name


def qualitative_rows(published: Published, studies: Sequence[StudyFolder]) -> list[Row]:
    """Claims without a number; the one on attention also for the policies of each study."""
    out = []
    for name, text in published.qualitative.items():
        row = Row(
            id=f"qualitative.{name}",
            kind="qualitative",
            source=text.partition(":")[0],
            claim=text.partition(": ")[2],
            claimed="no number given",
            command="wambench attention" if name == attention.CLAIM else "wambench audit claims",
            verdict="needs weights",
            why="No number is given, and no published weights are at hand.",
        )
        out += [row, *attention.rows(row, studies)] if name == attention.CLAIM else [row]
    return out
