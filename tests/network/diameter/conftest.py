"""An online charging server on a socket of its own, and a packet gateway that others wrote."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine import api
from engine.words import Subscriber, Unit
from network.diameter.server import DiameterServer
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import DiameterSettings, Operator
from tests.engine.shop import credit, open_line

ROOT = Path(__file__).resolve().parents[3]
CATEGORIES = {
    "categories": [
        {"code": "internet", "rating_groups": [10]},
        {"code": "social", "rating_groups": [20]},
        {"code": "help", "rating_groups": [99], "zero_rated": True},
    ],
    "rates": [],
}
IMSI = "639020000000002"
MB = 1_000_000


@dataclass
class House:
    """The server with what is behind it."""

    engine: api.Engine
    server: DiameterServer
    metrics: Metrics
    port: int

    async def left(self, subscriber: Subscriber, unit: Unit = Unit.OCTETS) -> int:
        """What the line has left, held quotas included."""
        buckets = (await self.engine.subscriber(subscriber.msisdn)).buckets
        return sum(bucket.amount for bucket in buckets if bucket.unit is unit)

    async def held(self, subscriber: Subscriber) -> int:
        """Octets that sessions hold."""
        buckets = (await self.engine.subscriber(subscriber.msisdn)).buckets
        return sum(bucket.reserved for bucket in buckets if bucket.unit is Unit.OCTETS)


class Pcef:
    """The packet gateway of ``tests/peers/pcef.py``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            (self.heard if "heard" in said else self.answers).put_nowait(said)

    async def ask(self, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        answer: dict[str, Any] = (await asyncio.wait_for(self.answers.get(), 20))["answer"]
        return answer

    async def stop(self) -> None:
        self._process.kill()
        await self._process.wait()
        await self._reading


@pytest.fixture
def diameter_settings() -> DiameterSettings:
    """One peer, who may come from this machine."""
    return DiameterSettings.model_validate(
        {
            "host": "127.0.0.1", "port": 0, "origin_host": "ocs.rasid.example", "origin_realm": "rasid.example",
            "peers": {"pgw.test.example": {"addresses": ["127.0.0.1"], "rating_group": 10}},
        }
    )  # fmt: skip


@pytest.fixture
async def house(
    database_url: str, operator: Operator, diameter_settings: DiameterSettings, keyring: Keyring
) -> AsyncIterator[House]:
    """The server, listening."""
    metrics = Metrics()
    rated = Operator.model_validate(operator.model_dump() | CATEGORIES)
    engine = await api.open_engine(database_url, rated, keyring, metrics=metrics)
    server = DiameterServer(engine, diameter_settings, metrics)
    port = await server.start()
    yield House(engine, server, metrics, port)
    await server.close()
    await engine.close()


@pytest.fixture
async def line(house: House) -> Subscriber:
    """A line with an IMSI and a hundred megabytes."""
    made = await open_line(house.engine, imsi=IMSI)
    await credit(house.engine, made, 100 * MB, Unit.OCTETS)
    return made


@asynccontextmanager
async def gateway(port: int, peer: str) -> AsyncIterator[Pcef]:
    """A packet gateway that is connected to ``peer`` on this port."""
    pipe = asyncio.subprocess.PIPE
    script = str(ROOT / "tests" / "peers" / "pcef.py")
    process = await asyncio.create_subprocess_exec(sys.executable, script, str(port), peer, stdin=pipe, stdout=pipe)
    made = Pcef(process)
    try:
        assert (await asyncio.wait_for(made.heard.get(), 30)) == {"heard": "CEA"}
        yield made
    finally:
        await made.stop()


@pytest.fixture
async def pcef(house: House) -> AsyncIterator[Pcef]:
    """A packet gateway that is connected to us."""
    async with gateway(house.port, "ocs.rasid.example") as made:
        yield made
