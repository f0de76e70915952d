"""Postpaid accounts: a limit that is used up and filled again, bills of a month, fixed lines, family accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from engine.accounts.rules import FIXED
from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import (
    BadNumber,
    Charge,
    Code,
    MakeBill,
    Period,
    Purchase,
    Refund,
    SetCap,
    SetCreditLimit,
    Subscriber,
    Unit,
)
from settings import Operator
from tests.engine.shop import asking, next_msisdn, open_line


async def postpaid(engine: Engine, limit: int) -> Subscriber:
    line = await open_line(engine, postpaid=True)
    assert (await engine.post(asking(SetCreditLimit, line, limit=limit, reason="contract"))).ok
    return await engine.subscriber(line.msisdn)


async def test_a_postpaid_account_uses_up_to_its_limit(charging: Engine) -> None:
    line = await postpaid(charging, 10_000)
    assert line.total(Unit.MONEY) == 10_000
    assert (await charging.post(asking(Charge, line, unit=Unit.MONEY, amount=9_000))).ok
    assert (await charging.post(asking(Charge, line, unit=Unit.MONEY, amount=1_001))).code == Code.BALANCE_TOO_LOW
    raised = await charging.post(asking(SetCreditLimit, line, limit=12_000, reason="good customer"))
    assert (raised.code, raised.details["before"]) == (Code.OK, 10_000)
    refused = await charging.post(asking(SetCreditLimit, line, limit=8_999, reason="too low"))
    assert (refused.code, refused.details["owed"]) == (Code.LIMIT_REFUSED, 9_000)
    assert (await charging.post(asking(SetCreditLimit, line, limit=9_000, reason="no more"))).ok
    assert (await charging.subscriber(line.msisdn)).total(Unit.MONEY) == 0
    prepaid = await open_line(charging)
    assert (await charging.post(asking(SetCreditLimit, prepaid, limit=1, reason="x"))).code == Code.LIMIT_REFUSED
    assert await check_all(charging._database) == []


async def test_what_was_used_in_a_period_is_billed_once(charging: Engine, database_url: str) -> None:
    line, idle = await postpaid(charging, 100_000), await postpaid(charging, 5_000)
    product = charging.products()[0]
    bought = asking(Purchase, line, product=product.code, price=product.price)
    await charging.post(bought)
    await charging.post(asking(Refund, line, refunded_key=bought.key, reason="test"))
    await charging.post(asking(Charge, line, unit=Unit.MONEY, amount=700))
    since, until = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC)
    assert await charging.bills.make_bills(since, until) == 1
    assert await charging.bills.make_bills(since, until) == 1  # the stored answer
    with psycopg.connect(database_url) as owner:
        bills = owner.execute("SELECT account_id, amount, open_amount FROM bill").fetchall()
        owed = owner.execute("SELECT debit, credit, amount FROM receivable").fetchall()
    assert bills == [(line.account.account_id, 700, 700)]
    assert owed == [("billed", "revenue", 700)]
    assert "bill.issued" in {message.topic for message in await charging.claim_messages(50, 60)}
    assert (await charging.subscriber(idle.msisdn)).total(Unit.MONEY) == 5_000
    assert await check_all(charging._database) == []


async def test_a_month_is_billed_once_and_only_when_it_is_over(charging: Engine) -> None:
    line = await postpaid(charging, 1_000)
    await charging.post(asking(Charge, line, unit=Unit.MONEY, amount=700))
    # All of it was used in the month that still goes on.
    assert await charging.bills.bill_last_month() == 0
    now = datetime.now(UTC)
    with pytest.raises(ValueError, match="over"):
        await charging.bills.make_bills(now, now + timedelta(days=1))


async def test_a_bill_is_numbered_by_the_local_month_that_it_is_of(charging: Engine, rated: Operator) -> None:
    line = await postpaid(charging, 1_000)
    await charging.post(asking(Charge, line, unit=Unit.MONEY, amount=700))
    begins = datetime(2026, 11, 1, tzinfo=ZoneInfo(rated.timezone)).astimezone(UTC)
    assert begins.month == 10
    answer = await charging.post(
        asking(MakeBill, line, period_from=begins, period_to=datetime.now(UTC), due_at=datetime.now(UTC))
    )
    assert answer.details["number"].startswith("202611-")


async def test_a_prepaid_account_is_not_billed(charging: Engine) -> None:
    line = await open_line(charging, money=1_000)
    until = datetime.now(UTC)
    bill = asking(MakeBill, line, period_from=until - timedelta(days=1), period_to=until, due_at=until)
    assert (await charging.post(bill)).code == Code.LIMIT_REFUSED


async def test_a_fixed_line_has_a_number_of_its_own_kind(charging: Engine) -> None:
    line = await charging.create_line("+254202222222", fixed=True)
    assert (await charging.subscriber("020 2222222", kinds=FIXED)).line_id == line.line_id
    assert (await charging.line_of("msisdn-254202222222")).line_id == line.line_id
    with pytest.raises(BadNumber, match="not_mobile"):
        await charging.subscriber("+254202222222")
    with pytest.raises(BadNumber):
        await charging.create_line(next_msisdn(), fixed=True)


async def test_what_the_owner_of_an_account_limits_its_other_lines_may_lower_and_never_raise(charging: Engine) -> None:
    parent = await open_line(charging, money=10_000)
    child, sibling = [await open_line(charging, account=parent.account) for _ in range(2)]

    async def wish(line: Subscriber, amount: int | None, by: Subscriber | None = None) -> Code:
        asker = None if by is None else by.line_id
        asked = asking(SetCap, line, unit=Unit.MONEY, period=Period.DAY, amount=amount, by=asker)
        return Code((await charging.post(asked)).code)

    async def cap() -> int | None:
        return (await charging.usage.spending_rules(child)).meters[0].day_cap

    assert await wish(child, 900) == Code.OK
    assert await wish(child, 500, parent) == Code.OK
    assert (await charging.post(asking(Charge, child, unit=Unit.MONEY, amount=100))).ok
    for more in (501, None):
        assert await wish(child, more) == Code.CAP_OF_OWNER
    assert await wish(child, None, sibling) == Code.CAP_OF_OWNER
    assert await cap() == 500
    assert await wish(child, 200) == Code.OK
    assert await wish(child, 400) == Code.OK
    assert await wish(child, None, parent) == Code.OK
    assert await wish(child, 9_000) == Code.OK
    assert await cap() == 9_000
    # The owner's own limits are the owner's, however they were set.
    assert await wish(parent, 100, parent) == Code.OK
    assert await wish(parent, None) == Code.OK


async def test_lines_of_a_family_share_a_balance_each_within_its_own_cap(charging: Engine) -> None:
    parent = await open_line(charging, money=10_000)
    child = await open_line(charging, account=parent.account)
    assert child.total(Unit.MONEY) == 10_000
    await charging.post(asking(SetCap, child, unit=Unit.MONEY, period=Period.DAY, amount=500))
    assert (await charging.post(asking(Charge, child, unit=Unit.MONEY, amount=400))).ok
    product = charging.products()[0]
    bought = await charging.post(asking(Purchase, child, product=product.code, price=product.price))
    assert bought.code == Code.CAP_REACHED
    assert (await charging.post(asking(Charge, child, unit=Unit.MONEY, amount=101))).code == Code.CAP_REACHED
    assert (await charging.post(asking(Charge, parent, unit=Unit.MONEY, amount=5_000))).ok
    assert (await charging.subscriber(child.msisdn)).total(Unit.MONEY) == 4_600
    assert await check_all(charging._database) == []
