"""Fixtures of payments: the sandbox's providers on sockets, and engines that take money through them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import pytest

from runtime.keyring import Keyring
from sandbox.payments.server import PaymentsSandbox
from settings import Operator
from tests.engine.payments.house import House, opened

#: makes houses around one sandbox: ``await houses(operator, only=("mpesa",))``
Houses: TypeAlias = Callable[..., Awaitable[House]]


@pytest.fixture
async def sandbox() -> AsyncIterator[PaymentsSandbox]:
    """The sandbox's providers, with payers who are quick."""
    server = PaymentsSandbox(pace=0.05)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def houses(
    database_url: str, operator: Operator, keyring: Keyring, sandbox: PaymentsSandbox
) -> AsyncIterator[Houses]:
    """Opens houses, by default of the sample operator; what is given beside goes to ``opened``."""
    async with AsyncExitStack() as stack:

        async def open_one(operator: Operator = operator, **more: Any) -> House:
            return await stack.enter_async_context(opened(database_url, operator, keyring, sandbox, **more))

        yield open_one


@pytest.fixture
async def house(houses: Houses) -> House:
    """An engine with the sandbox's gateways, and what it is called back by."""
    return await houses()


@pytest.fixture
async def mpesa(houses: Houses) -> House:
    """A house that takes M-Pesa only."""
    return await houses(only=("mpesa",))


@pytest.fixture
async def cards(houses: Houses) -> House:
    """A house that takes cards by Stripe, which tells it nothing unless a test does."""
    return await houses(only=("stripe",))
