"""The facts that payments are decided over: what counts as paid today, as usual, as waiting, as tried lately."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from redis.asyncio import Redis

from engine.api import Engine
from engine.guard import payment_store
from engine.guard.payment_rules import History
from engine.guard.payment_store import LOOKS_BACK, Known
from engine.guard.velocity import Seen, Windows
from engine.storage.database import open_database
from engine.storage.driver import driver_of
from engine.words import PaymentMethod, PaymentState, Subscriber
from settings import FraudRules, Velocity
from tests.engine.shop import open_line

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MIDNIGHT = NOW - timedelta(hours=15)
Owner = psycopg.Connection[Any]
S = PaymentState


def paid(
    owner: Owner,
    line: Subscriber,
    amount: int,
    state: PaymentState,
    *,
    at: datetime = NOW,
    method: str = "mobile_money",
) -> None:
    """A payment of the line that began at a time and stands so."""
    names = "shard, account_id, payment_id, line_id, gateway, method, amount, currency, state, reference, source"
    owner.execute(
        f"INSERT INTO payment ({names}, created_at, changed_at, next_check_at)"
        " VALUES (%s, %s, %s, %s, 'sandbox', %s, %s, 'KES', %s, 'REF', 'test', %s, %s, %s)",
        (*line.account, uuid4(), line.line_id, method, amount, state.value, at, at, at),
    )


async def facts(url: str, line: Subscriber) -> Known:
    """What is known when the line wants to pay by mobile money."""
    asked = [(*line.account, line.line_id, uuid4(), PaymentMethod.MOBILE_MONEY.value)]
    database = open_database(url, connections=1)
    async with database.connect() as connection:
        (found,), _ = await payment_store.known(await driver_of(connection), asked, [], now=NOW, day=MIDNIGHT)
    await database.dispose()
    assert found is not None
    return found


async def test_a_day_counts_what_was_paid_or_asked_for_by_this_method_since_midnight(
    engine: Engine, owner: Owner, database_url: str
) -> None:
    line = await open_line(engine)
    for place, state in enumerate(S):
        paid(owner, line, 10**place, state)
    paid(owner, line, 10**13, S.SETTLED, at=MIDNIGHT)
    paid(owner, line, 10**14, S.SETTLED, at=MIDNIGHT - timedelta(seconds=1))
    paid(owner, line, 10**15, S.SETTLED, method="card")
    gone = {S.DECLINED, S.REFUNDING, S.REFUNDED, S.CHARGED_BACK}
    expected = sum(10**place for place, state in enumerate(S) if state not in gone)
    assert (await facts(database_url, line)).history.today == expected + 10**13


async def test_what_waits_is_what_may_still_be_paid(engine: Engine, owner: Owner, database_url: str) -> None:
    line = await open_line(engine)
    for state in S:
        paid(owner, line, 100, state, at=NOW - timedelta(days=2))
    waits = {S.CREATED, S.REVIEW, S.REQUESTED, S.PENDING, S.UNKNOWN, S.HELD}
    assert (await facts(database_url, line)).history.waiting == len(waits)


async def test_the_usual_amount_is_the_middle_one_of_what_was_credited_lately(
    engine: Engine, owner: Owner, database_url: str
) -> None:
    line = await open_line(engine)
    assert (await facts(database_url, line)).history == History()
    for amount in (100, 300, 9_000):
        paid(owner, line, amount, S.SETTLED, at=NOW - timedelta(days=3))
    for _ in range(4):
        paid(owner, line, 10_000, S.DECLINED, at=NOW - timedelta(days=3))
        paid(owner, line, 1, S.SETTLED, at=NOW - LOOKS_BACK)
    history = (await facts(database_url, line)).history
    assert (history.settled, history.usual) == (3, 300)
    assert timedelta(days=90) == LOOKS_BACK


async def test_the_balance_is_money_that_is_neither_over_nor_held(
    engine: Engine, owner: Owner, database_url: str
) -> None:
    line = await open_line(engine, money=700)
    owner.execute("UPDATE bucket SET reserved = 200, expires_at = %s", [NOW + timedelta(seconds=1)])
    assert (await facts(database_url, line)).balance == 500
    owner.execute("UPDATE bucket SET expires_at = %s", [NOW])
    assert (await facts(database_url, line)).balance == 0


@pytest.fixture
def windows(redis: Redis) -> Windows:
    """Payments of one payer in ten minutes and in an hour."""
    rules = [Velocity(of="payer", most=1, minutes=minutes, weight=1) for minutes in (10, 60)]
    return Windows(redis, FraudRules(velocity=tuple(rules)))


async def tried(windows: Windows, minute: int, payment: UUID | None = None) -> list[int]:
    """How many the payer's windows hold with a payment of that minute, the shorter window first."""
    seen = Seen(payment or uuid4(), {"payer": b"p" * 32})
    (counts,) = await windows.seen([seen], NOW + timedelta(minutes=minute))
    assert counts is not None
    return [counts["payer", 10], counts["payer", 60]]


async def test_windows_slide_and_forget_what_lies_behind_them(windows: Windows) -> None:
    assert [await tried(windows, minute) for minute in (0, 5, 11, 62)] == [[1, 1], [2, 2], [2, 3], [1, 3]]


async def test_a_payment_counts_from_when_it_was_asked_for_first(windows: Windows) -> None:
    payment = uuid4()
    assert await tried(windows, 0, payment) == [1, 1]
    assert await tried(windows, 8, payment) == [1, 1]
    assert await tried(windows, 12) == [1, 2]
