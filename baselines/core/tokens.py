"""Instructions to token ids: a released tokenizer, or a stand-in where only timing matters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from wambench import UserError
from wambench.errors import one_line

WAM_PROMPT = "A video recorded from a robot's point of view executing the following instruction: {}"
"""Around an instruction (ImageWAM's robot_video_dataset.py; FastWAM's is taken to be the same)."""

Tokenize = Callable[[str], Sequence[int]]
"""From an instruction to its token ids, not padded, not longer than the model takes."""


def stand_in(vocabulary: int, extra: int, length: int) -> Tokenize:
    """Hash words to ids; ``extra`` stands for the tokens of the prompt around the instruction.

    The number of tokens is about right, their meaning is not: for random weights only.
    """

    def tokenize(instruction: str) -> Sequence[int]:
        words = [f"prompt {index}" for index in range(extra)] + instruction.split()
        digests = (hashlib.blake2b(word.encode(), digest_size=4).digest() for word in words)
        return [int.from_bytes(digest, "big") % vocabulary for digest in digests][:length]

    return tokenize


def released(folder: Path, length: int, prompt: Callable[[str], str], *, chat: bool) -> Tokenize:
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

    def tokenize(instruction: str) -> Sequence[int]:
        text = prompt(instruction)
        if chat:
            turn = [{"role": "user", "content": text}]
            text = str(
                tokenizer.apply_chat_template(
                    turn, tokenize=False, add_generation_prompt=True, enable_thinking=False
                )
            )
        return list(tokenizer(text, truncation=True, max_length=length)["input_ids"])

    return tokenize
