"""PDUs of SMPP to bytes and back: strict in what is sent, lenient in what has a meaning, never a guess.

Source: SMPP 3.4 (issue 1.2) §3 and §4; SMPP 5.0 §2 to §4. A PDU is a header of four big-endian 32-bit integers (length,
command, status, sequence), fixed fields in order, then optional parameters (TLVs). Which fields a PDU has stands in
``channels.smpp.pdu``.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Any, Final

from channels.smpp.names import RESPONSE, Status
from channels.smpp.pdu import BODIES, COUNTED, OCTET, Body, Nothing, Opaque, Pdu, Tlv

HEADER: Final = Struct(">IIII")
TLV_HEADER: Final = Struct(">HH")
#: the longest PDU that is read: a full ``message_payload`` (65,535 octets) with room for everything around it
LONGEST_PDU: Final = 0x11000
#: SMPP 3.4 §5.2.21: longer texts go into ``message_payload``
LONGEST_SHORT_MESSAGE: Final = 254


class BadPdu(Exception):
    """Not a PDU of SMPP. ``reason`` is a code, never what was sent; ``status`` is what the sender is to be told."""

    def __init__(self, reason: str, status: int = Status.RSYSERR) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def encode(command: int, body: Body, *, sequence: int, status: int = Status.ROK) -> bytes:
    """A PDU on the wire. Raises ``ValueError`` with the field's name where a value does not fit into its field."""
    parts = [b""]
    if isinstance(body, Opaque):
        parts.append(body.raw)
    for name, kind in body.FIELDS:
        value: Any = getattr(body, name)
        if kind == OCTET:
            if not 0 <= value <= 0xFF:
                raise ValueError(f"{name} is no octet")
            parts.append(bytes((value,)))
        elif kind == COUNTED:
            if len(value) > LONGEST_SHORT_MESSAGE:
                raise ValueError(f"{name} has more than {LONGEST_SHORT_MESSAGE} octets")
            parts += (bytes((len(value),)), value)
        else:
            parts.append(_c_octets(name, value, kind))
    if body.HAS_TLVS:
        for tag, content in getattr(body, "tlvs"):  # noqa: B009 - bodies with TLVs have the field, not every body
            if len(content) > 0xFFFF:
                raise ValueError(f"optional parameter 0x{tag:04x} has more than 65535 octets")
            parts += (TLV_HEADER.pack(tag, len(content)), content)
    length = HEADER.size + sum(map(len, parts))
    if length > LONGEST_PDU:
        raise ValueError("the PDU is too long")
    parts[0] = HEADER.pack(length, command, status, sequence)
    return b"".join(parts)


def _c_octets(name: str, value: str, most: int) -> bytes:
    # ASCII by the specification; Latin-1 lets what a peer sent with more be sent back unharmed.
    try:
        encoded = value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds characters that no C-octet string has") from None
    if len(encoded) >= most:
        raise ValueError(f"{name} has more than {most - 1} characters")
    if b"\0" in encoded:
        raise ValueError(f"{name} holds a NUL")
    return encoded + b"\0"


def decode(frame: bytes) -> Pdu:
    """The PDU in ``frame``, which holds exactly one. Raises ``BadPdu``.

    Let pass: strings longer than their field (peers invent longer ids and passwords; the PDU's own length is the
    bound), a response cut short or without any body, as most message centres send with an error status (SMPP 3.4
    §4.4.2).
    """
    if len(frame) < HEADER.size:
        raise BadPdu("shorter than a header", Status.RINVCMDLEN)
    length, command, status, sequence = HEADER.unpack_from(frame)
    if length != len(frame):
        raise BadPdu("length differs from the header's", Status.RINVCMDLEN)
    kind = BODIES.get(command)
    if kind is None:
        return Pdu(command, status, sequence, Opaque(raw=frame[HEADER.size :]))
    if command & RESPONSE and length == HEADER.size:
        return Pdu(command, status, sequence, kind())
    try:
        return Pdu(command, status, sequence, _body(kind, frame, lenient=bool(command & RESPONSE)))
    except BadPdu:
        if command & RESPONSE and status != Status.ROK:
            return Pdu(command, status, sequence, kind())
        raise


def _body(kind: type[Body], frame: bytes, *, lenient: bool) -> Body:
    values: dict[str, Any] = {}
    place, end = HEADER.size, len(frame)
    for name, size in kind.FIELDS:
        if size > 0:
            nul = frame.find(0, place)
            if nul < 0:
                if not lenient:
                    raise BadPdu(f"{name} has no end", Status.RINVCMDLEN)
                nul = end
            values[name] = frame[place:nul].decode("latin-1")
            place = min(nul + 1, end)
            continue
        if place >= end:
            raise BadPdu(f"{name} is missing", Status.RINVCMDLEN)
        value = frame[place]
        place += 1
        if size == OCTET:
            values[name] = value
            continue
        if place + value > end:
            raise BadPdu(f"{name} is cut short", Status.RINVMSGLEN)
        values[name] = frame[place : place + value]
        place += value
    if kind.HAS_TLVS:
        if place < end:
            values["tlvs"] = _tlvs(frame, place)
    elif place < end and kind is not Nothing:
        raise BadPdu("octets after the last field", Status.RINVCMDLEN)
    return kind(**values)


def _tlvs(frame: bytes, place: int) -> tuple[Tlv, ...]:
    found: list[Tlv] = []
    end = len(frame)
    while place < end:
        if place + TLV_HEADER.size > end:
            raise BadPdu("an optional parameter is cut short", Status.RINVTLVSTREAM)
        tag, length = TLV_HEADER.unpack_from(frame, place)
        place += TLV_HEADER.size
        if place + length > end:
            raise BadPdu("an optional parameter is longer than its PDU", Status.RINVTLVSTREAM)
        found.append(Tlv(tag, frame[place : place + length]))
        place += length
    return tuple(found)


class Framer:
    """Cuts a stream of octets into PDUs."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, data: bytes) -> Iterable[bytes]:
        """Every PDU that is whole by now, in order.

        Raises ``BadPdu`` where a length cannot be true: from then on nobody knows where the next PDU begins.
        """
        kept = self._kept
        kept += data
        place = 0
        try:
            while len(kept) - place >= HEADER.size:
                length = int.from_bytes(kept[place : place + 4])
                if not HEADER.size <= length <= LONGEST_PDU:
                    raise BadPdu("impossible length", Status.RINVCMDLEN)
                if len(kept) - place < length:
                    return
                frame = bytes(kept[place : place + length])
                place += length
                yield frame
        finally:
            del kept[:place]
