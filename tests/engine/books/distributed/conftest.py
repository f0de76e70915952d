"""Books in four databases on two servers, and an engine on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from engine.api import Engine, open_engine
from engine.books.databases import Books, open_books
from runtime.keyring import Keyring
from settings import Operator
from tests.databases import Databases
from tests.engine.books.apart import BOOKS, roll_back_prepared


@pytest.fixture
def database_url(arranged: dict[str, Databases]) -> Iterator[str]:
    """Billing's database, where no other book may be written."""
    with arranged["billing"].one() as url:
        yield url


@pytest.fixture
def addresses(arranged: dict[str, Databases]) -> Iterator[dict[str, str]]:
    """Two books each in a database of its own on the second server, one in a database beside billing's."""
    with ExitStack() as stack:
        urls = {book: stack.enter_context(arranged[book].one()) for book in BOOKS}
        yield urls
        for url in urls.values():
            roll_back_prepared(url)


@pytest.fixture
async def split(
    database_url: str, addresses: dict[str, str], operator: Operator, keyring: Keyring
) -> AsyncIterator[Engine]:
    """An engine whose books live in four databases on two servers."""
    engine = await open_engine(database_url, operator, keyring, lanes=1, books=addresses)
    yield engine
    await engine.close()


@pytest.fixture
async def books(database_url: str, addresses: dict[str, str]) -> AsyncIterator[Books]:
    """The same databases, for whoever looks on."""
    opened = open_books(database_url, addresses, connections=6, writers=2)
    yield opened
    await opened.dispose()
