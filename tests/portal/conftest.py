"""One Chromium for all pages, and the sandbox's payment providers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from sandbox.payments.server import PaymentsSandbox
from tests.portal.providers import ACCOUNTS


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests of a worker: its start takes longer than most of them."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path="/usr/bin/chromium")
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox() -> AsyncIterator[PaymentsSandbox]:
    """The sandbox's providers, with payers who are quick."""
    server = PaymentsSandbox(accounts=ACCOUNTS, pace=0.02)
    await server.start()
    yield server
    await server.stop()
