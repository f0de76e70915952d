"""The console of an operator whose payments go through the sandbox."""

from __future__ import annotations

import pytest
import pytest_asyncio

from sandbox.payments.server import PaymentsSandbox
from settings import Settings
from tests.portal.console.conftest import Console
from tests.portal.providers import paying_at


@pytest.fixture
def settings(settings: Settings, sandbox: PaymentsSandbox) -> Settings:
    """With a gateway to the sandbox."""
    return paying_at(settings, sandbox)


@pytest_asyncio.fixture(loop_scope="session")
async def paying(console: Console) -> Console:
    """The server, its gateways open."""
    await console.engine.payments.start()
    return console
