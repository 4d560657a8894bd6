"""A token that stands alone in a file, so that it is in no command line and in no record."""

from __future__ import annotations

from pathlib import Path

from wambench.errors import UserError


def read_token(file: Path, option: str) -> str:
    """The token; UserError names ``option`` where the file holds none."""
    try:
        token = file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{option} {str(file)!r}: cannot be read ({error})") from None
    if not token or not token.isascii() or len(token.split()) != 1:
        raise UserError(f"{option} {str(file)!r} must hold one word of ASCII; write a token")
    return token
