"""The dialogs of the sample operators, a machine over them, and lines to call from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dialogs.catalogue import declared
from dialogs.machine import Machine
from dialogs.texts import Texts
from engine.api import Engine, open_engine
from runtime.keyring import Keyring
from settings import Operator, load_operator
from tests.dialogs.player import Player
from tests.engine.payments.house import House
from tests.engine.shop import open_line
from tests.houses import Houses

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

Calling = Callable[..., Awaitable[Player]]


@pytest.fixture
def texts(operator: Operator) -> Texts:
    return Texts(operator.languages, operator.timezone)


@pytest.fixture
def machine(operator: Operator, texts: Texts) -> Machine:
    return Machine(declared(operator), texts)


@pytest.fixture
def calling(engine: Engine, machine: Machine) -> Calling:
    """A person with a fresh line who has dialled: ``await calling(money=…, language=…)``."""

    async def call(money: int = 0, pin: str | None = None, **more: Any) -> Player:
        subscriber = await open_line(engine, money, **more)
        if pin is not None:
            await engine.set_pin(subscriber, pin)
        return await Player(engine, machine, subscriber.msisdn).dial()

    return call


@pytest.fixture(scope="session")
def qatar() -> Operator:
    return load_operator(EXAMPLES / "qatar.toml")


@pytest.fixture
async def qatar_engine(database_url: str, qatar: Operator, keyring: Keyring) -> AsyncIterator[Engine]:
    opened = await open_engine(database_url, qatar, keyring)
    yield opened
    await opened.close()


@pytest.fixture
async def house(houses: Houses) -> House:
    """A house with gateways that some tests let hang."""
    return await houses(patience=1.0)
