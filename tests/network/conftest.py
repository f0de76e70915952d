"""The interfaces for other systems, served over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.api import Engine
from network import openapi
from network.http import Gate
from network.interfaces import interfaces
from runtime.keyring import Keyring
from tests.network.api import API_KEYS, Api


@pytest.fixture(scope="session")
def described() -> list[web.RouteDef]:
    """The routes of the interfaces' description: it takes longer than most tests, and is the same for all engines."""
    return []


@pytest.fixture
async def api(engine: Engine, keyring: Keyring, described: list[web.RouteDef]) -> AsyncIterator[Api]:
    """A client that may do everything, of a server on a socket."""
    application = web.Application()
    gate, offered = Gate(API_KEYS), interfaces(engine, keyring)
    for interface in offered:
        application.add_routes(interface.routes(gate))
    described[:] = described or openapi.routes(offered)
    application.add_routes(described)
    server = TestServer(application)
    await server.start_server()
    async with Api(str(server.make_url(""))) as client:
        yield client
    await server.close()
