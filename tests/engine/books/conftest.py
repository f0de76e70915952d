"""A second Postgres server: what is prepared there is on another server than billing."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.storage.database import migrate
from runtime.embedded.postgres import DATABASE, EmbeddedPostgres
from tests.conftest import TEST_SETTINGS, easy_to_enter
from tests.engine.books.apart import Server, database_of


@pytest.fixture(scope="session")
def second_server() -> Iterator[Server]:
    """Another server than that of ``postgres_url``."""
    folder = Path(tempfile.mkdtemp(prefix="rasid-second-"))
    server = EmbeddedPostgres(folder, TEST_SETTINGS)
    asyncio.run(server.start())
    easy_to_enter(server.url)
    migrate(server.url)
    yield Server(database_of(server.url, "postgres"), DATABASE)
    asyncio.run(server.stop())
    shutil.rmtree(folder, ignore_errors=True)
