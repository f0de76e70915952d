"""Whoever starts us on a database that is not ready is told what to do."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from engine.api import open_engine
from engine.storage.database import migrate
from engine.storage.unusable import why_unusable
from runtime.keyring import Keyring
from settings import Operator, SettingsError


async def refused(url: str, operator: Operator, keyring: Keyring) -> str:
    with pytest.raises(SettingsError) as raised:
        await open_engine(url, operator, keyring, lanes=1)
    ((setting, reason),) = raised.value.problems
    assert setting == "database_url"
    return reason


async def test_a_database_without_our_tables_has_to_be_migrated(
    empty_database_url: str, operator: Operator, keyring: Keyring
) -> None:
    assert (await refused(empty_database_url, operator, keyring)).endswith("run manage.py migrate")


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", "(0001)"),
        # Of a version that let nobody but the owner look.
        ("REVOKE SELECT ON alembic_version FROM rasid_app", "(none)"),
    ],
)
async def test_a_database_of_an_earlier_version_has_to_be_migrated(
    *, owner: psycopg.Connection[Any], database_url: str, operator: Operator, keyring: Keyring, made: str, shown: str
) -> None:
    owner.execute(made.encode())
    reason = await refused(database_url, operator, keyring)
    assert shown in reason and reason.endswith("run manage.py migrate")


async def test_a_database_of_a_later_version_is_neither_opened_nor_migrated(
    owner: psycopg.Connection[Any], database_url: str, operator: Operator, keyring: Keyring
) -> None:
    owner.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "(9999) is of a later version" in await refused(database_url, operator, keyring)
    with pytest.raises(SettingsError, match="later version"):
        migrate(database_url)


async def test_a_database_that_nobody_serves_is_no_matter_of_its_schema(operator: Operator, keyring: Keyring) -> None:
    with pytest.raises(DBAPIError) as raised:
        await open_engine("postgresql://nobody@127.0.0.1:1/none", operator, keyring, lanes=1)
    said = why_unusable(raised.value)
    assert "connection" in said and "migrate" not in said and "\n" not in said
