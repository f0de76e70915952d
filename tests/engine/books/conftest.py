"""A second Postgres server: what is prepared there is on another server than billing."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine.books.databases import allot_books
from engine.storage.database import migrate
from runtime.embedded.postgres import DATABASE, EmbeddedPostgres
from tests.conftest import TEST_SETTINGS, easy_to_enter
from tests.databases import Databases
from tests.engine.books.apart import BOOKS, Server, database_of


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


@pytest.fixture(scope="session")
def arranged(
    _admin: psycopg.Connection[Any],
    postgres_url: str,
    _template: str,
    second_server: Server,
) -> Iterator[dict[str, Databases]]:
    """Databases of one arrangement, by the book that each of them alone may write, and billing's.

    Two books live on the second server, one beside billing.
    """
    with ExitStack() as stack:
        second = stack.enter_context(psycopg.connect(second_server.url, autocommit=True))
        here, there = (_admin, postgres_url, _template), (second, *second_server)
        # Says of those that are arranged one by one where the other books would be.
        nowhere = stack.enter_context(Databases(*here, uses=1).one())
        made = {"billing": Databases(*here, prepare=partial(allot_books, elsewhere=dict.fromkeys(BOOKS, nowhere)))}
        for book in BOOKS:
            where = here if book == "provisioning" else there
            made[book] = Databases(*where, prepare=lambda url, book=book: allot_books(nowhere, {book: url}))
        yield made
        for databases in made.values():
            databases.close()
