"""Diameter messages on the wire (RFC 6733 §3 and §4), on python-diameter's AVPs.

Its own reader of whole messages does not say which AVP it stumbled over, and the answer must: so a message is taken
apart here, AVP by AVP.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from diameter.message import Avp, MessageHeader, constants as names  # type: ignore[import-untyped]
from diameter.message.avp import AvpDecodeError  # type: ignore[import-untyped]
from diameter.message.avp.avp import get_avp_dictionary_entry  # type: ignore[import-untyped]

#: beside what is defined here: python-diameter's own, for whoever speaks of AVPs
__all__ = ["Avp", "names"]

HEADER = 20
#: octets of a message that we read: far above any request of Gy
LONGEST = 64 * 1024
VENDOR_3GPP: int = names.VENDOR_TGPP
#: Diameter credit control (RFC 8506 §12.1), and the application id of relays (RFC 6733 §2.4)
CREDIT_CONTROL, RELAY = 4, 0xFFFFFFFF


class Command(IntEnum):
    """Commands of RFC 6733 §3.1 and RFC 8506 §3."""

    CAPABILITIES_EXCHANGE = 257
    RE_AUTH = 258
    CREDIT_CONTROL = 272
    DEVICE_WATCHDOG = 280
    DISCONNECT_PEER = 282


#: how commands are called in metrics; a request and its answer share a code
SHORT = {
    Command.CAPABILITIES_EXCHANGE: "CE",
    Command.RE_AUTH: "RA",
    Command.CREDIT_CONTROL: "CC",
    Command.DEVICE_WATCHDOG: "DW",
    Command.DISCONNECT_PEER: "DP",
}


class Result(IntEnum):
    """Result codes that we give: RFC 6733 §7.1, RFC 8506 §9."""

    SUCCESS = 2001
    COMMAND_UNSUPPORTED = 3001
    TOO_BUSY = 3004
    APPLICATION_UNSUPPORTED = 3007
    UNKNOWN_PEER = 3010
    END_USER_SERVICE_DENIED = 4010
    CREDIT_CONTROL_NOT_APPLICABLE = 4011
    CREDIT_LIMIT_REACHED = 4012
    AVP_UNSUPPORTED = 5001
    UNKNOWN_SESSION_ID = 5002
    AUTHORIZATION_REJECTED = 5003
    INVALID_AVP_VALUE = 5004
    MISSING_AVP = 5005
    NO_COMMON_APPLICATION = 5010
    UNABLE_TO_COMPLY = 5012
    INVALID_AVP_LENGTH = 5014
    USER_UNKNOWN = 5030
    RATING_FAILED = 5031

    @property
    def protocol_error(self) -> bool:
        """Whether it is told with the E bit (RFC 6733 §7.1.3)."""
        return self // 1000 == 3


class Refused(Exception):
    """A request that is answered with an error; ``failed`` is the AVP that is the matter, ``args[0]`` says what is."""

    def __init__(self, result: Result, reason: str, failed: Avp | None = None) -> None:
        super().__init__(reason)
        self.result = result
        self.failed = failed


class Message(NamedTuple):
    """A message as it came. ``raw`` is its AVPs, not taken apart yet: the header alone says how to answer."""

    header: MessageHeader
    raw: bytes

    @property
    def request(self) -> bool:
        """Whether it asks."""
        return bool(self.header.is_request)

    @property
    def code(self) -> int:
        """The command."""
        return int(self.header.command_code)

    @property
    def application(self) -> int:
        """The application."""
        return int(self.header.application_id)

    def avps(self) -> Group:
        """Its AVPs. Raises ``Refused``."""
        return split(self.raw)


class Group:
    """The AVPs of a message or of a grouped AVP, by code and vendor."""

    def __init__(self, avps: Sequence[Avp]) -> None:
        self._avps: dict[tuple[int, int], list[Avp]] = {}
        for avp in avps:
            self._avps.setdefault((avp.code, avp.vendor_id), []).append(avp)

    def all(self, code: int, vendor: int = 0) -> Sequence[Avp]:
        """Every AVP of this code."""
        return self._avps.get((code, vendor), ())

    def first(self, code: int, vendor: int = 0) -> Avp | None:
        """The first AVP of this code."""
        found = self.all(code, vendor)
        return found[0] if found else None

    def value(self, code: int, vendor: int = 0) -> Any:
        """The value of an AVP, None where it is missing. Raises ``Refused``."""
        avp = self.first(code, vendor)
        return None if avp is None else value_of(avp)

    def needed(self, code: int) -> Any:
        """The value of an AVP that must be there. Raises ``Refused``."""
        avp = self.first(code)
        if avp is None:
            # RFC 6733 §7.5: an example of what is missing, its value zeros of the least length.
            raise Refused(Result.MISSING_AVP, f"AVP {code} is missing", Avp(code, 0, bytes(4), Avp.avp_flag_mandatory))
        return value_of(avp)

    def groups(self, code: int) -> list[tuple[Avp, Group]]:
        """Every grouped AVP of this code, taken apart. Raises ``Refused``."""
        return [(avp, split(avp.payload)) for avp in self.all(code)]


def value_of(avp: Avp) -> Any:
    """What an AVP holds. Raises ``Refused``."""
    try:
        return avp.value
    except (AvpDecodeError, ValueError, struct.error) as error:
        raise Refused(Result.INVALID_AVP_VALUE, f"AVP {avp.code}: {type(error).__name__}", avp) from None


def split(data: bytes) -> Group:
    """AVPs that stand one after the other. Raises ``Refused`` as ``each`` does."""
    return Group(list(each(data)))


def each(data: bytes, *, known_only: bool = True) -> Iterator[Avp]:
    """One AVP after the other (RFC 6733 §4.1).

    Raises ``Refused``: 5014 for a length that does not fit, and if they have to be known, 5001 for one that must be
    understood and is not known.
    """
    at, end = 0, len(data)
    while at < end:
        if end - at < 8:
            raise Refused(Result.INVALID_AVP_LENGTH, f"{end - at} octets are no AVP")
        code, flags = struct.unpack_from("!II", data, at)
        length, head = flags & 0xFFFFFF, 12 if flags >> 24 & Avp.avp_flag_vendor else 8
        if length < head or at + length > end:
            failed = Avp(code, 0, b"", Avp.avp_flag_mandatory)
            raise Refused(Result.INVALID_AVP_LENGTH, f"AVP {code}: length {length} does not fit", failed)
        avp = Avp.from_bytes(data[at : at + length + -length % 4].ljust(length + -length % 4, b"\0"))
        if known_only and avp.is_mandatory and get_avp_dictionary_entry(avp.code, avp.vendor_id) is None:
            raise Refused(Result.AVP_UNSUPPORTED, f"AVP {avp.code} of vendor {avp.vendor_id} is not known", avp)
        yield avp
        at += length + -length % 4


def avp(code: int, value: Any, vendor: int = 0) -> Avp:
    """An AVP to send; a list makes a group."""
    return Avp.new(code, vendor, value=value)


def length_of(head: bytes) -> int:
    """The length of the message that begins with these four octets. Raises ``ValueError``: that is no message."""
    first = int.from_bytes(head)
    version, length = first >> 24, first & 0xFFFFFF
    if version != 1 or not HEADER <= length <= LONGEST or length % 4:
        raise ValueError(f"version {version}, length {length}")
    return length


def read_message(data: bytes) -> Message:
    """A whole message."""
    return Message(MessageHeader.from_bytes(data), data[HEADER:])


def write_message(header: MessageHeader, avps: Iterable[Avp]) -> bytes:
    """A message to send."""
    body = b"".join(one.as_bytes() for one in avps)
    header.length = HEADER + len(body)
    encoded: bytes = header.as_bytes()
    return encoded + body


def answer_header(asked: MessageHeader, *, error: bool = False) -> MessageHeader:
    """The header of the answer to a request: its command, its identifiers, its P bit (RFC 6733 §6.2)."""
    header = MessageHeader(
        command_code=asked.command_code,
        application_id=asked.application_id,
        hop_by_hop_identifier=asked.hop_by_hop_identifier,
        end_to_end_identifier=asked.end_to_end_identifier,
    )
    header.is_proxyable = asked.is_proxyable
    header.is_error = error
    return header


def request_header(command: Command, application: int, hop_by_hop: int, end_to_end: int) -> MessageHeader:
    """The header of a request of ours."""
    header = MessageHeader(
        command_code=command,
        application_id=application,
        hop_by_hop_identifier=hop_by_hop,
        end_to_end_identifier=end_to_end,
    )
    header.is_request = True
    header.is_proxyable = application != 0
    return header
