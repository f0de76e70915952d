"""An engine that may tell servers of this machine, and one of them."""

from __future__ import annotations

import pytest

from engine.api import open_engine
from tests.engine.events.receiver import HERE, Receiver


@pytest.fixture
async def engine(database_url, operator, keyring):
    opened = await open_engine(database_url, operator, keyring, webhooks=HERE)
    yield opened
    await opened.close()


@pytest.fixture
async def receiver():
    async with Receiver() as one:
        yield one
