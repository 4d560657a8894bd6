"""Words as tokens: a nano model reads an instruction through a table of the words it has met."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

PAD, UNKNOWN = 0, 1  # ids below the first word
FIRST = 2


def words_of(instruction: str) -> list[str]:
    """Lower-case words and numbers."""
    return re.findall(r"[a-z0-9]+", instruction.lower())


class Vocabulary:
    """Ids of words, in alphabetical order, so that it depends on the set of instructions alone."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(sorted(set(words)))
        self._ids = {word: FIRST + index for index, word in enumerate(self.words)}

    @classmethod
    def of(cls, instructions: Iterable[str]) -> Vocabulary:
        """The words of some instructions."""
        return cls(word for instruction in instructions for word in words_of(instruction))

    def __call__(self, instruction: str) -> Sequence[int]:
        """Ids of an instruction's words; a word never met is UNKNOWN."""
        return [self._ids.get(word, UNKNOWN) for word in words_of(instruction)] or [UNKNOWN]

    def spelled(self, instruction: str) -> Sequence[str]:
        """The words, known or not; an instruction without any is one token that is no text."""
        return words_of(instruction) or [""]
