"""Open bills stand in the column of their age, what is paid in none; gateways owe what they captured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from engine.api import Engine
from engine.books.invariants import CHECKS, run_check
from engine.words import Subscriber
from tests.engine.payers import settled
from tests.engine.shop import open_line

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def bill(owner: psycopg.Connection[object], line: Subscriber, amount: int, due_at: datetime, left: int = -1) -> None:
    """A bill that is due at a time, all of it open unless ``left`` says less."""
    owner.execute(
        "INSERT INTO bill (shard, account_id, bill_id, number, amount, open_amount, currency, period_from, period_to,"
        " issued_at, due_at, changed_at) VALUES (%s, %s, %s, 'N', %s, %s, 'KES', %s, %s, %s, %s, %s)",
        (*line.account, uuid4(), amount, amount if left < 0 else left, *(due_at,) * 5),
    )


@pytest.mark.parametrize(
    ("late", "column"),
    [
        (timedelta(days=-1), "current"),
        (timedelta(0), "current"),
        (timedelta(seconds=1), "to_30"),
        (timedelta(days=30), "to_30"),
        (timedelta(days=30, seconds=1), "to_60"),
        (timedelta(days=60), "to_60"),
        (timedelta(days=60, seconds=1), "to_90"),
        (timedelta(days=90), "to_90"),
        (timedelta(days=90, seconds=1), "above_90"),
    ],
)
async def test_a_bill_stands_in_the_column_of_its_age(engine: Engine, owner, late: timedelta, column: str) -> None:
    bill(owner, await open_line(engine), 1_000, NOW - late)
    [aged] = await engine.receivables.ages(NOW)
    assert (getattr(aged, column), aged.total, aged.bills, aged.account) == (1_000, 1_000, 1, None)


async def test_what_is_paid_is_owed_no_more(engine: Engine, owner) -> None:
    line = await open_line(engine)
    bill(owner, line, 1_000, NOW, left=0)
    assert await engine.receivables.ages(NOW) == []
    bill(owner, line, 1_000, NOW, left=400)
    [aged] = await engine.receivables.ages(NOW)
    assert aged.total == 400


async def test_accounts_add_up_to_all(engine: Engine, owner) -> None:
    for amount in (100, 200, 300):
        line = await open_line(engine)
        bill(owner, line, amount, NOW)
        bill(owner, line, amount, NOW - timedelta(days=100))
    accounts = await engine.receivables.ages(NOW, by_account=True)
    [whole] = await engine.receivables.ages(NOW)
    assert len(accounts) == 3
    assert sum(one.total for one in accounts) == whole.total == 1_200
    assert sum(one.above_90 for one in accounts) == whole.above_90 == 600


async def test_gateways_owe_what_they_captured(engine: Engine, owner) -> None:
    await settled(engine, owner, await open_line(engine), 5_000)
    [owed] = await engine.receivables.owed_by_gateways()
    assert (owed.gateway, owed.currency, owed.amount) == ("sandbox", "KES", 5_000)


async def test_a_bill_that_the_receivables_do_not_know_breaks_the_books(engine: Engine, owner) -> None:
    line = await open_line(engine)
    [check] = [one for one in CHECKS if one.name == "bills"]
    assert await run_check(engine._books, check) == []
    bill(owner, line, 1_000, NOW)
    [broken] = await run_check(engine._books, check)
    assert (broken.account, broken.expected, broken.found) == (line.account, "1000 of 1000", "nothing")
