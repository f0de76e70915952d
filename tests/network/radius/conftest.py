"""An accounting server on a socket of its own, and a line whose traffic it charges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from engine import api
from engine.words import Subscriber, Unit
from network.radius.server import RadiusServer
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator, RadiusSettings
from tests.engine.shop import credit, open_line
from tests.network.radius.nas import SECRET, Nas

CATEGORIES = {
    "categories": [{"code": "internet", "rating_groups": [10]}, {"code": "social", "rating_groups": [20]}],
}
OpenNas = Callable[..., Awaitable[Nas]]
IMSI = "639020000000001"


@dataclass
class House:
    """The server with what is behind it."""

    engine: api.Engine
    server: RadiusServer
    metrics: Metrics
    port: int

    async def left(self, subscriber: Subscriber) -> int:
        """Octets that the line has left."""
        return (await self.engine.subscriber(subscriber.msisdn)).total(Unit.OCTETS)

    def counted(self, kind: str, outcome: str, client: str = "bng") -> float:
        """How often the server met with this."""
        labels = {"client": client, "kind": kind, "outcome": outcome}
        return self.metrics.registry.get_sample_value("rasid_radius_packets_total", labels) or 0.0


@pytest.fixture
def radius_operator(operator: Operator) -> Operator:
    """The sample operator with one category of traffic and no rates: only bundles pay."""
    return Operator.model_validate(operator.model_dump() | CATEGORIES | {"rates": []})


@pytest.fixture
def radius_settings() -> RadiusSettings:
    """One access server on this machine, octets of rating group 10."""
    client = {"addresses": ["127.0.0.1"], "secret": SECRET, "rating_group": 10}
    return RadiusSettings.model_validate({"host": "127.0.0.1", "port": 0, "clients": {"bng": client}})


@pytest.fixture
async def house(
    database_url: str, radius_operator: Operator, radius_settings: RadiusSettings, keyring: Keyring
) -> AsyncIterator[House]:
    """The server, listening."""
    metrics = Metrics()
    engine = await api.open_engine(database_url, radius_operator, keyring, metrics=metrics)
    server = RadiusServer(engine, radius_settings, keyring, metrics)
    port = await server.start()
    yield House(engine, server, metrics, port)
    await server.close()
    await engine.close()


@pytest.fixture
async def open_nas() -> AsyncIterator[OpenNas]:
    """Makes access servers; their sockets are closed after the test."""
    opened: list[Nas] = []

    async def open_one(port: int, name: str = "bng-1") -> Nas:
        made = Nas(name)
        await made.start(port)
        opened.append(made)
        return made

    yield open_one
    for made in opened:
        made.stop()


@pytest.fixture
async def nas(house: House, open_nas: OpenNas) -> Nas:
    """An access server that the server knows."""
    return await open_nas(house.port)


@pytest.fixture
async def line(house: House) -> Subscriber:
    """A line with an IMSI and ten gigabytes."""
    made = await open_line(house.engine, imsi=IMSI)
    await credit(house.engine, made, 10_000_000_000, Unit.OCTETS)
    return made
