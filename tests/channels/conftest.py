"""A session store on real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from channels.sessions import SessionStore, connect
from runtime.keyring import Keyring


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def store(redis_client: Redis, keyring: Keyring) -> SessionStore:
    store = SessionStore(redis_client, keyring)
    await store.load()
    return store
