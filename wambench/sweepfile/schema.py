"""What a sweep file may say."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    field_validator,
    model_validator,
)

LONGEST_RANGE = 100_000
ALL = "all"


def _numbers(value: object) -> list[object]:
    """Accept 7, [7, 9], "0-19" and lists of these."""
    items = value if isinstance(value, list) else [value]
    out: list[object] = []
    for item in items:
        span = re.fullmatch(r"(\d+)\s*-\s*(\d+)", item) if isinstance(item, str) else None
        if span is None:
            out.append(item)
            continue
        first, last = int(span[1]), int(span[2])
        if not first <= last < first + LONGEST_RANGE:
            raise ValueError(f"a range is first-last of at most {LONGEST_RANGE} numbers")
        out.extend(range(first, last + 1))
    return out


def _number(value: object) -> object:
    """Text is none, though it may look like one: 1:30."""
    if isinstance(value, str):
        raise ValueError("write numbers, a range such as 0-19, or a list of these")
    return value


def _tasks(value: object) -> list[object]:
    """Accept what :func:`_numbers` does, task names and "all"."""
    items = _numbers(value)
    if any(isinstance(item, bool) or not isinstance(item, int | str) for item in items):
        raise ValueError("name tasks by number, name, a range such as 0-4, a list of these, or all")
    return items


def _entry(value: object) -> object:
    """Accept a policy's bare name."""
    if not isinstance(value, str | dict | PolicyEntry):
        raise ValueError("a policy is a name, or a mapping with name, label and options")
    return {"name": value} if isinstance(value, str) else value


Number = Annotated[int, Field(ge=0, strict=True), BeforeValidator(_number)]
Numbers = Annotated[list[Number], BeforeValidator(_numbers)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PolicyEntry(_Strict):
    """A policy with options and, if the same one appears twice, a label of its own.

    ``replicas`` and ``num_gpus`` say where it runs, which never changes what comes out.
    """

    name: str
    label: str | None = None
    options: dict[str, JsonValue] = {}
    replicas: Annotated[int, Field(ge=1, strict=True)] | Literal["auto"] = 1
    num_gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @field_validator("num_gpus")
    @classmethod
    def _whole_above_one(cls, value: float | None) -> float | None:
        """Ray shares one GPU in parts, and several as a whole."""
        if value is not None and value > 1 and value != int(value):
            raise ValueError("num_gpus is a part of one GPU or a whole number")
        return value


class Sample(_Strict):
    """So many initial states of all that there are, spread evenly over what differs.

    ``by``: what to spread them over, the most important first. A larger sample of the same seed
    holds the smaller one.
    """

    sample: Annotated[int, Field(ge=1, strict=True)]
    by: list[Literal["axis", "kind", "magnitude", "suite", "task"]] = ["axis", "magnitude"]
    seed: Number = 0


class LatencyEntry(_Strict):
    """How long a decision takes: exactly one of ``ms``, ``measured``, ``predicted``, ``claimed``.

    Attributes:
        measured: path of a latency record.
        predicted: a GPU, for which the roofline predicts; ``mode``: how it launches kernels.
        claimed: a table and row of the published figures, ``table11/imagewam_prefix_only``.
        of: the policy whose time it is, if not this one: a published sibling, say.
    """

    ms: Annotated[float, Field(ge=0, le=600_000, allow_inf_nan=False)] | None = None
    measured: str | None = None
    predicted: str | None = None
    claimed: str | None = None
    of: str | None = None
    mode: Literal["graph", "eager", "ideal"] = "graph"

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        sources = (self.ms, self.measured, self.predicted, self.claimed)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("a latency is one of ms, measured, predicted and claimed")
        return self


def _latencies(value: object) -> object:
    """Accept one latency, a number, or a list of these."""
    items = value if isinstance(value, list) else [value]
    return [{"ms": item} if isinstance(item, int | float) else item for item in items]


# A name in brackets is a form that is told apart, no word of the file; see reading.py.
def _form_of_states(value: object) -> str:
    if isinstance(value, dict | Sample):
        return "(sample)"
    return "(all)" if value == ALL else "(numbers)"


def _form_of_choice(value: object) -> str:
    return "(choice)" if isinstance(value, dict | SuiteChoice) else "(tasks)"


InitStates = Annotated[
    Annotated[Numbers, Tag("(numbers)")]
    | Annotated[Literal["all"], Tag("(all)")]
    | Annotated[Sample, Tag("(sample)")],
    Discriminator(_form_of_states),
]
Tasks = Annotated[list[int | str], BeforeValidator(_tasks)]


class SuiteChoice(_Strict):
    """Tasks of one suite, with initial states of their own."""

    tasks: Tasks = [ALL]
    init_states: InitStates | None = None


class SweepFile(_Strict):
    """The file as written."""

    policies: list[Annotated[PolicyEntry, BeforeValidator(_entry)]] = Field(min_length=1)
    suites: dict[
        str,
        Annotated[
            Annotated[Tasks, Tag("(tasks)")] | Annotated[SuiteChoice, Tag("(choice)")],
            Discriminator(_form_of_choice),
        ],
    ] = Field(min_length=1)
    protocol: str = "wambench-1"
    protocol_changes: dict[str, Any] = {}
    init_states: InitStates | None = None
    seeds: Numbers | None = None
    latency_ms: list[Annotated[float, Field(ge=0, le=600_000, allow_inf_nan=False)]] = []
    latency: dict[str, Annotated[list[LatencyEntry], BeforeValidator(_latencies)]] = {}
    rules: list[str] = []

    def choice(self, suite: str) -> SuiteChoice:
        """What is asked of a suite."""
        asked = self.suites[suite]
        return asked if isinstance(asked, SuiteChoice) else SuiteChoice(tasks=asked)
