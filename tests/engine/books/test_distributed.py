"""Books in several databases: a batch is in all of them or in none, and somebody always finishes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import timedelta

import psycopg
import pytest

from engine.api import Engine, open_engine
from engine.books.databases import TABLES, Books, Home, migrate_books, open_books
from engine.books.distributed import batch_of
from engine.books.invariants import check_all
from engine.books.recovery import Recovery
from engine.books.service import Door
from engine.books.sheets import Book
from engine.books.tables import BatchVerdict
from engine.words import Charge, Code, EngineUnavailable, Operation, Reverse, Unit
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import MOVABLE_BOOKS, Operator, SettingsError
from tests.databases import Databases
from tests.engine.books.apart import (
    BOOKS,
    Server,
    apart,
    capture,
    make_database,
    prepared_in,
    roll_back_prepared,
    rows_of,
    settling,
)
from tests.engine.shop import asking, open_line

AMOUNT = 700


KILL_ALL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


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


async def decisions(books: Books) -> list[str]:
    async with books.billing.connect() as connection:
        return list((await connection.exec_driver_sql("SELECT verdict FROM decision ORDER BY decided_at")).scalars())


async def left_behind(books: Books, operator: Operator, operation: Operation, step: str, home: str = "billing") -> None:
    """Post, and die at this step: nothing is finished and nothing taken back, only connections end."""
    there = asyncio.Event()
    seen: set[tuple[str, str]] = set()
    # The others get as far as they can.
    expected = {("prepared", one.name) for one in books.homes} | {(step, home)}

    async def witness(now: str, where: str) -> None:
        seen.add((now, where))
        if seen >= expected:
            there.set()
        if (now, where) == (step, home):
            await asyncio.Event().wait()

    door = Door(books, operator, Metrics(), 1, witness)
    lane = door._lanes[0]
    posting = asyncio.create_task(door.post(operation))
    async with asyncio.timeout(20):
        await there.wait()
    assert lane.post._worker is not None
    lane.post._worker.cancel()
    posting.cancel()
    await asyncio.gather(lane.post._worker, posting, return_exceptions=True)
    for one in (lane._writer._billing, *lane._writer._others.values()):
        await one.let_go()


def test_the_books_that_settings_know_are_the_books_that_can_move() -> None:
    assert {str(book) for book in TABLES} == set(MOVABLE_BOOKS)


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


@pytest.mark.parametrize("home", ["receivables", "history", "provisioning", "billing"])
async def test_a_coordinator_that_dies_before_billing_commits_leaves_an_aborted_batch(
    split: Engine, database_url: str, addresses: dict[str, str], books: Books, home: str
) -> None:
    line = await open_line(split)
    (payment,) = capture(database_url, [line], AMOUNT)
    operation = settling(line, payment, AMOUNT)
    before = await decisions(books)
    await left_behind(books, split.operator, operation, "prepared", home)
    assert sum(len(prepared_in(url)) for url in addresses.values()) == 3
    patient, impatient = Recovery(books), Recovery(books, grace=0)
    assert await patient.run() == 0
    assert [one.verdict for one in await patient.prepared()] == [None] * 3
    assert await impatient.run() == 3
    assert await decisions(books) == [*before, BatchVerdict.ABORT]
    await patient.close()
    await impatient.close()
    assert rows_of(addresses["receivables"], "receivable") == 0
    assert (await split.post(operation)).ok
    assert rows_of(addresses["receivables"], "receivable") == 1
    assert await check_all(books) == []


async def test_a_coordinator_that_dies_after_billing_committed_is_finished_for_at_once(
    split: Engine, database_url: str, addresses: dict[str, str], books: Books
) -> None:
    line = await open_line(split)
    (payment,) = capture(database_url, [line], AMOUNT)
    operation = settling(line, payment, AMOUNT)
    await left_behind(books, split.operator, operation, "committed")
    recovery = Recovery(books)
    assert [one.verdict for one in await recovery.prepared()] == [BatchVerdict.COMMIT] * 3
    assert await recovery.run() == 3
    await recovery.close()
    assert (await split.post(operation)).ok
    assert rows_of(addresses["receivables"], "receivable") == rows_of(addresses["history"], "payment_history") == 1
    assert await check_all(books) == []


async def test_a_book_that_is_lost_after_billing_committed_fails_no_operation(
    split: Engine, database_url: str, addresses: dict[str, str], books: Books
) -> None:
    line = await open_line(split)
    (payment,) = capture(database_url, [line], AMOUNT)

    async def cut_off(step: str, _home: str) -> None:
        if step == "committed":
            with psycopg.connect(addresses["history"], autocommit=True) as owner:
                owner.execute(KILL_ALL)

    door = Door(books, split.operator, Metrics(), 1, cut_off)
    assert (await door.post(settling(line, payment, AMOUNT))).ok
    await door.close()
    assert [len(prepared_in(url)) for url in addresses.values()] == [0, 1, 0]
    recovery = Recovery(books)
    assert await recovery.run() == 1
    await recovery.close()
    assert await check_all(books) == []


async def test_a_coordinator_that_was_only_slow_finds_its_batch_aborted_and_runs_it_again(
    split: Engine, database_url: str, addresses: dict[str, str], books: Books
) -> None:
    line = await open_line(split)
    (payment,) = capture(database_url, [line], AMOUNT)
    recovery = Recovery(books, grace=0)
    finished: list[int] = []

    async def sleeping(step: str, home: str) -> None:
        if (step, home) == ("prepared", "billing") and not finished:
            finished.append(await recovery.run())

    door = Door(books, split.operator, Metrics(), 1, sleeping)
    before = await decisions(books)
    answer = await door.post(settling(line, payment, AMOUNT))
    await door.close()
    await recovery.close()
    assert finished == [3] and answer.ok
    assert await decisions(books) == [*before, BatchVerdict.ABORT, BatchVerdict.COMMIT]
    assert (await split.subscriber(line.msisdn)).total(Unit.MONEY) == AMOUNT
    assert rows_of(addresses["receivables"], "receivable") == 1
    assert [prepared_in(url) for url in addresses.values()] == [[], [], []]
    assert await check_all(books) == []


async def test_two_recoveries_at_once_finish_everything_once(
    split: Engine, database_url: str, addresses: dict[str, str], books: Books
) -> None:
    lines = [await open_line(split) for _ in range(4)]
    for line, payment in zip(lines, capture(database_url, lines, AMOUNT), strict=True):
        await left_behind(books, split.operator, settling(line, payment, AMOUNT), "prepared")
    recoveries = [Recovery(books, grace=0) for _ in range(2)]
    assert sum(await asyncio.gather(*(one.run() for one in recoveries))) == 12
    for one in recoveries:
        await one.close()
    assert await check_all(books) == []


async def test_an_engine_that_opens_finishes_what_is_decided(
    split: Engine, database_url: str, addresses: dict[str, str], books: Books, keyring: Keyring
) -> None:
    line = await open_line(split)
    (payment,) = capture(database_url, [line], AMOUNT)
    await left_behind(books, split.operator, settling(line, payment, AMOUNT), "committed")
    await (await open_engine(database_url, split.operator, keyring, books=addresses)).close()
    assert [prepared_in(url) for url in addresses.values()] == [[], [], []]


async def test_a_decision_is_kept_while_anything_of_its_batch_is_prepared(
    split: Engine, database_url: str, addresses: dict[str, str], books: Books
) -> None:
    first, line = await open_line(split), await open_line(split)
    earlier, payment = capture(database_url, [first, line], AMOUNT)
    await split.post(settling(first, earlier, AMOUNT))
    await left_behind(books, split.operator, settling(line, payment, AMOUNT), "committed")
    held = {batch_of(name) for url in addresses.values() for name in prepared_in(url)}
    assert len(held) == 1 and len(await decisions(books)) > 1
    recovery = Recovery(books, retention=timedelta(0))
    found, complete = await recovery._list()
    assert complete
    await recovery._prune([one.batch_id for one in found])
    assert await decisions(books) == [BatchVerdict.COMMIT]
    assert await recovery.run() == 3
    await recovery.close()
    assert await decisions(books) == [BatchVerdict.COMMIT]
    again = Recovery(books, retention=timedelta(0))
    assert await again.run() == 0
    await again.close()
    assert await decisions(books) == []


async def test_nothing_is_forgotten_while_a_database_cannot_be_asked(split: Engine, books: Books) -> None:
    await open_line(split, money=1_000)
    assert (before := await decisions(books))
    gone = open_books("postgresql://nobody@127.0.0.1:1/none", connections=1)
    lame = Books(books.billing, (*books.homes[:2], type(books.homes[2])("provisioning", gone.billing, ())))
    recovery = Recovery(lame, retention=timedelta(0))
    assert await recovery.run() == 0
    await recovery.close()
    await gone.dispose()
    assert await decisions(books) == before


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
        with pytest.raises(SettingsError, match=r"books\.history: its database does not take it"):
            await open_engine(database_url, operator, keyring, books={"history": fresh})
