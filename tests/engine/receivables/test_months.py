"""Which months are billed, what a fault leaves to be done, and what carries on to the next bill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from engine.api import Engine
from engine.books.invariants import check_all
from engine.receivables.service import SETTLED, NotAllBilled
from engine.usage.meters import month_of
from engine.words import Charge, Purchase, Refund, SetCreditLimit, Subscriber, Unit
from tests.engine.shop import asking, open_line

Connection = psycopg.Connection[tuple[Any, ...]]


async def postpaid(engine: Engine) -> Subscriber:
    line = await open_line(engine, postpaid=True)
    assert (await engine.post(asking(SetCreditLimit, line, limit=100_000, reason="contract"))).ok
    return line


async def use(engine: Engine, line: Subscriber, amount: int) -> None:
    assert (await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=amount))).ok


def bills(owner: Connection, line: Subscriber) -> list[int]:
    query = "SELECT amount FROM bill WHERE account_id = %s ORDER BY period_to"
    return [amount for (amount,) in owner.execute(query, [line.account.account_id])]


def months(owner: Connection, line: Subscriber) -> int:
    query = "SELECT count(*) FROM operation WHERE kind = 'make_bill' AND code = 'ok' AND account_id = %s"
    return int(owner.execute(query, [line.account.account_id]).fetchall()[0][0])


def billed_until(owner: Connection) -> datetime | None:
    found = owner.execute("SELECT at FROM watermark WHERE name = 'bills'").fetchall()
    return found[0][0] if found else None


def month_before(at: datetime, zone: str, number: int = 1) -> datetime:
    for _ in range(number):
        at = month_of(at - timedelta(days=1), zone)
    return at


class Faulty:
    """While it is entered, one account's bills cannot be booked."""

    def __init__(self, owner: Connection, line: Subscriber) -> None:
        self._owner, self._account = owner, line.account.account_id

    def __enter__(self) -> None:
        allowed = f"kind <> 'make_bill' OR account_id <> '{self._account}'"
        self._owner.execute(f"ALTER TABLE operation ADD CONSTRAINT faulty CHECK ({allowed})")

    def __exit__(self, *_: object) -> None:
        self._owner.execute("ALTER TABLE operation DROP CONSTRAINT faulty")


async def test_what_came_back_after_its_month_is_less_on_the_next_bill(charging: Engine, owner: Connection) -> None:
    line, product = await postpaid(charging), charging.products()[0]
    since = datetime.now(UTC) - timedelta(hours=1)
    bought = asking(Purchase, line, product=product.code, price=product.price)
    assert (await charging.post(bought)).ok
    await use(charging, line, 6_000)
    first = datetime.now(UTC)
    await charging.bills.make_bills(since, first)
    assert (await charging.post(asking(Refund, line, refunded_key=bought.key, reason="fault"))).ok
    second = datetime.now(UTC)
    assert await charging.bills.make_bills(first, second) == 0
    await use(charging, line, product.price + 700)
    assert await charging.bills.make_bills(second, datetime.now(UTC)) == 1
    # In all, what was used and not given back.
    assert bills(owner, line) == [6_000 + product.price, 700]
    assert await check_all(charging._database) == []


async def test_use_that_a_bill_missed_is_on_the_next_one(charging: Engine, owner: Connection) -> None:
    line = await postpaid(charging)
    await use(charging, line, 700)
    # As if it had been booked before the bill was made, but committed after it.
    until = datetime.now(UTC)
    await charging.bills.make_bills(until - timedelta(hours=2), until - timedelta(hours=1))
    await charging.bills.make_bills(until - timedelta(minutes=1), until)
    assert bills(owner, line) == [700]


async def test_months_in_which_no_schedule_ran_are_billed_one_by_one(charging: Engine, owner: Connection) -> None:
    line, zone = await postpaid(charging), charging.operator.timezone
    until = month_of(datetime.now(UTC) - SETTLED, zone)
    await charging.bills.bill_last_month()
    assert (months(owner, line), billed_until(owner)) == (1, until)
    owner.execute("UPDATE watermark SET at = %s WHERE name = 'bills'", [month_before(until, zone, 4)])
    await charging.bills.bill_last_month()
    assert (months(owner, line), billed_until(owner)) == (4, until)
    await charging.bills.bill_last_month()
    assert months(owner, line) == 4


async def test_a_month_is_done_only_when_no_account_failed_and_one_keeps_no_other_waiting(
    charging: Engine, owner: Connection
) -> None:
    faulty, sound = await postpaid(charging), await postpaid(charging)
    until = month_of(datetime.now(UTC) - SETTLED, charging.operator.timezone)
    with Faulty(owner, faulty):
        await charging.bills.bill_last_month()
        assert (months(owner, faulty), months(owner, sound), billed_until(owner)) == (0, 1, None)
    await charging.bills.bill_last_month()
    assert (months(owner, faulty), months(owner, sound), billed_until(owner)) == (1, 1, until)


async def test_who_asks_for_bills_is_told_of_accounts_that_failed(charging: Engine, owner: Connection) -> None:
    faulty, sound = await postpaid(charging), await postpaid(charging)
    for line in (faulty, sound):
        await use(charging, line, 700)
    now = datetime.now(UTC)
    with Faulty(owner, faulty), pytest.raises(NotAllBilled, match="1 accounts could not be billed and 1 were"):
        await charging.bills.make_bills(now - timedelta(hours=1), now)
    assert (bills(owner, faulty), bills(owner, sound)) == ([], [700])
    await charging.bills.make_bills(now - timedelta(hours=1), now)
    assert (bills(owner, faulty), bills(owner, sound)) == ([700], [700])
