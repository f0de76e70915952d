"""What an Accounting-Request says, and the operation that it asks for (RFC 2866, RFC 2869). Pure, no I/O."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple
from uuid import uuid5

from engine.words import GroupReport, LineRef, SessionAct, SessionRequest, Unit, Used
from engine.words.sessions import session_uuid
from network.radius.packet import IMSI_3GPP, VENDOR_3GPP, Attribute, Malformed, Packet
from runtime.keyring import Keyring
from settings import RadiusClient

#: who speaks, in the engine's books
INTERFACE = "radius"

#: a clock that is further off than this is not believed
BELIEVED = timedelta(days=1)
#: nothing waits longer at an access server
WAITED_MOST = timedelta(days=30)

#: octets: more than any session has; sums of many such totals are still what the books hold
LARGEST_TOTAL = 2**53

#: how the settings name the attributes that say whose session it is
_NAMED = {
    "User-Name": Attribute.USER_NAME,
    "Calling-Station-Id": Attribute.CALLING_STATION_ID,
    "Chargeable-User-Identity": Attribute.CHARGEABLE_USER_IDENTITY,
}

#: sessions whose names are remembered: an access server reports one again and again
NAMES = 65_536


class StatusType(IntEnum):
    """Acct-Status-Type (RFC 2866 §5.1, RFC 2869 §2.1)."""

    START = 1
    STOP = 2
    INTERIM_UPDATE = 3
    ACCOUNTING_ON = 7
    ACCOUNTING_OFF = 8


_STATUSES = {int(status): status for status in StatusType}
_ACTS = {
    StatusType.START: SessionAct.CREATE,
    StatusType.INTERIM_UPDATE: SessionAct.UPDATE,
    StatusType.STOP: SessionAct.RELEASE,
}


class Source(NamedTuple):
    """Who sent a packet: one of the settings' clients, and from where."""

    name: str
    client: RadiusClient
    host: str


def status_of(packet: Packet) -> StatusType:
    """What the packet tells. Raises ``Malformed``."""
    said = packet.integer(Attribute.ACCT_STATUS_TYPE)
    if said is None:
        raise Malformed("ACCT_STATUS_TYPE: missing")
    status = _STATUSES.get(said)
    if status is None:
        raise Malformed(f"ACCT_STATUS_TYPE: {said} is not known")
    return status


def waited(packet: Packet) -> timedelta:
    """How long it lay at the access server (RFC 2866 §5.2); nothing where nobody can have counted so long."""
    said = timedelta(seconds=packet.integer(Attribute.ACCT_DELAY_TIME) or 0)
    return said if said < WAITED_MOST else timedelta()


def happened_at(packet: Packet, arrived: datetime) -> datetime:
    """When what it tells happened: its own time if that can be true, else its arrival less the time it waited."""
    sent = arrived - waited(packet)
    stamp = packet.integer(Attribute.EVENT_TIMESTAMP)
    if stamp is not None:
        stamped = datetime.fromtimestamp(stamp, UTC)
        if abs(stamped - sent) < BELIEVED:
            return min(stamped, arrived)
    return sent


def node_of(packet: Packet, source: Source) -> str:
    """The access server, under the client's name: a proxy has many. Raises ``Malformed``."""
    identifier = packet.first(Attribute.NAS_IDENTIFIER)
    if identifier is not None:
        return f"{source.name}/{_text(Attribute.NAS_IDENTIFIER, identifier)}"
    for attribute in (Attribute.NAS_IP_ADDRESS, Attribute.NAS_IPV6_ADDRESS):
        address = packet.first(attribute)
        if address is not None:
            return f"{source.name}/{_address(attribute, address)}"
    return f"{source.name}/{source.host}"


def _address(attribute: Attribute, value: bytes) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise Malformed(f"{attribute.name}: {len(value)} octets are no address") from None


def identifiers(packet: Packet, client: RadiusClient) -> Iterator[str]:
    """What may say whose session it is, as ``engine.line_of`` takes it, in the order of the settings."""
    for name, kind in client.line_from.items():
        value = packet.vendor(VENDOR_3GPP, IMSI_3GPP) if name == "3GPP-IMSI" else packet.first(_NAMED[name])
        if value:
            # A user name may carry a realm (RFC 7542 §2.2); a null ends what some access servers send.
            yield f"{kind}-{value.decode('utf-8', 'replace').rstrip(chr(0)).partition('@')[0]}"


def session_request(
    packet: Packet, status: StatusType, source: Source, line: LineRef, *, keyring: Keyring, arrived: datetime
) -> SessionRequest:
    """What a Start, Interim-Update or Stop asks of the engine. Raises ``Malformed``.

    Counters are totals since the session began. The idempotency key derives from the request authenticator, which is a
    digest of the packet: the same packet is the same request, and one that is sent again with another Acct-Delay-Time
    says the same totals, so it adds nothing.
    """
    client, node = source.client, node_of(packet, source)
    name = _session_name(packet, node, keyring)
    used = None if status is StatusType.START else _used(packet, client)
    return SessionRequest(
        account=line.account,
        line_id=line.line_id,
        key=uuid5(session_uuid(INTERFACE, name), packet.authenticator.hex()),
        asked_at=happened_at(packet, arrived),
        source=f"{INTERFACE}:{source.name}",
        act=_ACTS[status],
        interface=INTERFACE,
        session_id=name,
        sequence=packet.integer(Attribute.ACCT_SESSION_TIME) or 0,
        reports=() if used is None else (_report(client, used),),
        cumulative=True,
        node=node,
        notify=_notify(packet, source),
        called=_session_id(packet).decode("utf-8", "replace"),
    )


def _report(client: RadiusClient, used: Used) -> GroupReport:
    return GroupReport(rating_group=client.rating_group, unit=Unit(client.unit), used=used)


def _used(packet: Packet, client: RadiusClient) -> Used:
    """Totals of the session. Input is what the port received, so what the person sent (RFC 2866 §5.3)."""
    up = _octets(packet, Attribute.ACCT_INPUT_OCTETS, Attribute.ACCT_INPUT_GIGAWORDS)
    down = _octets(packet, Attribute.ACCT_OUTPUT_OCTETS, Attribute.ACCT_OUTPUT_GIGAWORDS)
    if client.swapped:
        up, down = down, up
    return Used(octets_up=up, octets_down=down, seconds=packet.integer(Attribute.ACCT_SESSION_TIME) or 0)


def _octets(packet: Packet, low: Attribute, high: Attribute) -> int:
    """RFC 2869 §5.1: how often the 32 bits of the counter went round, and where it stands."""
    octets = (packet.integer(high) or 0) << 32 | (packet.integer(low) or 0)
    if octets > LARGEST_TOTAL:
        raise Malformed(f"{high.name}: a total of {octets} octets is nobody's")
    return octets


def _session_name(packet: Packet, node: str, keyring: Keyring) -> str:
    """What the books call a session: ids alone are used again (these are FreeRADIUS's key for acctuniqueid)."""
    session_id = _session_id(packet)
    user, port = packet.first(Attribute.USER_NAME) or b"", packet.first(Attribute.NAS_PORT) or b""
    return _named(keyring, node, user, session_id, port, packet.first(Attribute.CLASS) or b"")


def _session_id(packet: Packet) -> bytes:
    session_id = packet.first(Attribute.ACCT_SESSION_ID)
    if not session_id:
        raise Malformed("ACCT_SESSION_ID: missing")
    return session_id


@lru_cache(maxsize=NAMES)
def _named(keyring: Keyring, node: str, *parts: bytes) -> str:
    """A digest of all that names a session: a user name may be a number, and no number is stored in the clear.

    Made with the oldest master key, so that a session keeps its name when a key is added.
    """
    told = b"".join([len(part).to_bytes(2) + part for part in (node.encode(), *parts)])
    return keyring.digest("radius-session", told, min(keyring.ids))[:16].hex()


def _notify(packet: Packet, source: Source) -> str:
    """Where the session's access server hears of changes, and how it knows the session (RFC 5176 §3)."""
    if not source.client.coa_port:
        return ""
    told = {"client": source.name, "host": source.host}
    for name, attribute in (("session", Attribute.ACCT_SESSION_ID), ("nas", Attribute.NAS_IDENTIFIER)):
        value = packet.first(attribute)
        if value is not None:
            told[name] = value.hex()
    address = packet.first(Attribute.NAS_IP_ADDRESS)
    if address is not None:
        told["address"] = address.hex()
    # Nothing in these values has to be quoted: names, addresses, hexadecimal digits.
    return "&".join([f"{name}={value}" for name, value in told.items()])


def _text(attribute: Attribute, value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    if not text.isprintable():
        raise Malformed(f"{attribute.name}: not printable")
    return text
