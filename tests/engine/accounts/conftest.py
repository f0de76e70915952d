"""The accounts on a real Postgres, and the database as its owner sees it."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.rows import dict_row

from engine.accounts.finding import Finder
from engine.accounts.service import Accounts
from engine.storage.database import open_database


@pytest.fixture
async def database(database_url):
    opened = open_database(database_url, connections=12)
    yield opened
    await opened.dispose()


@pytest.fixture
async def accounts(database, operator, keyring):
    service = Accounts(database, operator, keyring)
    yield service
    await service.close()


@pytest.fixture
async def finder(database, operator, keyring):
    service = Finder(database, operator, keyring)
    yield service
    await service.close()


@pytest.fixture
def owner(database_url):
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection
