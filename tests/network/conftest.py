"""The interfaces for other systems, served over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.api import Engine
from network.http import Gate
from network.nchf.service import ChargingData
from runtime.keyring import Keyring
from tests.network.api import API_KEYS, Api


@pytest.fixture
async def api(engine: Engine, keyring: Keyring) -> AsyncIterator[Api]:
    """A client that may do everything, of a server on a socket."""
    application = web.Application()
    gate = Gate(API_KEYS)
    application.add_routes(ChargingData(engine, keyring).routes(gate))
    server = TestServer(application)
    await server.start_server()
    async with Api(str(server.make_url(""))) as client:
        yield client
    await server.close()


Asking = Callable[..., Awaitable[dict]]
