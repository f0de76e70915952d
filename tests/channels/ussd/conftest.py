"""USSD gateways served over real HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from redis.asyncio import Redis

from channels.pointers import Pointers
from channels.ussd.contract import Adapter
from channels.ussd.routes import BODY_LIMIT, Door, routes
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from tests.channels.phone import Talk
from tests.serving import Client, ClientOf

#: an adapter, and what counts → a client of a server that has it under its name
ServeAdapter = Callable[..., Awaitable[Client]]


@pytest.fixture
def serving(talk: Talk, redis_client: Redis, keyring: Keyring, client_of: ClientOf) -> ServeAdapter:
    """Starts a server for one adapter: ``serving("restcomm", adapter)``."""

    async def start(name: str, adapter: Adapter, metrics: Metrics | None = None) -> Client:
        application = web.Application(client_max_size=BODY_LIMIT)
        door = Door(name=name, adapter=adapter)
        application.add_routes(routes([door], talk(), Pointers(redis_client, keyring), metrics or Metrics()))
        return await client_of(application)

    return start
