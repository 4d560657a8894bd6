"""The turn of a user that Ovis-U1 is asked with: text, picture, text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.core.tokens import WAM_PROMPT, Tokenize, released
from baselines.imagewam.ovis_u1.config import OvisU1Config
from wambench import UserError

BEFORE = "<|im_start|>user\n"
BEHIND = "\n{}<|im_end|>\n"


@dataclass(frozen=True)
class AroundPicture:
    """Tokens before the picture and behind it, each text by itself.

    As one text, the ends of lines on either side of the picture would become one token.
    """

    before: Tokenize
    behind: Tokenize

    def __call__(self, instruction: str) -> Sequence[int]:
        """Ids of both texts in a row."""
        return [*self.before(instruction), *self.behind(instruction)]

    def spelled(self, instruction: str) -> Sequence[str]:
        """One string for each of them; the marks of the turn are no text."""
        outside = [""] * len(self.before(instruction))
        return [*outside, *self.behind.spelled(instruction)]


def around_picture(folder: Path, config: OvisU1Config) -> AroundPicture:
    """Ovis-U1's tokenizer; UserError if it cuts the text before the picture into other tokens.

    Args:
        folder: with the tokenizer.
        config: says how many tokens stand before the picture.
    """
    count = config.condition.prefix_tokens if config.condition else 0
    before = released(folder, config.text_length, lambda _: BEFORE, chat=False)
    if (found := len(before(""))) != count:
        raise UserError(
            f"the tokenizer in {str(folder)!r} makes {found} tokens of {BEFORE!r}, not {count}; "
            "name the folder released as Ovis-U1-3B"
        )
    return AroundPicture(before, released(folder, config.text_length - count, _behind, chat=False))


def _behind(instruction: str) -> str:
    return BEHIND.format(WAM_PROMPT.format(instruction).strip())
