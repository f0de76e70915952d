"""Whoever starts us on a database that is not ready is told what to do."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from engine.api import open_engine
from engine.storage.unusable import why_unusable
from runtime.keyring import Keyring
from settings import Operator


async def refused(url: str, operator: Operator, keyring: Keyring) -> str:
    with pytest.raises(DBAPIError) as raised:
        await open_engine(url, operator, keyring, lanes=1)
    return why_unusable(raised.value)


async def test_a_database_without_our_tables_has_to_be_migrated(
    empty_database_url: str, operator: Operator, keyring: Keyring
) -> None:
    assert (await refused(empty_database_url, operator, keyring)).endswith("run manage.py migrate")


async def test_a_database_that_nobody_serves_is_no_matter_of_its_schema(operator: Operator, keyring: Keyring) -> None:
    said = await refused("postgresql://nobody@127.0.0.1:1/none", operator, keyring)
    assert "connection" in said and "migrate" not in said and "\n" not in said
