"""Books in several databases: a batch is in all of them or in none."""

from __future__ import annotations

import asyncio

import psycopg

from engine.api import Engine, open_engine
from engine.books.databases import Books, Home, migrate_books, open_books
from engine.books.invariants import check_all
from engine.books.service import Door
from engine.books.sheets import Book
from engine.books.tables import BatchVerdict
from engine.words import Charge, Code, EngineUnavailable, Reverse, Unit
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator
from tests.engine.books.apart import Server, apart, capture, prepared_in, rows_of, settling
from tests.engine.books.distributed.batches import AMOUNT, decisions
from tests.engine.shop import asking, open_line


async def test_a_settlement_is_written_to_every_database_that_has_its_book(
    split: Engine, database_url: str, addresses: dict[str, str], books: Books
) -> None:
    lines = [await open_line(split) for _ in range(3)]
    payments = capture(database_url, lines, AMOUNT)
    asked = [settling(line, one, AMOUNT) for line, one in zip(lines, payments, strict=True)]
    answers = await asyncio.gather(*map(split.post, asked))
    assert {answer.code for answer in answers} == {Code.OK}
    assert rows_of(addresses["receivables"], "receivable") == 3
    assert rows_of(addresses["history"], "payment_history") == 3
    assert rows_of(addresses["provisioning"], "provisioning_rule") == 3
    for table in ("receivable", "payment_history", "provisioning_rule"):
        assert rows_of(database_url, table) == 0
    assert set(await decisions(books)) == {BatchVerdict.COMMIT}
    assert [prepared_in(url) for url in addresses.values()] == [[], [], []]
    assert await check_all(books) == []
    assert await asyncio.gather(*map(split.post, asked)) == answers
    assert rows_of(addresses["receivables"], "receivable") == 3


async def test_taking_a_settlement_back_is_written_to_every_book_too(
    split: Engine, database_url: str, addresses: dict[str, str], books: Books
) -> None:
    line = await open_line(split)
    (payment,) = capture(database_url, [line], AMOUNT)
    await split.post(settling(line, payment, AMOUNT))
    assert (await split.post(asking(Reverse, line, payment_id=payment, reason="wrong_number"))).ok
    assert rows_of(addresses["history"], "payment_history") == 2
    assert (await split.subscriber(line.msisdn)).total(Unit.MONEY) == 0
    assert await check_all(books) == []


async def test_a_batch_without_rows_for_other_books_is_a_plain_commit(split: Engine, books: Books) -> None:
    line = await open_line(split, money=10_000)
    before = await decisions(books)
    assert (await split.post(asking(Charge, line, unit=Unit.MONEY, amount=10))).ok
    assert await decisions(books) == before


async def test_books_that_share_an_address_share_a_transaction(
    database_url: str, second_server: Server, operator: Operator, keyring: Keyring
) -> None:
    async with apart(database_url, {"receivables": second_server}) as elsewhere:
        both = {**elsewhere, "history": elsewhere["receivables"]}
        migrate_books(database_url, both)
        engine = await open_engine(database_url, operator, keyring, books=both)
        try:
            line = await open_line(engine)
            (payment,) = capture(database_url, [line], AMOUNT)
            assert (await engine.post(settling(line, payment, AMOUNT))).ok
            assert rows_of(both["history"], "payment_history") == rows_of(both["receivables"], "receivable") == 1
            assert await check_all(engine._books) == []
        finally:
            await engine.close()


async def test_an_operation_that_another_book_refuses_fails_alone_and_leaves_nothing(
    split: Engine, database_url: str, addresses: dict[str, str], books: Books
) -> None:
    lines = [await open_line(split) for _ in range(5)]
    payments = capture(database_url, lines, AMOUNT)
    poisoned = payments[2]
    with psycopg.connect(addresses["history"], autocommit=True) as owner:
        owner.execute(f"ALTER TABLE payment_history ADD CHECK (payment_id <> '{poisoned}')".encode())
    answers = await asyncio.gather(
        *(split.post(settling(line, one, AMOUNT)) for line, one in zip(lines, payments, strict=True))
    )
    assert [answer.code for answer in answers] == [Code.OK, Code.OK, Code.FAILED, Code.OK, Code.OK]
    assert rows_of(addresses["receivables"], "receivable") == rows_of(addresses["history"], "payment_history") == 4
    assert [prepared_in(url) for url in addresses.values()] == [[], [], []]
    assert BatchVerdict.ABORT in await decisions(books)
    assert await check_all(books) == []


async def test_who_needs_no_book_that_is_away_does_not_wait_for_it(
    split: Engine, database_url: str, books: Books
) -> None:
    paying, using = await open_line(split), await open_line(split, money=10_000)
    (payment,) = capture(database_url, [paying], AMOUNT)
    gone = open_books("postgresql://nobody@127.0.0.1:1/none", connections=1)
    lame = Books(books.billing, (*books.homes[:1], Home("history", gone.billing, (Book.HISTORY,)), *books.homes[2:]))
    door = Door(lame, split.operator, Metrics(), 1)
    refused, answer = await asyncio.gather(
        door.post(settling(paying, payment, AMOUNT)),
        door.post(asking(Charge, using, unit=Unit.MONEY, amount=10)),
        return_exceptions=True,
    )
    assert isinstance(refused, EngineUnavailable)
    assert not isinstance(answer, BaseException) and answer.ok
    await door.close()
    await gone.dispose()
    assert (await split.post(settling(paying, payment, AMOUNT))).ok
    assert await check_all(books) == []
