"""An engine whose guard counts in a real Redis, with the sandbox's gateways."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from runtime.keyring import Keyring
from sandbox.payments.server import PaymentsSandbox
from settings import Operator
from tests.engine.payments.house import House, opened

#: a house for an operator's rules, its windows in Redis
Opening = Callable[..., Awaitable[House]]


@pytest.fixture
async def sandbox() -> AsyncIterator[PaymentsSandbox]:
    """The sandbox's providers, with payers who are quick."""
    server = PaymentsSandbox(pace=0.05)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """An empty Redis."""
    client: Redis = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def guarded(
    database_url: str, keyring: Keyring, sandbox: PaymentsSandbox, redis: Redis
) -> AsyncIterator[Opening]:
    """Open a house whose guard has these rules."""
    async with AsyncExitStack() as stack:

        async def opening(operator: Operator, redis: Redis = redis, **more: Any) -> House:
            house = opened(database_url, operator, keyring, sandbox, redis=redis, **more)
            return await stack.enter_async_context(house)

        yield opening
