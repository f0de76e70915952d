"""The network as a subscriber of events: it hears what it may serve a line, and notes when it heard it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg

from bench.delivering import carriers_of
from bench.house import House
from bench.machine import ROOT
from bench.serving import bare, serving
from engine.api import open_engine
from runtime.embedded import process
from runtime.keyring import Keyring
from settings import Operator, WebhookSettings

#: seconds that the last push may take after the last callback
TOLD_WITHIN = 60.0
TOPIC = "provisioning.changed"
HERE = ("127.0.0.0/8",)

_ACCOUNT = re.compile(rb'"account": ?\{"id": ?"([0-9a-f-]{36})"')
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


class NotTold(Exception):
    """The network was not told of lines that have paid: ``args`` say how many of how many."""


class Network:
    """A server that takes pushes: of each account the moment of its last one, by ``perf_counter``."""

    def __init__(self) -> None:
        self._heard: dict[UUID, float] = {}

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection's pushes, each taken at once."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                account = _ACCOUNT.search(body)
                if account is not None:
                    self._heard[UUID(account[1].decode())] = time.perf_counter()
                writer.write(_TAKEN)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def until_told(self, accounts: Sequence[UUID]) -> list[float]:
        """When it heard of each account, once it has heard of all. Raises ``NotTold``."""
        deadline = time.monotonic() + TOLD_WITHIN
        while missing := sum(account not in self._heard for account in accounts):
            if time.monotonic() > deadline:
                raise NotTold(f"{missing} of {len(accounts)} lines that have paid")
            await asyncio.sleep(0.05)
        return [self._heard[account] for account in accounts]


@asynccontextmanager
async def open_network(
    house: House, url: str, keyring: Keyring, operator: Operator, env: dict[str, str]
) -> AsyncIterator[Network]:
    """The network, subscribed to what changes for lines, and one ``bot.py`` that tells it, and people by a carrier."""
    await _forget(url)
    network, port, carrier_port = Network(), process.free_port(), process.free_port()
    server = await asyncio.start_server(network.take, "127.0.0.1", 0)
    engine = await open_engine(url, operator, keyring, webhooks=WebhookSettings(allow=HERE))
    try:
        callback = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await engine.events.subscribe(callback, topics=(TOPIC,), secret="the secret of the benchmark", by="bench")
        # What was done before is not bot.py's to seal beside what is measured.
        await engine.seal_history()
    finally:
        await engine.close()
    told = env | {
        "RASID_BOT_PORT": str(port),
        "RASID_WEBHOOKS": json.dumps({"allow": HERE}),
        "RASID_CARRIERS": json.dumps(carriers_of(carrier_port)),
    }
    async with (
        server,
        serving(["-m", "bench.carrier", str(carrier_port)], carrier_port, "/", bare(), house.folder / "carrier.log"),
        serving([ROOT / "bot.py"], port, "/health/ready", told, house.folder / "bot.log"),
    ):
        yield network


async def _forget(url: str) -> None:
    """Let nobody be told of what happened before anybody was there to be told."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("UPDATE event SET fanned_at = now() WHERE fanned_at IS NULL")
        await connection.execute("UPDATE outbox SET state = 'sent' WHERE state = 'due'")
