"""USSD gateways served over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from channels.pointers import Pointers
from channels.ussd.contract import Adapter
from channels.ussd.routes import BODY_LIMIT, Door, routes
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from tests.channels.phone import Talk

Client = TestClient[web.Request, web.Application]
#: an adapter, and what counts → a client of a server that has it under its name
ServeAdapter = Callable[..., Awaitable[Client]]


@pytest.fixture
async def serving(talk: Talk, redis_client: Redis, keyring: Keyring) -> AsyncIterator[ServeAdapter]:
    """Starts a server for one adapter: ``serving("restcomm", adapter)``."""
    clients: list[Client] = []

    async def start(name: str, adapter: Adapter, metrics: Metrics | None = None) -> Client:
        application = web.Application(client_max_size=BODY_LIMIT)
        door = Door(name=name, adapter=adapter)
        application.add_routes(routes([door], talk(), Pointers(redis_client, keyring), metrics or Metrics()))
        client = TestClient(TestServer(application))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()
