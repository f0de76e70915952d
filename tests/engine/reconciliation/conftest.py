"""An engine with the sandbox's gateways, and settlement files as the sandbox writes them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from runtime.keyring import Keyring
from sandbox.payments.server import PaymentsSandbox
from settings import Operator
from tests.engine.payments.house import House, opened


@pytest.fixture
async def sandbox() -> AsyncIterator[PaymentsSandbox]:
    """The sandbox's providers, on sockets, with payers who are quick."""
    server = PaymentsSandbox(pace=0.02)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def house(
    database_url: str, operator: Operator, keyring: Keyring, sandbox: PaymentsSandbox
) -> AsyncIterator[House]:
    """All of it."""
    async with opened(database_url, operator, keyring, sandbox) as one:
        yield one
