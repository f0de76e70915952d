"""What the settings ask for listens, tells of changes, and lets go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine import api
from engine.words import Unit
from network.listeners import Listeners
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator, Settings
from tests.conftest import ROOT
from tests.engine.shop import credit, open_line
from tests.network.diameter.wire import Wire, result
from tests.network.radius.nas import SECRET, Nas

RADIUS = {"host": "127.0.0.1", "port": 0, "clients": {"bng": {"addresses": ["127.0.0.1"], "secret": SECRET}}}
DIAMETER = {
    "host": "127.0.0.1", "port": 0, "origin_host": "ocs.rasid.example", "origin_realm": "rasid.example",
    "peers": {"*": {}},
}  # fmt: skip


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    given: dict[str, Any] = {"radius": RADIUS, "diameter": DIAMETER}
    return Settings(
        database_url=database_url, redis_url=redis_url, operator=ROOT / "examples" / "kenya.toml",
        keys={1: bytes(range(32)).hex()}, **given,
    )  # fmt: skip


@pytest.fixture
def unrated(operator: Operator) -> Operator:
    """The sample operator without categories: any rating group will do."""
    plain = [
        product for product in operator.model_dump()["products"] if not any(g["categories"] for g in product["grants"])
    ]
    return Operator.model_validate(operator.model_dump() | {"products": plain, "categories": [], "rates": []})


async def test_both_ports_serve_until_they_are_closed(settings: Settings, unrated: Operator, keyring: Keyring) -> None:
    engine = await api.open_engine(settings.database_url, unrated, keyring)
    listeners = Listeners(settings, engine, keyring, Metrics())
    ports = await listeners.start()
    line = await open_line(engine)
    await credit(engine, line, 1_000_000, Unit.OCTETS)
    nas, wire = Nas(), Wire()
    await nas.start(ports["radius"])
    await wire.open(ports["diameter"])
    await nas.ask("Stop", Acct_Session_Id="s1", Calling_Station_Id=line.msisdn, Acct_Output_Octets=1000)
    assert (await engine.subscriber(line.msisdn)).total(Unit.OCTETS) == 999_000
    assert result(await wire.introduce(b"anybody.example")) == 2001
    stop = asyncio.Event()
    works = asyncio.gather(*listeners.works(stop))
    stop.set()
    await works
    closing = asyncio.create_task(listeners.close())
    assert (await wire.read()).header.command_code == 282
    wire.close()
    await closing
    with pytest.raises(OSError):
        await wire.open(ports["diameter"])
    nas.stop()
    await engine.close()


async def test_nothing_listens_that_nobody_asked_for(settings: Settings, engine: api.Engine, keyring: Keyring) -> None:
    listeners = Listeners(settings.model_copy(update={"radius": None, "diameter": None}), engine, keyring, Metrics())
    assert await listeners.start() == {}
    assert list(listeners.works(asyncio.Event())) == []
    await listeners.close()
