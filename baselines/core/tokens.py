"""Instructions to token ids: a released tokenizer, or a stand-in where only timing matters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wambench import UserError
from wambench.errors import one_line

WAM_PROMPT = "A video recorded from a robot's point of view executing the following instruction: {}"
"""Around an instruction (ImageWAM's robot_video_dataset.py; FastWAM's is taken to be the same)."""


class Tokenize(Protocol):
    """From an instruction to its text tokens, not padded, not longer than the model takes."""

    def __call__(self, instruction: str) -> Sequence[int]:
        """Their ids."""

    def spelled(self, instruction: str) -> Sequence[str]:
        """One string for each of them as the tokenizer spells it, "" for one that is no text."""


@dataclass(frozen=True)
class StandIn:
    """Hash words to ids; ``extra`` stands for the tokens of the prompt around the instruction.

    The number of tokens is about right, their meaning is not: for random weights only.
    """

    vocabulary: int
    extra: int
    length: int

    def __call__(self, instruction: str) -> Sequence[int]:
        """Ids below ``vocabulary``."""
        words = self.spelled(instruction)
        digests = (hashlib.blake2b(word.encode(), digest_size=4).digest() for word in words)
        return [int.from_bytes(digest, "big") % self.vocabulary for digest in digests]

    def spelled(self, instruction: str) -> Sequence[str]:
        """Words."""
        prompt = [f"prompt {index}" for index in range(self.extra)]
        return [*prompt, *instruction.split()][: self.length]


@dataclass(frozen=True)
class Released:
    """A transformers tokenizer; see :func:`released`."""

    tokenizer: Any
    length: int
    prompt: Callable[[str], str]
    chat: bool

    def __call__(self, instruction: str) -> Sequence[int]:
        """Ids of the prompt around an instruction."""
        text = self.prompt(instruction)
        if self.chat:
            turn = [{"role": "user", "content": text}]
            text = str(
                self.tokenizer.apply_chat_template(
                    turn, tokenize=False, add_generation_prompt=True, enable_thinking=False
                )
            )
        return list(self.tokenizer(text, truncation=True, max_length=self.length)["input_ids"])

    def spelled(self, instruction: str) -> Sequence[str]:
        """Its own strings, which mark where a word begins; none for begin, end and chat marks."""
        ids = self(instruction)
        special = {*self.tokenizer.all_special_ids} - {self.tokenizer.unk_token_id}
        names = self.tokenizer.convert_ids_to_tokens(ids)
        return ["" if one in special else str(name) for one, name in zip(ids, names, strict=True)]


def released(folder: Path, length: int, prompt: Callable[[str], str], *, chat: bool) -> Released:
    """A transformers tokenizer from a local folder (or the hub's cache of a model id).

    Args:
        folder: with ``tokenizer.json`` or what else the tokenizer was saved as.
        length: longer texts are cut.
        prompt: the sentence around an instruction.
        chat: wrap it as a single user turn with the generation prompt and without thinking.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"no tokenizer in {str(folder)!r} ({one_line(error)[:120]}); "
            "name the folder released with the text encoder"
        ) from None
    return Released(tokenizer, length, prompt, chat)
