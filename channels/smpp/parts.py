"""Long messages: the parts they travel in, three ways out and in.

Source: 3GPP TS 23.040 §9.2.3.24.1 and .8 (user data header, 8-bit and 16-bit reference), SMPP 3.4 §5.3.2.22 to .24
(``sar_*``) and §5.3.2.32 (``message_payload``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from channels.smpp.names import Tag
from channels.smpp.pdu import DataMessage, ShortMessage, Tlv, content, number
from channels.smpp.text import Unreadable

#: ``esm_class``: the text begins with a user data header
UDHI: Final = 0x40
#: information elements of a concatenated message: 8-bit and 16-bit reference
CONCAT_8, CONCAT_16 = 0x00, 0x08
MOST_PARTS: Final = 255


class Long(StrEnum):
    """How a message centre wants texts that do not fit into one message."""

    UDH = "udh"
    SAR = "sar"
    PAYLOAD = "payload"


class Part(NamedTuple):
    """What one ``submit_sm`` carries."""

    esm_class: int
    short_message: bytes
    tlvs: tuple[Tlv, ...]


class Segment(NamedTuple):
    """What one inbound message carries: a part of a longer text, or all of it (``total`` 1)."""

    reference: int
    total: int
    #: 1 to ``total``
    number: int
    content: bytes


def pack(contents: tuple[bytes, ...], way: Long, reference: int) -> list[Part]:
    """Encoded pieces as parts to send. ``reference`` is the same for all parts of a text, and whenever it is resent.

    Raises ``ValueError`` for more parts than the header can count.
    """
    total = len(contents)
    if total > MOST_PARTS:
        raise ValueError(f"more than {MOST_PARTS} parts")
    if way is Long.PAYLOAD:
        content = b"".join(contents)
        if len(content) <= 140:
            return [Part(0, content, ())]
        return [Part(0, b"", (Tlv(Tag.MESSAGE_PAYLOAD, content),))]
    if total == 1:
        return [Part(0, contents[0], ())]
    if way is Long.SAR:
        return [
            Part(
                0,
                content,
                (
                    Tlv(Tag.SAR_MSG_REF_NUM, (reference & 0xFFFF).to_bytes(2)),
                    Tlv(Tag.SAR_TOTAL_SEGMENTS, bytes([total])),
                    Tlv(Tag.SAR_SEGMENT_SEQNUM, bytes([place])),
                ),
            )
            for place, content in enumerate(contents, 1)
        ]
    head = bytes([5, CONCAT_8, 3, reference & 0xFF, total])
    return [Part(UDHI, head + bytes([place]) + content, ()) for place, content in enumerate(contents, 1)]


def unpack(body: ShortMessage | DataMessage) -> Segment:
    """The part that a message carries. Raises ``Unreadable`` where its user data header is broken."""
    octets = content(body)
    if body.esm_class & UDHI:
        elements, octets = _user_data_header(octets)
        for kind, value in elements:
            if kind == CONCAT_8 and len(value) == 3:
                return _segment(value[0], value[1], value[2], octets)
            if kind == CONCAT_16 and len(value) == 4:
                return _segment(int.from_bytes(value[:2]), value[2], value[3], octets)
    reference, total = number(body.tlvs, Tag.SAR_MSG_REF_NUM), number(body.tlvs, Tag.SAR_TOTAL_SEGMENTS)
    place = number(body.tlvs, Tag.SAR_SEGMENT_SEQNUM)
    if reference is None or total is None or place is None:
        return Segment(0, 1, 1, octets)
    return _segment(reference, total, place, octets)


def _segment(reference: int, total: int, place: int, content: bytes) -> Segment:
    """Numbers that make no sense are to be ignored, the text is not (TS 23.040 §9.2.3.24.1)."""
    if 1 <= place <= total <= MOST_PARTS:
        return Segment(reference, total, place, content)
    return Segment(0, 1, 1, content)


def _user_data_header(content: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    if not content or content[0] >= len(content):
        raise Unreadable("header_broken")
    end = content[0] + 1
    elements: list[tuple[int, bytes]] = []
    place = 1
    while place < end:
        if place + 2 > end or place + 2 + content[place + 1] > end:
            raise Unreadable("header_broken")
        length = content[place + 1]
        elements.append((content[place], content[place + 2 : place + 2 + length]))
        place += 2 + length
    return elements, content[end:]
