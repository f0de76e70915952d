"""Which database takes which book: processes that think otherwise, and servers that cannot, are refused by name."""

from __future__ import annotations

import pytest

from engine.api import open_engine
from engine.books.databases import TABLES, migrate_books, open_books
from engine.words import Code
from runtime.keyring import Keyring
from settings import MOVABLE_BOOKS, Operator, SettingsError
from tests.engine.books.apart import Server, apart, capture, make_database, settling
from tests.engine.books.distributed.batches import AMOUNT
from tests.engine.shop import open_line


def test_the_books_that_settings_know_are_the_books_that_can_move() -> None:
    assert {str(book) for book in TABLES} == set(MOVABLE_BOOKS)


async def test_a_server_that_prepares_nothing_is_refused_by_name(
    database_url: str, operator: Operator, keyring: Keyring, second_server: Server
) -> None:
    async with apart(database_url, {"history": second_server}) as elsewhere:
        opened = open_books(database_url, elsewhere, connections=2, writers=1)
        with pytest.raises(SettingsError, match=r"books\.history: max_prepared_transactions of its server is 64"):
            await opened.check(65)
        await opened.check(64)
        await opened.dispose()


async def test_a_process_with_another_arrangement_is_refused(
    database_url: str, operator: Operator, keyring: Keyring, second_server: Server
) -> None:
    async with apart(database_url, {"history": second_server}) as elsewhere:
        engine = await open_engine(database_url, operator, keyring)
        line = await open_line(engine)
        (payment,) = capture(database_url, [line], AMOUNT)
        assert (await engine.post(settling(line, payment, AMOUNT))).code == Code.FAILED
        await engine.close()
        migrate_books(database_url, {})
        with pytest.raises(SettingsError, match=r"books\.history: billing's database takes it too"):
            await open_engine(database_url, operator, keyring, books=elsewhere)
        fresh = make_database(second_server.url, "template0")
        with pytest.raises(SettingsError, match=r"books\.history: its schema .* run manage\.py migrate"):
            await open_engine(database_url, operator, keyring, books={"history": fresh})
        migrate_books(database_url, {"receivables": fresh})
        with pytest.raises(SettingsError, match=r"books\.history: its database does not take it"):
            await open_engine(database_url, operator, keyring, books={"history": fresh})
