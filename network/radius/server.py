"""The accounting server: one UDP port, many requests under way, each answered once what it says is committed.

RFC 2866 §2: what could not be recorded is not answered, so the access server sends it again, here or elsewhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from time import monotonic
from uuid import uuid5

import structlog

from engine.api import Engine
from engine.words import (
    BadNumber,
    Code,
    LineRef,
    OpenSession,
    SessionAct,
    SessionRequest,
    UnknownLine,
)
from engine.words.sessions import session_uuid
from network.away import AWAY
from network.radius.accounting import (
    INTERFACE,
    Source,
    StatusType,
    identifiers,
    node_of,
    session_request,
    status_of,
    waited,
)
from network.radius.packet import Malformed, Packet, PacketCode, make_response, proven, read_packet
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator, RadiusClient, RadiusSettings, SettingsError

log = structlog.get_logger(__name__)

#: requests under way; what comes beyond that is dropped, and sent again by whoever wants it recorded
MOST_UNDER_WAY = 5000
#: octets of requests that may wait in the kernel; it grants what its own limit allows
RECEIVE_BUFFER = 8 * 1024 * 1024
#: sessions of a restarted access server that are looked for in one go
RESTARTED = 1000
#: seconds to finish what is under way once told to stop
DRAIN_SECONDS = 5.0
#: seconds within which the same packet is the same restart, sent again; of how many that is remembered
SAME_RESTART, RESTARTS_MOST = 60.0, 4096

#: seconds that it is remembered whose line an identifier is, and of how many: a number is given to somebody else only
#: long after it was taken back
REMEMBERED_SECONDS, REMEMBERED_MOST = 600.0, 65_536

#: what a request is counted as before its status is known
_UNREAD = "unread"

Address = tuple[str, int]


class Clients:
    """The settings' clients by address; of networks that hold an address the smallest counts."""

    def __init__(self, clients: Mapping[str, RadiusClient]) -> None:
        networks = [
            (ipaddress.ip_network(str(network)), name) for name, one in clients.items() for network in one.addresses
        ]
        networks.sort(key=lambda pair: pair[0].prefixlen, reverse=True)
        self._clients = clients
        self._networks = networks
        self.source = lru_cache(maxsize=4096)(self._source)

    def _source(self, host: str) -> Source | None:
        address = ipaddress.ip_address(host.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        address = mapped or address
        name = next((name for network, name in self._networks if address in network), None)
        return None if name is None else Source(name, self._clients[name], str(address))


def check_groups(settings: RadiusSettings, operator: Operator) -> None:
    """Every client's rating group must be one of the operator's, or its use could not be rated.

    Raises ``SettingsError``.
    """
    known = {group for category in operator.categories for group in category.rating_groups}
    problems = [
        (f"radius.clients.{name}.rating_group", f"no category of the operator has {client.rating_group}")
        for name, client in settings.clients.items()
        if operator.categories and client.rating_group not in known
    ]
    if problems:
        raise SettingsError("settings", problems)


class RadiusServer(asyncio.DatagramProtocol):
    """Accounting of the access servers in the settings."""

    def __init__(self, engine: Engine, settings: RadiusSettings, keyring: Keyring, metrics: Metrics) -> None:
        """Raises ``SettingsError`` where a client's use could not be rated."""
        check_groups(settings, engine.operator)
        self._engine = engine
        self._settings = settings
        self._keyring = keyring
        self._counter = lru_cache(maxsize=1024)(metrics.radius_packets.labels)
        self._clients = Clients(settings.clients)
        self._transport: asyncio.DatagramTransport | None = None
        self._under_way: dict[tuple[Address, bytes], asyncio.Task[None]] = {}
        self._lines: dict[str, tuple[LineRef, float]] = {}
        self._restarts: dict[bytes, datetime] = {}

    async def start(self, *, reuse_port: bool = False) -> int:
        """Listen. Returns the port; raises ``OSError`` if it is taken."""
        loop = asyncio.get_running_loop()
        address = (self._settings.host, self._settings.port)
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=address, reuse_port=reuse_port or None
        )
        opened: socket.socket = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._transport = transport
        port: int = opened.getsockname()[1]
        log.info("radius_listening", port=port, clients=sorted(self._settings.clients))
        return port

    async def close(self) -> None:
        """Answer what is under way, then let the port go."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=DRAIN_SECONDS)
        for task in self._under_way.values():
            task.cancel()
        if self._transport is not None:
            self._transport.close()

    # -- one datagram -------------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Look whether it is from somebody we know; then it is served beside the others."""
        source = self._clients.source(addr[0])
        if source is None:
            self._count("unknown", _UNREAD, "unknown_client")
            return
        try:
            packet = read_packet(data)
        except Malformed as error:
            self._refuse(source, _UNREAD, error)
            return
        if packet.code not in (PacketCode.ACCOUNTING_REQUEST, PacketCode.STATUS_SERVER):
            self._count(source.name, _UNREAD, "not_served")
        elif not proven(packet, source.client.secret_bytes):
            self._count(source.name, _UNREAD, "bad_secret")
        elif packet.code == PacketCode.STATUS_SERVER:
            self._answer(packet, source, addr)
            self._count(source.name, "status_server", "answered")
        else:
            self._begin(packet, source, addr)

    def _begin(self, packet: Packet, source: Source, addr: Address) -> None:
        once = (addr[:2], packet.authenticator)
        if once in self._under_way:
            # RFC 5080 §2.2.2: its twin will be answered.
            self._count(source.name, _UNREAD, "under_way")
            return
        if len(self._under_way) >= MOST_UNDER_WAY:
            self._count(source.name, _UNREAD, "too_many")
            return
        self._under_way[once] = asyncio.create_task(self._serve(packet, source, addr, once))

    async def _serve(self, packet: Packet, source: Source, addr: Address, once: tuple[Address, bytes]) -> None:
        kind = _UNREAD
        try:
            status = status_of(packet)
            kind = status.name.lower()
            outcome = await self._record(packet, status, source)
            if outcome == "answered":
                self._answer(packet, source, addr)
            self._count(source.name, kind, outcome)
        except Malformed as error:
            self._refuse(source, kind, error)
        except AWAY:
            self._count(source.name, kind, "unavailable")
        except Exception:
            log.exception("radius_failed", client=source.name, kind=kind)
            self._count(source.name, kind, "failed")
        finally:
            self._under_way.pop(once, None)

    def _answer(self, packet: Packet, source: Source, addr: Address) -> None:
        if self._transport is not None:
            answer = make_response(packet, PacketCode.ACCOUNTING_RESPONSE, source.client.secret_bytes)
            self._transport.sendto(answer, addr)

    def _refuse(self, source: Source, kind: str, error: Malformed) -> None:
        log.info("radius_malformed", client=source.name, kind=kind, reason=str(error))
        self._count(source.name, kind, "malformed")

    def _count(self, client: str, kind: str, outcome: str) -> None:
        self._counter(client, kind, outcome).inc()

    # -- what it says -------------------------------------------------------------------------------------------------

    async def _record(self, packet: Packet, status: StatusType, source: Source) -> str:
        """Commit what a request says. Returns ``answered``, or why it may not be answered."""
        arrived = datetime.now(UTC)
        if status in (StatusType.ACCOUNTING_ON, StatusType.ACCOUNTING_OFF):
            await self._end_all(packet, source, arrived)
            return "answered"
        line = await self._line(packet, source.client)
        if line is None:
            return "unknown_line"
        asked = session_request(packet, status, source, line, keyring=self._keyring, arrived=arrived)
        answer = await self._engine.post(asked)
        # A conflict means that it is recorded, under settings that were changed since.
        return "answered" if answer.ok or answer.code == Code.KEY_CONFLICT else answer.code

    async def _line(self, packet: Packet, client: RadiusClient) -> LineRef | None:
        for identifier in identifiers(packet, client):
            line, until = self._lines.get(identifier, (None, 0.0))
            if line is not None and monotonic() < until:
                return line
            try:
                line = await self._engine.line_of(identifier)
            except (BadNumber, UnknownLine):
                continue
            if len(self._lines) >= REMEMBERED_MOST:
                self._lines.clear()
            self._lines[identifier] = line, monotonic() + REMEMBERED_SECONDS
            return line
        return None

    async def _end_all(self, packet: Packet, source: Source, arrived: datetime) -> None:
        """An access server starts or stops: none of its sessions goes on (RFC 2866 §5.1)."""
        node = node_of(packet, source)
        # By our own clock, as the sessions' openings are: one that opens while this is under way goes on.
        before = self._came_first(packet, arrived) - waited(packet)
        while True:
            found = await self._engine.sessions.sessions_of_node(INTERFACE, node, before, RESTARTED)
            answers = await asyncio.gather(*(self._engine.post(_ending(one, arrived)) for one in found))
            refused = sum(not answer.ok for answer in answers)
            if refused:
                log.warning("radius_sessions_not_ended", client=source.name, sessions=refused)
            if len(found) < RESTARTED or refused == len(found):
                return

    def _came_first(self, packet: Packet, arrived: datetime) -> datetime:
        """When a restart was told of for the first time: what opened since is not ended if the answer was lost."""
        first = self._restarts.get(packet.authenticator)
        if first is not None and (arrived - first).total_seconds() < SAME_RESTART:
            return first
        if len(self._restarts) >= RESTARTS_MOST:
            self._restarts.clear()
        self._restarts[packet.authenticator] = arrived
        return arrived


def _ending(session: OpenSession, at: datetime) -> SessionRequest:
    """Ends a session of an access server that starts anew, once for each time that it was opened."""
    name = session.session_id
    return SessionRequest(
        account=session.line.account,
        line_id=session.line.line_id,
        key=uuid5(session_uuid(INTERFACE, name), f"restart|{session.opened_at.isoformat()}"),
        asked_at=at,
        source=f"{INTERFACE}:restart",
        act=SessionAct.RELEASE,
        interface=INTERFACE,
        session_id=name,
        sequence=0,
        cumulative=True,
    )
