"""The sandbox of providers on sockets, and a shop that their callbacks come to."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from sandbox.payments.desk import Accounts
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.peers import PACE, Broken, Shop
from tests.serving import serving


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    server = Shop()
    async with serving(server.application) as server.url:
        yield server


@pytest.fixture
async def providers(shop: Shop) -> AsyncIterator[PaymentsSandbox]:
    url = f"{shop.url}/payments/stripe/callback"
    accounts = Accounts(stripe_webhook_url=url)
    server = PaymentsSandbox(accounts=accounts, pace=PACE)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def script(providers: PaymentsSandbox) -> Callable[..., Any]:
    """Says what becomes of the next payment."""

    async def say(play: str, **more: Any) -> None:
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{providers.base_url}/script", json={"play": play, **more}) as answer:
                assert answer.status == 200, await answer.text()

    return say


@pytest.fixture
def dead_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
async def broken() -> AsyncIterator[Broken]:
    server = Broken()
    async with serving(server.application) as server.url:
        yield server
