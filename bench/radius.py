"""RADIUS accounting, interim updates of open sessions, beside pyrad's own server that does nothing but answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import secrets
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import psycopg

from bench.figures import Chapter, Ratio, Sample, Series, over, sample
from bench.house import House
from bench.machine import cpu_seconds, resident_mb
from bench.nchf import give_data
from bench.serving import bare, settle
from bench.turns import WARM_UP_SECONDS
from network.radius.packet import Attribute, PacketCode
from runtime.embedded import process
from settings import Operator

#: of what a bare pyrad server answers on the same machine in the same run
TARGET = 0.45
#: sockets, and requests on their way from each: 256 identifiers are all that a socket has (RFC 2865 §3)
SOCKETS, WINDOW = 2, 64
#: octets that each interim update reports on top of the last
USED = 1_000
#: seconds after which a request without an answer is sent again, as access servers do, and those that it may take
AGAIN, PATIENCE = 1.0, 10.0
OURS, BARE = "interim", "interim, bare pyrad"

_INTERIM = 3


class Session:
    """One session of an access server: its packets differ in totals and time only."""

    def __init__(self, number: int, msisdn: str) -> None:
        self._head = b"".join(
            bytes((kind, len(value) + 2)) + value
            for kind, value in (
                (Attribute.ACCT_STATUS_TYPE, _INTERIM.to_bytes(4)),
                (Attribute.NAS_IDENTIFIER, b"bench-bng"),
                (Attribute.CALLING_STATION_ID, msisdn.removeprefix("+").encode()),
                (Attribute.ACCT_SESSION_ID, b"%08x" % number),
            )
        )
        self._updates = 0
        #: the total of its last packet that was answered
        self.acknowledged = 0

    def packet(self, identifier: int, secret: bytes) -> tuple[bytes, int]:
        """The next interim update, and the total that it says."""
        self._updates += 1
        total = self._updates * USED
        attributes = self._head + struct.pack(
            "!BBIBBI", Attribute.ACCT_OUTPUT_OCTETS, 6, total, Attribute.ACCT_SESSION_TIME, 6, self._updates
        )
        head = struct.pack("!BBH", PacketCode.ACCOUNTING_REQUEST, identifier, 20 + len(attributes))
        proof = hashlib.md5(head + bytes(16) + attributes + secret, usedforsecurity=False).digest()
        return head + proof + attributes, total


class Nas(asyncio.DatagramProtocol):
    """A socket whose window is always full."""

    def __init__(self, sessions: Sequence[Session], secret: bytes, until: float) -> None:
        self._sessions = list(sessions)
        self._secret = secret
        self._until = until
        self._asked: dict[int, tuple[Session, int, float, bytes]] = {}
        self.latencies: list[float] = []
        self.sent_again = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Fill the window."""
        # uvloop's transports are none of asyncio's by class.
        self._transport = cast(asyncio.DatagramTransport, transport)
        for identifier in range(WINDOW):
            self._send(identifier)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002 - given by asyncio
        """One answer, one more request."""
        known = self._asked.get(data[1])
        if known is None or not _answers(data, known[3], self._secret):
            return  # to a request that was sent again, and answered before
        session, total, asked, _ = self._asked.pop(data[1])
        session.acknowledged = max(session.acknowledged, total)
        now = time.monotonic()
        self.latencies.append(now - asked)
        if now < self._until:
            self._send(data[1])
        elif not self._asked and not self.done.done():
            self.done.set_result(None)

    def _send(self, identifier: int) -> None:
        session = random.choice(self._sessions)
        data, total = session.packet(identifier, self._secret)
        self._asked[identifier] = (session, total, time.monotonic(), data)
        self._transport.sendto(data)

    async def insist(self) -> None:
        """Send again what is not answered, until all is."""
        while not self.done.done():
            await asyncio.sleep(AGAIN / 4)
            for _, _, asked, data in list(self._asked.values()):
                if time.monotonic() - asked > AGAIN:
                    self.sent_again += 1
                    self._transport.sendto(data)


def _answers(data: bytes, request: bytes, secret: bytes) -> bool:
    """Whether an answer is to this very request: an identifier may be used again meanwhile (RFC 2866 §3)."""
    proof = hashlib.md5(data[:4] + request[4:20] + data[20:] + secret, usedforsecurity=False).digest()
    return proof == data[4:20]


async def drive(port: int, sessions: Sequence[Session], secret: bytes, seconds: float, pid: int) -> Sample:
    """Interim updates of sessions anywhere, for so long. Raises ``TimeoutError`` where one is lost."""
    started = time.monotonic()
    cpu, own = cpu_seconds(pid), time.process_time()
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_datagram_endpoint(
            lambda share=sessions[number::SOCKETS]: Nas(share, secret, started + seconds),  # type: ignore[misc]
            remote_addr=("127.0.0.1", port),
        )
        for number in range(SOCKETS)
    ]
    try:
        async with asyncio.timeout(seconds + PATIENCE):
            await asyncio.gather(*(nas.insist() for _, nas in opened))
    finally:
        for transport, _ in opened:
            transport.close()
    latencies = [latency for _, nas in opened for latency in nas.latencies]
    spent = {"server": cpu_seconds(pid) - cpu, "client": time.process_time() - own}
    return sample(time.monotonic() - started, latencies, spent)


async def measure(
    house: House,
    operator: Operator,
    operator_file: Path,
    *,
    runs: int,
    seconds: float,
    lines: int,
    tell: Callable[[str], None],
) -> Chapter:
    """Interim updates per second of one process with ``lines`` sessions, and of a bare pyrad server, run by run.

    Raises ``RuntimeError`` where what was acknowledged is not what was charged.
    """
    tell(f"{lines:,} sessions")
    town = await settle(house, operator, "radius", lines)
    await give_data(town, operator)
    secret = secrets.token_urlsafe(24)
    sessions = [Session(number, person.msisdn) for number, person in enumerate(town.people)]
    idle = [Session(number, person.msisdn) for number, person in enumerate(town.people)]
    port, bare_port = _free_port(), _free_port()
    group = next((one.rating_groups[0] for one in operator.categories if one.rating_groups), 0)
    client = {"addresses": ["127.0.0.1"], "secret": secret, "rating_group": group}
    listening = json.dumps({"host": "127.0.0.1", "port": port, "clients": {"bench": client}})
    ours = Series(subject=OURS, load=SOCKETS * WINDOW, samples=[])
    theirs = Series(subject=BARE, load=SOCKETS * WINDOW, samples=[])
    async with (
        town.server(operator_file, RASID_RADIUS=listening) as served,
        _bare(house, bare_port, secret) as bare_pid,
    ):
        await house.settle(town.url)
        await drive(port, sessions, secret.encode(), min(WARM_UP_SECONDS, seconds), served.process.pid)
        for run in range(runs):
            tell(f"run {run + 1} of {runs}: interim updates, then pyrad's")
            ours.samples.append(await drive(port, sessions, secret.encode(), seconds, served.process.pid))
            theirs.samples.append(await drive(bare_port, idle, secret.encode(), seconds, bare_pid))
        memory = {"server after load": resident_mb(served.process.pid)}
    await _check(town.url, sessions)
    ratio = Ratio(name="RADIUS accounting / bare pyrad server", values=over(ours, theirs), target=TARGET)
    facts = {"sessions": lines, "lost": 0}
    return Chapter(series=[ours, theirs], ratios=[ratio], memory_mb=memory, facts=facts)


async def _check(url: str, sessions: Sequence[Session]) -> None:
    """What was answered is charged, and nothing else."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute("SELECT coalesce(sum(used + overrun), 0) FROM reservation")).fetchone()
    charged, acknowledged = 0 if row is None else int(row[0]), sum(one.acknowledged for one in sessions)
    if charged != acknowledged:
        raise RuntimeError(f"{acknowledged} octets were acknowledged, {charged} were charged")


@asynccontextmanager
async def _bare(house: House, port: int, secret: str) -> AsyncIterator[int]:
    """Pyrad's server in a process of its own, once it answers."""
    with (house.folder / "pyrad.log").open("ab") as output:
        argv = [sys.executable, "-m", "bench.bare_radius", str(port), secret]
        child = process.spawn(argv, output=output, env=bare())
    try:
        await asyncio.to_thread(_wait, port, secret.encode())
        yield child.pid
    finally:
        await process.stop(child)


def _wait(port: int, secret: bytes) -> None:
    data, _ = Session(0, "+254700000000").packet(0, secret)
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", port))
        probe.settimeout(0.2)
        deadline = time.monotonic() + 30
        while True:
            try:
                probe.send(data)
                probe.recv(4096)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


def _free_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
