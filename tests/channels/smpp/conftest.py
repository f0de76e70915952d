"""Carriers on real Redis, and the message centres that others wrote."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from channels.smpp.client.link import Account, Link, Mode
from channels.smpp.client.session import Delivery
from channels.smpp.client.words import Limits
from channels.sms.contract import Incoming, Outgoing, Report, Tools
from channels.sms.smpp.carrier import Carrier
from tests.doubles.smsc import Smsc
from tests.peers.processes import NpmSmsc, npm_package


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    centre = Smsc()
    await centre.start()
    yield centre
    await centre.stop()


@pytest.fixture
async def npm(pytestconfig) -> AsyncIterator[NpmSmsc]:
    centre = NpmSmsc(npm_package(pytestconfig.cache.mkdir("npm-smpp")))
    await centre.start()
    yield centre
    await centre.stop()


async def nobody(_delivery: Delivery) -> None:
    raise AssertionError("nothing should come in")


@pytest.fixture
async def link(smsc: Smsc) -> AsyncIterator[Callable[..., Link]]:
    made: list[Link] = []

    def make(handler=nobody, mode=Mode.TRANSCEIVER, limits: Limits | None = None, **account) -> Link:
        settings = Account(
            host="127.0.0.1",
            port=smsc.port,
            system_id="rasid",
            password="secret",
            backoff_first=0.01,
            backoff_longest=0.05,
            throttle_first=0.05,
            limits=limits or Limits(),
        )
        one = Link("double", dataclasses.replace(settings, **account), mode, handler)
        made.append(one)
        one.start()
        return one

    yield make
    for one in made:
        await one.stop(1.0)


class Books:
    """What the handlers were given, in order; ``fail`` makes the next ones raise after they were called."""

    def __init__(self) -> None:
        self.incoming: list[Incoming] = []
        self.reports: list[Report] = []
        self.fail = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def take(self, incoming: Incoming) -> None:
        self.incoming.append(incoming)
        await self.gate.wait()
        if self.fail:
            self.fail -= 1
            raise ConnectionError("the database is away")

    async def note(self, report: Report) -> None:
        self.reports.append(report)


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
async def carrier(redis_client, keyring, books: Books) -> AsyncIterator[Callable]:
    made: list[Carrier] = []

    async def make(port: int, *, listens: bool = True, bound: bool = True, **options) -> Carrier:
        handlers = {"on_incoming": books.take, "on_report": books.note} if listens else {}
        tools = Tools(redis=redis_client, keyring=keyring, **handlers)
        given = {"host": "127.0.0.1", "port": port, "system_id": "rasid", "password": "secret", **options}
        one = Carrier("centre", given, tools)
        made.append(one)
        await one.start()
        assert not bound or await one.bound(10)
        return one

    yield make
    for one in made:
        await one.close()


def text(words: str, to: str = "+254712000001", sender: str = "Rasid") -> Outgoing:
    return Outgoing(message_id=uuid4(), to=to, sender=sender, text=words, at=datetime.now(UTC))
