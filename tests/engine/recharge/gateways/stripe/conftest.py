"""A gateway at the sandbox of providers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engine.recharge.gateways.stripe.gateway import Gateway
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.stripe.account import made


@pytest.fixture
async def gateway(providers: PaymentsSandbox) -> AsyncIterator[Gateway]:
    gateway = made(f"{providers.base_url}/stripe", return_url="https://rasid.example/paid")
    await gateway.start()
    yield gateway
    await gateway.stop()
