"""Telling outside systems: what a notification says, how it is signed, when it is tried again, who may be called.

Pure functions, no I/O.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import msgspec

from settings import WebhookSettings

#: carries ``t=<unix seconds>,v1=<hex>``; see ``sign``
SIGNATURE_HEADER = "X-Rasid-Signature"
#: seconds that a signature is good for, before and after
TOLERANCE = 300

#: what can be subscribed to, in our words; TM Forum's event types are made of them (``event_type``)
TOPICS = (
    "settlement.completed",
    "settlement.reversed",
    "settlement.charged_back",
    "settlement.restored",
    "settlement.part_returned",
    "payment.set_aside",
    "payment.returned",
    "provisioning.changed",
    "alarm.raised",
)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class CallbackRefused(ValueError):
    """We do not call there: ``args[0]`` says why, and names the field."""


class Retries(NamedTuple):
    """When a notification is tried again, and when it is given up."""

    first: timedelta = timedelta(seconds=10)
    #: each wait is twice the one before, up to this
    longest: timedelta = timedelta(hours=1)
    #: given up (parked) this long after it was due first
    end: timedelta = timedelta(days=3)

    def again(self, attempts: int, made_at: datetime, now: datetime) -> datetime | None:
        """When the next try is due after ``attempts`` failed ones, anywhere in the upper half of the wait.

        None: it is given up.
        """
        if now >= made_at + self.end:
            return None
        doubled: int = 2 ** min(attempts - 1, 20)
        wait = min(self.first * doubled, self.longest)
        return now + wait * random.uniform(0.5, 1.0)


# -- the notification -------------------------------------------------------------------------------------------------


def event_type(topic: str) -> str:
    """A topic as TM Forum names types of events: ``settlement.charged_back`` → ``SettlementChargedBackEvent``."""
    return "".join(word.capitalize() for part in topic.split(".") for word in part.split("_")) + "Event"


def notification(
    event_id: UUID,
    created_at: datetime,
    topic: str,
    body: Mapping[str, Any],
    *,
    account_id: UUID,
    line_id: UUID | None,
    operation_key: UUID | None,
) -> bytes:
    """An event as TMF630 part 1 (REST API Design Guidelines, notifications) writes one, as JSON.

    ``event`` holds the resource under its name, the topic's first part, with the ids of account and line beside what
    the event says. The same event is the same bytes, however often it is sent.
    """
    resource = {"account": {"id": str(account_id)}, **body}
    if line_id is not None:
        resource["line"] = {"id": str(line_id)}
    said: dict[str, Any] = {
        "eventId": str(event_id),
        "eventTime": created_at.isoformat(),
        "eventType": event_type(topic),
        "domain": "rasid",
        "event": {topic.partition(".")[0]: resource},
    }
    if operation_key is not None:
        said["correlationId"] = str(operation_key)
    return msgspec.json.encode(said, order="sorted")


def sign(secret: str, body: bytes, at: int) -> str:
    """The signature header: HMAC-SHA-256 over time, a full stop and the body, under the subscriber's secret."""
    return f"t={at},v1={_digest(secret, body, at)}"


def signature_holds(secret: str, body: bytes, header: str, *, now: float | None = None) -> bool:
    """What a subscriber does with a delivery: whether it is ours, and sent within the last five minutes."""
    fields = [field.partition("=") for field in header.split(",")]
    times = [value for name, _, value in fields if name == "t"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdecimal():
        return False
    at = int(times[0])
    if abs((time.time() if now is None else now) - at) > TOLERANCE:
        return False
    expected = _digest(secret, body, at)
    return any(hmac.compare_digest(expected, value) for name, _, value in fields if name == "v1" and value.isascii())


def _digest(secret: str, body: bytes, at: int) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


# -- what is wanted ---------------------------------------------------------------------------------------------------


def topics_of(query: str, topics: Iterable[str] = ()) -> tuple[str, ...]:
    """The topics that a subscription means: those named, and those of TM Forum's filter; none: all.

    A query is ``eventType=SettlementCompletedEvent``; several are repeated or separated by commas. A topic's first part
    (``settlement``) means all that begin so. Raises ``ValueError`` that names what is not known.
    """
    wanted = list(topics)
    for topic in wanted:
        if topic not in TOPICS and not any(known.startswith(f"{topic}.") for known in TOPICS):
            raise ValueError(f"topics: {topic!r} is none of {', '.join(TOPICS)}")
    types = {event_type(topic): topic for topic in TOPICS}
    for name, value in parse_qsl(query.lstrip("?"), keep_blank_values=True):
        if name != "eventType":
            raise ValueError(f"query: {name!r} cannot be asked for, only eventType")
        for one in value.split(","):
            if one not in types:
                raise ValueError(f"query: eventType {one!r} is none of {', '.join(types)}")
            wanted.append(types[one])
    if query.strip("? ") and not parse_qsl(query.lstrip("?"), keep_blank_values=True):
        raise ValueError("query: eventType=… is meant")
    return tuple(dict.fromkeys(wanted))


# -- who may be called ------------------------------------------------------------------------------------------------


def check_callback(callback: str, allowed: WebhookSettings) -> None:
    """Refuse an address that we must not call. What its name resolves to is looked at again at every call.

    Raises ``CallbackRefused``.
    """
    try:
        parts = urlsplit(callback)
        port = parts.port
        # What the resolver makes of a name: a label that is too long is nobody's.
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise CallbackRefused("callback: this is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or len(callback) > 2000:
        raise CallbackRefused("callback: an https URL is meant")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise CallbackRefused("callback: no user, password or fragment may stand in it")
    if any(ord(character) <= 32 for character in callback) or port == 0:
        raise CallbackRefused("callback: this is no URL")
    if parts.scheme == "http" and not _named(parts.hostname, allowed):
        raise CallbackRefused("callback: only https, unless webhooks.allow names the host")
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return
    check_address(parts.hostname, address, allowed)


def check_address(host: str, address: IPAddress, allowed: WebhookSettings) -> None:
    """Refuse what is not the open internet, unless the settings allow the host or the network.

    Raises ``CallbackRefused``.
    """
    if _named(host, allowed) or any(address in network for network in _networks(allowed)):
        return
    if not all(one.is_global and not one.is_multicast for one in _meant(address)):
        raise CallbackRefused("callback: it leads into a private network")


def _meant(address: IPAddress) -> Sequence[IPAddress]:
    """An address, and those that it carries inside it: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    inside: list[IPAddress] = [address]
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        inside.append(address.sixtofour)
    if address.teredo is not None:
        inside += address.teredo
    if address in ipaddress.IPv6Network("64:ff9b::/96"):
        inside.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return inside


def _named(host: str, allowed: WebhookSettings) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().rstrip(".") in {str(one).lower() for one in allowed.allow}
    return any(address in network for network in _networks(allowed))


def _networks(allowed: WebhookSettings) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for one in allowed.allow:
        try:
            found.append(ipaddress.ip_network(one))
        except ValueError:
            continue
    return found
