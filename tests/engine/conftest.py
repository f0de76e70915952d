"""The sample operator with rates that are easy to reckon with, and an engine of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engine import api
from runtime.keyring import Keyring
from settings import Operator
from tests.engine.rated import RATES


@pytest.fixture(scope="session")
def rated(operator: Operator) -> Operator:
    """The sample operator with rates, quotas, gifts and advances."""
    return Operator.model_validate(operator.model_dump() | RATES)


@pytest.fixture
async def charging(database_url: str, rated: Operator, keyring: Keyring) -> AsyncIterator[api.Engine]:
    """An open engine of that operator, closed after the test."""
    opened = await api.open_engine(database_url, rated, keyring)
    yield opened
    await opened.close()
