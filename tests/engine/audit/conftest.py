"""An installation whose history has been sealed, and somebody who owns the database."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from engine.audit.rules import Signer
from engine.audit.service import Chain, Trail
from engine.audit.verifying import Verifier, read_outside
from engine.storage.database import open_database


@pytest.fixture
async def database(database_url):
    opened = open_database(database_url, connections=4)
    yield opened
    await opened.dispose()


@pytest.fixture
def signer(keyring):
    return Signer(keyring)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "export"


@pytest.fixture
def chain(database, signer, folder):
    return Chain(database, signer, folder)


@pytest.fixture
def trail(database):
    return Trail(database)


@pytest.fixture
def owner(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def verified(database, signer, folder):
    """Everything that is found wrong: (what, shard, seq, row)."""

    async def found(*, export=True, since=None):
        keys = signer.public_keys()
        outside = read_outside(folder, keys, since) if export else None
        return [one async for one in Verifier(database, keys, late=timedelta()).verify(since, outside)]

    return found
