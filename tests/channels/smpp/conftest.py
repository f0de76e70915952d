"""Carriers on real Redis, and the message centres that others wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest

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
