"""What an audit found, and how it is said: in one line, or as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SHOWN = 3
LEGACY_TOP, TOP = "dit.", "mot."
ANOTHER = "check that the configuration is that of the model the file was released for"

# Per kind: its line for one tensor, for several, its short form, the remedy; most telling first.
KINDS = {
    "missing": ("is missing", "are missing", "missing",
                "get the whole file of the release, or name the model it belongs to"),
    "unexpected": ("has no place in the model", "have no place in the model", "unexpected",
                   "get the file of the release, or name the model it belongs to"),
    "misshaped": ("has a wrong shape", "have wrong shapes", "of wrong shape", ANOTHER),
    "wrong_dtype": ("has a wrong dtype", "have wrong dtypes", "of wrong dtype",
                    "save it again in the dtype it declares, or get the release"),
    "non_finite": ("is not finite", "are not finite", "not finite",
                   "use an earlier checkpoint of the training, or get the file again"),
    "unequal_aliases": ("is stored twice with different values",
                        "are stored twice with different values", "stored twice and unequal",
                        "it was altered after it was saved, so get it again"),
}  # fmt: skip


class Trouble(NamedTuple):
    """A tensor that is not as it should be; ``what`` may say more ("is [3], not [4]")."""

    key: str
    what: str = ""

    def __str__(self) -> str:
        return f"{self.key!r} {self.what}".rstrip()


@dataclass(frozen=True)
class Audit:
    """What became of every tensor; all is well if ``problem()`` is None.

    Attributes:
        path: of the checkpoint.
        expected: number of keys in the layout.
        found: number of tensors in the file.
        matched: number of keys in both.
        aliases: number of tensors stored twice and found equal.
        missing: keys of the layout that the file lacks.
        unexpected: keys of the file that the layout does not know.
        misshaped: tensors of another shape than the model's.
        wrong_dtype: tensors that are not of the declared dtype, or not floating.
        non_finite: tensors with NaN or infinite values.
        unequal_aliases: tensors stored twice with different values.
    """

    path: Path
    expected: int
    found: int
    matched: int
    aliases: int
    missing: tuple[Trouble, ...]
    unexpected: tuple[Trouble, ...]
    misshaped: tuple[Trouble, ...]
    wrong_dtype: tuple[Trouble, ...]
    non_finite: tuple[Trouble, ...]
    unequal_aliases: tuple[Trouble, ...]

    @property
    def troubles(self) -> dict[str, tuple[Trouble, ...]]:
        """The six lists by name, without the empty ones."""
        return {kind: found for kind in KINDS if (found := getattr(self, kind))}

    def problem(self) -> str | None:
        """What is wrong, in one line; None if every tensor is accounted for."""
        if not self.troubles:
            return None
        return f"{str(self.path)!r} {self._another_model() or self._first_trouble()}"

    def rows(self) -> list[dict[str, str]]:
        """Checks and results, for ``print_table(rows, ["check", "result"])``."""
        rows = [
            {"check": "tensors", "result": f"{self.matched} of {self.expected}"},
            {"check": "aliases", "result": f"{self.aliases} equal"},
        ]
        for kind in KINDS:
            found = self.troubles.get(kind)
            result = f"{len(found)}: {_listed(found)}" if found else "none"
            rows.append({"check": kind.replace("_", " "), "result": result})
        return rows

    def _another_model(self) -> str | None:
        """The line for a file that may be whole but belongs to another model."""
        if self._is_legacy():
            remedy = "rename that entry to 'mot', or get the current release"
            return f"keeps its weights under 'dit', as old versions did, not under 'mot'; {remedy}"
        if 2 * self.matched < min(self.expected, self.found):
            names = f"{self.matched} of its {self.found} tensors have names of this one"
            return f"looks like a checkpoint of another model: {names}; {ANOTHER}"
        # Norms are as wide in every size of a model, so a minority of shapes is telling.
        if len(self.misshaped) > max(SHOWN, self.matched // 4):
            shapes = f"{len(self.misshaped)} of {self.matched} shapes differ"
            example = str(self.misshaped[0])
            return f"looks like another size of this model: {shapes}, {example}; {ANOTHER}"
        return None

    def _is_legacy(self) -> bool:
        has_old = any(trouble.key.startswith(LEGACY_TOP) for trouble in self.unexpected)
        return has_old and any(trouble.key.startswith(TOP) for trouble in self.missing)

    def _first_trouble(self) -> str:
        (kind, found), *rest = self.troubles.items()
        one, many, _, remedy = KINDS[kind]
        line = f"{len(found)} of {max(self.expected, self.found)} tensors"
        line += f" {one if len(found) == 1 else many}: {_listed(found)}"
        also = ", ".join(f"{len(troubles)} {KINDS[other][2]}" for other, troubles in rest)
        return f"cannot be used: {line}{f' (also {also})' if also else ''}; {remedy}"


def _listed(found: tuple[Trouble, ...]) -> str:
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(map(str, found[:SHOWN])) + more
