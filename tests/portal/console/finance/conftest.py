"""The console of an operator whose payments go through the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox.payments.desk import Accounts
from sandbox.payments.server import PaymentsSandbox
from settings import PaymentGatewaySettings, Settings
from tests.portal.console.conftest import Console

#: what both sides know
ACCOUNTS = Accounts()


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox() -> AsyncIterator[PaymentsSandbox]:
    """The sandbox's providers, with payers who are quick."""
    server = PaymentsSandbox(accounts=ACCOUNTS, pace=0.02)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def settings(settings: Settings, sandbox: PaymentsSandbox) -> Settings:
    """With a gateway to the sandbox, which nobody can call back: its provider is asked."""
    options = {
        "base_url": sandbox.base_url,
        "api_key": ACCOUNTS.api_key,
        "webhook_secrets": (ACCOUNTS.webhook_secret,),
    }
    gateway = PaymentGatewaySettings(adapter="sandbox", options=options, callback_base="http://127.0.0.1:9")
    return settings.model_copy(update={"payment_gateways": {"sandbox": gateway}})


@pytest_asyncio.fixture(loop_scope="session")
async def paying(console: Console) -> Console:
    """The server, its gateways open."""
    await console.engine.payments.start()
    return console
