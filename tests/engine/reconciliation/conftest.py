"""Payers who are quicker still: days of payments are made."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sandbox.payments.server import PaymentsSandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[PaymentsSandbox]:
    """The sandbox's providers, on sockets."""
    server = PaymentsSandbox(pace=0.02)
    await server.start()
    yield server
    await server.stop()
