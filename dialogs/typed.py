"""What was typed on a phone, read: digits of any script, the number of an option, input of a declared shape."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from dialogs.words import Typed


@lru_cache(maxsize=512)
def _shape(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def typed_text(raw: str) -> str:
    """What was typed, without surrounding spaces and direction marks, digits and spaces of any script as plain ones."""
    plain = raw.strip()
    if plain.isascii():
        return plain
    kept = [character for character in plain if unicodedata.category(character) != "Cf"]
    return "".join([_plain(character) for character in kept]).strip()


def _plain(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    return " " if character.isspace() else character


def option_typed(given: str, most: int) -> int | None:
    """The option that was typed, from 0, or None. Option numbers are written without leading zeros."""
    if not given.isascii() or not given.isdigit() or given[0] == "0" or len(given) > 2:
        return None
    return int(given) - 1 if int(given) <= most else None


def fits_shape(typed: Typed, given: str) -> bool:
    """Whether an input has the shape that is asked for."""
    return _shape(typed.shape).fullmatch(given) is not None
