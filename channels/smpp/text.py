"""Texts to octets and back by ``data_coding``, cut so that no character is split.

Source: SMPP 3.4 §5.2.19 (codings), 3GPP TS 23.038 §4, §6.2.1 (GSM alphabet, coding groups), 3GPP TS 23.040 §9.2.3.24.1
(a part of a longer text loses six octets to its header: 153 septets, 134 octets). SMPP carries the GSM alphabet
unpacked, one septet to an octet. What ``data_coding`` 0 means is the message centre's choice, so it is a setting.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from gsm0338 import Codec  # type: ignore[import-untyped]

from channels.gsm import gsm_alphabet

DEFAULT, LATIN1, UCS2 = 0x00, 0x03, 0x08
#: Python's codecs for codings whose meaning is the same everywhere (SMPP 3.4 §5.2.19)
FIXED: Final = {
    0x01: "ascii",
    LATIN1: "latin-1",
    0x05: "shift_jis",
    0x06: "iso8859_5",
    0x07: "iso8859_8",
    UCS2: "utf-16-be",
}
#: 8-bit binary: no text at all
BINARY: Final = frozenset([0x02, 0x04])


class Alphabet(StrEnum):
    """What ``data_coding`` 0 means to a message centre."""

    GSM = "gsm"
    LATIN1 = "latin1"
    ASCII = "ascii"


class Unreadable(Exception):
    """Octets that are no text. ``args[0]`` is the reason, a code."""


class Encoded(NamedTuple):
    """A text on the wire, in one piece or in parts."""

    data_coding: int
    parts: tuple[bytes, ...]


class _Coding(NamedTuple):
    """How one coding writes a character, what that costs on the air, and how much fits."""

    data_coding: int
    #: octets and cost of a character; None where it has none
    spell: Callable[[str], tuple[bytes, int] | None]
    whole: int
    part: int


def encode_text(text: str, default: Alphabet, *, latin1: bool = True, whole: bool = False) -> Encoded:
    """The text in the cheapest coding that holds all of it: the default alphabet, Latin-1, UCS-2.

    ``latin1``: whether the centre takes ``data_coding`` 3. ``whole``: never cut (the text goes into
    ``message_payload``, and the centre cuts it).
    """
    for coding in _codings(default, latin1=latin1):
        spelled = [coding.spell(character) for character in text]
        known = [one for one in spelled if one is not None]
        if len(known) == len(spelled):
            return Encoded(coding.data_coding, _cut(known, coding, whole=whole))
    raise AssertionError("UCS-2 holds every character")


def _codings(default: Alphabet, *, latin1: bool) -> tuple[_Coding, ...]:
    wide = _Coding(UCS2, _ucs2, 140, 134)
    narrow = _Coding(LATIN1, _latin1, 140, 134)
    spell = {Alphabet.GSM: _gsm, Alphabet.LATIN1: _gsm_as_latin1, Alphabet.ASCII: _gsm_as_ascii}[default]
    first = _Coding(DEFAULT, spell, 160, 153)
    return (first, narrow, wide) if latin1 else (first, wide)


def _gsm(character: str) -> tuple[bytes, int] | None:
    octets = gsm_alphabet().get(character)
    return None if octets is None else (octets, len(octets))


def _gsm_as_latin1(character: str) -> tuple[bytes, int] | None:
    """For a centre whose default is Latin-1: on the air it is the GSM alphabet all the same, and costs as much."""
    octets = gsm_alphabet().get(character)
    return None if octets is None or ord(character) > 0xFF else (character.encode("latin-1"), len(octets))


def _gsm_as_ascii(character: str) -> tuple[bytes, int] | None:
    return _gsm_as_latin1(character) if character.isascii() else None


def _latin1(character: str) -> tuple[bytes, int] | None:
    return (character.encode("latin-1"), 1) if ord(character) <= 0xFF else None


def _ucs2(character: str) -> tuple[bytes, int]:
    # A lone surrogate is no character; it becomes the sign for that.
    octets = character.encode("utf-16-be", "surrogatepass") if not "\ud800" <= character <= "\udfff" else b"\xff\xfd"
    return octets, len(octets)


def _cut(spelled: list[tuple[bytes, int]], coding: _Coding, *, whole: bool) -> tuple[bytes, ...]:
    if whole or sum(cost for _, cost in spelled) <= coding.whole:
        return (b"".join(octets for octets, _ in spelled),)
    parts: list[bytes] = []
    part, spent = bytearray(), 0
    for octets, cost in spelled:
        if spent + cost > coding.part:
            parts.append(bytes(part))
            part, spent = bytearray(), 0
        part += octets
        spent += cost
    return (*parts, bytes(part))


def decode_text(octets: bytes, data_coding: int, default: Alphabet) -> str:
    """What a person wrote. Octets that the coding does not have become U+FFFD: half a text says more than none.

    Raises ``Unreadable`` for binary content and for codings that nobody knows.
    """
    if data_coding in FIXED:
        return octets.decode(FIXED[data_coding], "replace")
    if data_coding in BINARY:
        raise Unreadable("binary")
    if data_coding == DEFAULT:
        if default is Alphabet.GSM:
            return _from_gsm(octets)
        return octets.decode("latin-1" if default is Alphabet.LATIN1 else "ascii", "replace")
    return _by_group(octets, data_coding)


def _by_group(octets: bytes, data_coding: int) -> str:
    """The coding groups of 3GPP TS 23.038 §4 and §5 that message centres pass through."""
    group = data_coding >> 4
    if group == 0x0:  # cell broadcast and USSD: 0x0F is "GSM alphabet, language unspecified"
        if data_coding == 0x0F:
            return _from_gsm(octets)
        raise Unreadable("coding_unknown")
    if group in (0x1, 0x4, 0x5, 0xF):  # general groups: bits 3 and 2 name the alphabet; 0xF: bit 2 alone
        alphabet = data_coding >> 2 & (0b01 if group == 0xF else 0b11)
        if alphabet == 0b00:
            return _from_gsm(octets)
        if alphabet == 0b10:
            return octets.decode("utf-16-be", "replace")
        raise Unreadable("binary")
    raise Unreadable("coding_unknown")


def _from_gsm(octets: bytes) -> str:
    text, _ = Codec().decode(octets, "replace")
    return str(text)
