"""One message of a USSD dialogue as our words, and a screen as the message that carries it. Pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from channels.smpp.codec import LONGEST_SHORT_MESSAGE
from channels.smpp.names import Tag
from channels.smpp.parts import unpack
from channels.smpp.pdu import DataMessage, ShortMessage, Tlv, number, octets, sender
from channels.smpp.text import Alphabet, decode_text, encode_text
from channels.turn import Event, Malformed
from channels.ussd.fields import PHONE_NUMBER, dialled
from channels.ussd.smpp.dialects import Dialect, Dialled, Reference
from channels.ussd.smpp.options import UssdSmppOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a centre delivered. ``event`` is None for a confirmation, which nobody answers."""

    event: Event | None
    #: E.164 with ``+``, or as the centre sends it
    msisdn: str = field(repr=False)
    #: the inputs of a dialled string joined by ``*``, or what was typed
    text: str = field(repr=False)
    service_code: str = ""
    #: what tells this person's sessions apart, as it stands on the wire
    reference: bytes = b""
    #: what makes this message itself: the same octets again are a repeat, or the same input once more
    octets: tuple[bytes, ...] = field(default=(), repr=False)


def hear(body: ShortMessage | DataMessage, dialect: Dialect, alphabet: Alphabet, service_code: str) -> Heard:
    """Read a ``deliver_sm`` or ``data_sm``. Raises ``Malformed``, or ``Unreadable`` for what is no text.

    A message without ``ussd_service_op`` carries an answer where it looks like none that begins: some centres tag
    only what they begin.
    """
    msisdn = sender(body)
    if not PHONE_NUMBER.fullmatch(msisdn):
        raise Malformed("source_addr", "missing" if not msisdn else "not well-formed")
    segment = unpack(body)
    if segment.total > 1:
        raise Malformed("short_message", "in parts: a dialogue has none")
    text = decode_text(segment.content, body.data_coding, alphabet)
    operation = number(body.tlvs, Tag.USSD_SERVICE_OP)
    event = _event(body, dialect, operation, text)
    code = ""
    if event is Event.NEW:
        code = _dialled_string(body, dialect, text)
        _check(code, service_code)
        text = dialled(code, service_code)
    return Heard(
        event=event,
        msisdn=msisdn,
        text=text,
        service_code=code,
        reference=_reference(body, dialect),
        octets=(
            body.source_addr.encode("latin-1"),
            body.destination_addr.encode("latin-1"),
            bytes([body.data_coding]),
            segment.content,
            b"" if operation is None else bytes([operation & 0xFF]),
            octets(body.tlvs, Tag.ITS_SESSION_INFO) or b"",
            octets(body.tlvs, Tag.USER_MESSAGE_REFERENCE) or b"",
        ),
    )


def _event(body: ShortMessage | DataMessage, dialect: Dialect, operation: int | None, text: str) -> Event | None:
    info = octets(body.tlvs, Tag.ITS_SESSION_INFO)
    if operation in dialect.ends or (info and info[-1] & 1):
        return Event.CLOSE
    if operation in dialect.confirms:
        return None
    if operation in dialect.begins or (operation is None and text.startswith("*")):
        return Event.NEW
    return Event.RESUME


def _dialled_string(body: ShortMessage | DataMessage, dialect: Dialect, text: str) -> str:
    """What was dialled: from where the dialect has it, or the other place where that holds nothing dialled."""
    places = [text.strip(), body.destination_addr.strip()]
    if dialect.dialled is Dialled.DESTINATION:
        places.reverse()
    return next((one for one in places if one.startswith("*")), body.destination_addr.strip())


def _check(code: str, service_code: str) -> None:
    """The dialled code must be ours, or ours with more behind it."""
    bare = code.removeprefix("*").removesuffix("#")
    if bare != service_code and not bare.startswith(f"{service_code}*"):
        raise Malformed("short_message", "not served here")


def _reference(body: ShortMessage | DataMessage, dialect: Dialect) -> bytes:
    info = octets(body.tlvs, Tag.ITS_SESSION_INFO) or b""
    match dialect.reference:
        case Reference.NUMBER:
            return info[:1]
        case Reference.INFO:
            return info[:-1] + bytes([info[-1] & 0xFE]) if info else b""
        case Reference.MESSAGE:
            return octets(body.tlvs, Tag.USER_MESSAGE_REFERENCE) or b""
        case Reference.MSISDN:
            return b""


def answer(
    body: ShortMessage | DataMessage, text: str, operation: int, options: UssdSmppOptions, *, ends: bool
) -> ShortMessage:
    """The ``submit_sm`` that answers a message: addresses turned round, its session's marks sent back."""
    tlvs = [Tlv(Tag.USSD_SERVICE_OP, bytes([operation]))]
    reference = octets(body.tlvs, Tag.USER_MESSAGE_REFERENCE)
    if reference is not None:
        tlvs.append(Tlv(Tag.USER_MESSAGE_REFERENCE, reference))
    info = octets(body.tlvs, Tag.ITS_SESSION_INFO)
    if info:
        tlvs.append(session_info(info, ends=ends))
    return _screen(
        text,
        options,
        tlvs,
        ShortMessage(
            source_addr_ton=body.dest_addr_ton,
            source_addr_npi=body.dest_addr_npi,
            source_addr=body.destination_addr,
            dest_addr_ton=body.source_addr_ton,
            dest_addr_npi=body.source_addr_npi,
            destination_addr=body.source_addr,
        ),
    )


def opening(msisdn: str, text: str, tlvs: list[Tlv], options: UssdSmppOptions, service_code: str) -> ShortMessage:
    """The ``submit_sm`` that begins a session of ours; ``tlvs`` say by which operation, and under which number."""
    return _screen(
        text,
        options,
        tlvs,
        ShortMessage(
            source_addr=service_code,
            dest_addr_ton=options.person_ton,
            dest_addr_npi=options.person_npi,
            destination_addr=msisdn.removeprefix("+"),
        ),
    )


def session_info(info: bytes, *, ends: bool) -> Tlv:
    """``its_session_info`` with its lowest bit set where the session ends."""
    return Tlv(Tag.ITS_SESSION_INFO, info[:-1] + bytes([info[-1] & 0xFE | int(ends)]))


def _screen(text: str, options: UssdSmppOptions, tlvs: list[Tlv], addressed: ShortMessage) -> ShortMessage:
    """The text in the coding it fits in: screens are cut to fit before they come here, so this never cuts."""
    encoded = encode_text(text, options.default_alphabet, latin1=False, whole=True)
    (content,) = encoded.parts
    if len(content) > LONGEST_SHORT_MESSAGE:
        tlvs, content = [*tlvs, Tlv(Tag.MESSAGE_PAYLOAD, content)], b""
    return ShortMessage(
        service_type=options.service_type,
        source_addr_ton=addressed.source_addr_ton,
        source_addr_npi=addressed.source_addr_npi,
        source_addr=addressed.source_addr,
        dest_addr_ton=addressed.dest_addr_ton,
        dest_addr_npi=addressed.dest_addr_npi,
        destination_addr=addressed.destination_addr,
        data_coding=options.ucs2_coding if encoded.data_coding else options.plain_coding,
        short_message=content,
        tlvs=tuple(tlvs),
    )
