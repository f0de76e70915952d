"""An engine whose guard counts in a real Redis, with the sandbox's gateways."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
from redis.asyncio import Redis

from tests.houses import Houses


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """An empty Redis."""
    client: Redis = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def guarded(houses: Houses, redis: Redis) -> Houses:
    """Opens houses whose guard counts in Redis: ``await guarded(operator)``."""
    return partial(houses, redis=redis)
