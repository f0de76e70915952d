"""The PDUs of SMPP: which fields each has, in the specification's names, and optional parameters (TLVs).

Source: SMPP 3.4 (issue 1.2) §4 and §5.2; SMPP 5.0 §4. A command without a class here keeps its body as it came.
Nothing in a repr: bodies hold numbers, PINs and passwords.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final, NamedTuple

import msgspec

from channels.smpp.names import Command, Tag, command_name, status_name

#: kinds of fixed fields that are not C-octet strings: one octet, an octet string with its length before it
OCTET, COUNTED = 0, -1
#: type of number: international (SMPP 3.4 §5.2.5)
INTERNATIONAL: Final = 1


class Tlv(NamedTuple):
    """An optional parameter: its tag and its value as it stands on the wire."""

    tag: int
    value: bytes


def octets(tlvs: Iterable[Tlv], tag: int) -> bytes | None:
    """The value of the first parameter with that tag, or None."""
    return next((tlv.value for tlv in tlvs if tlv.tag == tag), None)


def number(tlvs: Iterable[Tlv], tag: int) -> int | None:
    """The same as an unsigned integer; None also for a parameter without a value."""
    value = octets(tlvs, tag)
    return int.from_bytes(value) if value else None


def words(tlvs: Iterable[Tlv], tag: int) -> str | None:
    """The same as a C-octet string, whether or not its sender ended it with a NUL."""
    value = octets(tlvs, tag)
    return None if value is None else value.split(b"\0", 1)[0].decode("latin-1")


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a PDU after its header."""

    #: name of each fixed field with its kind, or the longest C-octet string with its NUL
    FIELDS: ClassVar[tuple[tuple[str, int], ...]] = ()
    HAS_TLVS: ClassVar[bool] = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Nothing(Body, frozen=True, kw_only=True):
    """``enquire_link``, ``unbind``, their responses, ``generic_nack``."""


class Opaque(Body, frozen=True, kw_only=True):
    """The body of a command that has no class here."""

    raw: bytes = b""


class Bind(Body, frozen=True, kw_only=True):
    """``bind_receiver``, ``bind_transmitter``, ``bind_transceiver`` (SMPP 3.4 §4.1)."""

    FIELDS = (
        ("system_id", 16),
        ("password", 9),
        ("system_type", 13),
        ("interface_version", OCTET),
        ("addr_ton", OCTET),
        ("addr_npi", OCTET),
        ("address_range", 41),
    )
    system_id: str = ""
    password: str = ""
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""


class BindResponse(Body, frozen=True, kw_only=True):
    """The answer to a bind: who the message centre is."""

    FIELDS = (("system_id", 16),)
    HAS_TLVS = True
    system_id: str = ""
    tlvs: tuple[Tlv, ...] = ()


class Outbind(Body, frozen=True, kw_only=True):
    """The message centre's wish that we bind (SMPP 3.4 §4.1.7)."""

    FIELDS = (("system_id", 16), ("password", 9))
    system_id: str = ""
    password: str = ""


class ShortMessage(Body, frozen=True, kw_only=True):
    """``submit_sm`` and ``deliver_sm``, which have the same fields (SMPP 3.4 §4.4.1, §4.6.1)."""

    FIELDS = (
        ("service_type", 6),
        ("source_addr_ton", OCTET),
        ("source_addr_npi", OCTET),
        ("source_addr", 21),
        ("dest_addr_ton", OCTET),
        ("dest_addr_npi", OCTET),
        ("destination_addr", 21),
        ("esm_class", OCTET),
        ("protocol_id", OCTET),
        ("priority_flag", OCTET),
        ("schedule_delivery_time", 17),
        ("validity_period", 17),
        ("registered_delivery", OCTET),
        ("replace_if_present_flag", OCTET),
        ("data_coding", OCTET),
        ("sm_default_msg_id", OCTET),
        ("short_message", COUNTED),
    )
    HAS_TLVS = True
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""
    tlvs: tuple[Tlv, ...] = ()


class DataMessage(Body, frozen=True, kw_only=True):
    """``data_sm``: the text is always in ``message_payload`` (SMPP 3.4 §4.7.1)."""

    FIELDS = (
        ("service_type", 6),
        ("source_addr_ton", OCTET),
        ("source_addr_npi", OCTET),
        ("source_addr", 65),
        ("dest_addr_ton", OCTET),
        ("dest_addr_npi", OCTET),
        ("destination_addr", 65),
        ("esm_class", OCTET),
        ("registered_delivery", OCTET),
        ("data_coding", OCTET),
    )
    HAS_TLVS = True
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0
    tlvs: tuple[Tlv, ...] = ()


def content(body: ShortMessage | DataMessage) -> bytes:
    """What a message carries: ``message_payload``, or where there is none ``short_message`` (SMPP 3.4 §5.3.2.32)."""
    payload = octets(body.tlvs, Tag.MESSAGE_PAYLOAD)
    if payload is not None:
        return payload
    return body.short_message if isinstance(body, ShortMessage) else b""


def sender(body: ShortMessage | DataMessage) -> str:
    """The number that a message comes from: E.164 with ``+`` where it is typed so, otherwise as it came."""
    international = body.source_addr_ton == INTERNATIONAL and not body.source_addr.startswith("+")
    return f"+{body.source_addr}" if international else body.source_addr


class MessageResponse(Body, frozen=True, kw_only=True):
    """The answer to ``submit_sm``, ``deliver_sm`` (whose id is empty) and ``data_sm``."""

    FIELDS = (("message_id", 65),)
    HAS_TLVS = True
    message_id: str = ""
    tlvs: tuple[Tlv, ...] = ()


class AlertNotification(Body, frozen=True, kw_only=True):
    """A handset can be reached again (SMPP 3.4 §4.12)."""

    FIELDS = (
        ("source_addr_ton", OCTET),
        ("source_addr_npi", OCTET),
        ("source_addr", 65),
        ("esme_addr_ton", OCTET),
        ("esme_addr_npi", OCTET),
        ("esme_addr", 65),
    )
    HAS_TLVS = True
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0
    esme_addr: str = ""
    tlvs: tuple[Tlv, ...] = ()


BODIES: Final[dict[int, type[Body]]] = {
    Command.GENERIC_NACK: Nothing,
    Command.BIND_RECEIVER: Bind,
    Command.BIND_TRANSMITTER: Bind,
    Command.BIND_TRANSCEIVER: Bind,
    Command.BIND_RECEIVER_RESP: BindResponse,
    Command.BIND_TRANSMITTER_RESP: BindResponse,
    Command.BIND_TRANSCEIVER_RESP: BindResponse,
    Command.OUTBIND: Outbind,
    Command.SUBMIT_SM: ShortMessage,
    Command.DELIVER_SM: ShortMessage,
    Command.DATA_SM: DataMessage,
    Command.SUBMIT_SM_RESP: MessageResponse,
    Command.DELIVER_SM_RESP: MessageResponse,
    Command.DATA_SM_RESP: MessageResponse,
    Command.UNBIND: Nothing,
    Command.UNBIND_RESP: Nothing,
    Command.ENQUIRE_LINK: Nothing,
    Command.ENQUIRE_LINK_RESP: Nothing,
    Command.ALERT_NOTIFICATION: AlertNotification,
}


class Pdu(NamedTuple):
    """One protocol data unit. ``command`` and ``status`` may have values that nobody named."""

    command: int
    status: int
    sequence: int
    body: Body

    def __repr__(self) -> str:
        return f"Pdu({command_name(self.command)}, {status_name(self.status)}, {self.sequence})"
