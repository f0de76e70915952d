"""A gateway at the sandbox of providers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engine.recharge.gateways.mpesa.gateway import Gateway
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.mpesa.account import made
from tests.engine.recharge.gateways.peers import Shop


@pytest.fixture
async def gateway(providers: PaymentsSandbox, shop: Shop) -> AsyncIterator[Gateway]:
    gateway = made(f"{providers.base_url}/mpesa", shop.url)
    await gateway.start()
    yield gateway
    await gateway.stop()
