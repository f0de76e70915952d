"""A batch over several databases whose coordinator is gone: somebody finishes it, as was decided, once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest

from engine.api import Engine, open_engine
from engine.books.databases import Books, open_books
from engine.books.distributed import batch_of
from engine.books.invariants import check_all
from engine.books.recovery import Recovery
from engine.books.service import Door
from engine.books.tables import BatchVerdict
from engine.words import Unit
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from tests.engine.books.apart import capture, prepared_in, rows_of, settling
from tests.engine.books.distributed.batches import AMOUNT, decisions, left_behind
from tests.engine.shop import open_line

KILL_ALL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


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
