"""Change of authorisation: telling access servers that a session is served otherwise, or not any more (RFC 5176)."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import parse_qs

import structlog

from engine.words import OpenSession
from network.radius.packet import Attribute, Malformed, Packet, PacketCode, make_request, read_packet, response_proven
from runtime.breaker import Breaker
from settings import RadiusClient, RadiusSettings

log = structlog.get_logger(__name__)

#: seconds after which a request without an answer is sent again, and at last given up for this time
SENT_AGAIN = (1.0, 2.0, 3.0)
#: Error-Cause "Session Context Not Found" (RFC 5176 §3.5): there is nobody to tell any more
NO_SESSION = 503

#: what a client charges → the counter that decides whether it is served
_COUNTERS = {"octets": "data", "seconds": "voice"}
_TAKEN = {PacketCode.COA_ACK, PacketCode.DISCONNECT_ACK}
_REFUSED = {PacketCode.COA_NAK, PacketCode.DISCONNECT_NAK}

Address = tuple[str, int]


class _Asked(NamedTuple):
    """A request that waits for its answer."""

    authenticator: bytes
    secret: bytes
    answer: asyncio.Future[Packet]


class ChangeClient(asyncio.DatagramProtocol):
    """Sends CoA and Disconnect requests, and takes their answers."""

    def __init__(self, settings: RadiusSettings) -> None:
        self._clients = settings.clients
        self._transports: dict[int, asyncio.DatagramTransport] = {}
        self._asked: dict[tuple[str, int, int], _Asked] = {}
        self._next = 0
        self._breakers: defaultdict[str, Breaker] = defaultdict(Breaker)

    async def close(self) -> None:
        """Let the sockets go."""
        for transport in self._transports.values():
            transport.close()
        self._transports = {}

    async def tell(self, session: OpenSession, statuses: Mapping[str, str]) -> str | None:
        """Tell a session's access server that its counter changed. What is wrong, if anything."""
        where = {name: values[0] for name, values in parse_qs(session.notify).items()}
        client = self._clients.get(where.get("client", ""))
        named = None if client is None else filter_of(client, statuses)
        if client is None or named is None or not client.coa_port:
            return None
        # One that is away is left alone for some seconds: thousands of its sessions may have something to hear.
        breaker = self._breakers[where["host"]]
        if not breaker.allows():
            return "nobody is there"
        answer = await self._ask(client, where, named)
        if answer is None:
            breaker.failed()
            return "no answer"
        breaker.succeeded()
        if answer.code in _TAKEN:
            return None
        cause = answer.integer(Attribute.ERROR_CAUSE) if answer.code in _REFUSED else None
        return None if cause == NO_SESSION else f"refused: Error-Cause {cause}"

    async def _ask(self, client: RadiusClient, where: Mapping[str, str], named: str) -> Packet | None:
        host = ipaddress.ip_address(where["host"])
        transport = await self._transport(host.version)
        identifier = self._free(str(host), client.coa_port)
        if identifier is None:
            return None
        code, attributes = _said(where, named)
        request = make_request(code, identifier, client.secret_bytes, attributes)
        answer: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        place = (str(host), client.coa_port, identifier)
        self._asked[place] = _Asked(request[4:20], client.secret_bytes, answer)
        try:
            for patience in SENT_AGAIN:
                transport.sendto(request, place[:2])
                await asyncio.wait((answer,), timeout=patience)
                if answer.done():
                    return answer.result()
        finally:
            del self._asked[place]
        return None

    def _free(self, host: str, port: int) -> int | None:
        """An identifier that no request to this access server has now; None if all 256 are under way."""
        for _ in range(256):
            self._next = (self._next + 1) % 256
            if (host, port, self._next) not in self._asked:
                return self._next
        return None

    async def _transport(self, version: int) -> asyncio.DatagramTransport:
        if version not in self._transports:
            local = ("0.0.0.0" if version == 4 else "::", 0)  # noqa: S104 - any port of ours, to send from
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=local)
            if version in self._transports:  # another task was faster
                transport.close()
            else:
                self._transports[version] = transport
        return self._transports[version]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """An answer: for whoever asked there under this identifier, if it comes from somebody who knows the secret.

        Anything else is passed over (RFC 2865 §3): the access server's own answer may come behind it.
        """
        asked = self._asked.get((addr[0], addr[1], data[1])) if len(data) > 1 else None
        if asked is None or asked.answer.done():
            return
        try:
            packet = read_packet(data)
        except Malformed:
            return
        if response_proven(packet, asked.authenticator, asked.secret):
            asked.answer.set_result(packet)


def filter_of(client: RadiusClient, statuses: Mapping[str, str]) -> str | None:
    """The Filter-Id that a change comes to, empty for the session's end; None where it does not concern this client.

    ``statuses`` holds the speed of data that is served whenever the operator has fair use, so who is served again is
    served at their speed.
    """
    counter = _COUNTERS[client.unit]
    status, speed = statuses.get(counter), statuses.get("speed") if counter == "data" else None
    if "line" in statuses or status not in (None, "active"):
        return client.filter_exhausted
    if speed is None:
        # Data that is served without a speed is another line's of its account: this one's own change will say how fast.
        return None if status is None or (counter == "data" and client.filter_speeds) else client.filter_active
    return client.filter_speeds.get(speed, client.filter_active)


def _said(where: Mapping[str, str], named: str) -> tuple[PacketCode, list[tuple[Attribute, bytes]]]:
    """What is asked: a filter where the settings name one, else the end of the session."""
    attributes = list(_session(where))
    if not named:
        return PacketCode.DISCONNECT_REQUEST, attributes
    return PacketCode.COA_REQUEST, [*attributes, (Attribute.FILTER_ID, named.encode())]


def _session(where: Mapping[str, str]) -> Iterator[tuple[Attribute, bytes]]:
    """RFC 5176 §3: the access server, then the session; and when it was sent, against replays (§6.3)."""
    names = {"nas": Attribute.NAS_IDENTIFIER, "address": Attribute.NAS_IP_ADDRESS, "session": Attribute.ACCT_SESSION_ID}
    for name, attribute in names.items():
        if name in where:
            yield attribute, bytes.fromhex(where[name])
    yield Attribute.EVENT_TIMESTAMP, int(time.time()).to_bytes(4)
