"""GSM 03.38: the alphabet of phones, in which USSD screens and most texts are counted and sent.

Source: 3GPP TS 23.038 §6.2.1: a character of the default alphabet takes one septet, one of its extension table two
(an escape goes before it).
"""

from __future__ import annotations

from functools import cache
from typing import Final

from gsm0338 import Codec  # type: ignore[import-untyped]

ESCAPE: Final = 0x1B


@cache
def gsm_alphabet() -> dict[str, bytes]:
    """The default alphabet with its extension table: each character and its one or two septets, unpacked."""
    codec = Codec()
    found = {codec.decode(bytes([code]))[0]: bytes([code]) for code in range(128) if code != ESCAPE}
    for code in range(128):
        if code != ESCAPE:
            character = codec.decode(bytes([ESCAPE, code]), "ignore")[0]
            if len(character) == 1:
                found.setdefault(character, bytes([ESCAPE, code]))
    return found
