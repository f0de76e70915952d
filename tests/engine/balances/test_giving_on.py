"""What may not be given on: borrowed money, a credit line, a longer life; and what an undone gift gives back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import Advance, Charge, Code, Period, Purchase, Refund, SetCap, SetCreditLimit, Subscriber, Unit
from tests.engine.balances.test_gifts import gift, totals, undoing
from tests.engine.shop import asking, credit, open_line, redeeming, sell_vouchers

Connection = psycopg.Connection[tuple[Any, ...]]


async def limit(engine: Engine, line: Subscriber, amount: int) -> None:
    asked = asking(SetCap, line, unit=Unit.MONEY, period=Period.DAY, amount=amount)
    assert (await engine.post(asked)).ok


async def test_borrowed_airtime_is_for_the_borrower_alone(charging: Engine) -> None:
    sender, receiver = await open_line(charging), await open_line(charging)
    (number,) = await sell_vouchers(charging, 3_000, 1)
    await charging.post(redeeming(charging, sender, number))
    await charging.post(asking(Charge, sender, unit=Unit.MONEY, amount=2_700))
    assert (await charging.post(asking(Advance, sender, amount=1_000, fee=100))).ok
    # 1 300, of which 300 are the sender's own.
    refused = await charging.post(gift(sender, receiver, 300))
    assert (refused.code, refused.details["missing"]) == (Code.BALANCE_TOO_LOW, 13)
    assert (await charging.post(gift(sender, receiver, 200))).ok
    assert (await charging.post(asking(Charge, sender, unit=Unit.MONEY, amount=1_000))).ok
    assert await totals(charging, sender, receiver) == [88, 200]
    assert await check_all(charging._database) == []


async def test_money_given_to_and_fro_ends_when_it_would_have_ended(charging: Engine, owner: Connection) -> None:
    first, second = await open_line(charging, money=5_000), await open_line(charging)
    owner.execute(
        "UPDATE bucket SET expires_at = now() + interval '2 hours' WHERE account_id = %s", [first.account.account_id]
    )
    (end,) = {bucket.expires_at for bucket in (await charging.subscriber(first.msisdn)).buckets}
    assert (await charging.post(gift(first, second, 1_000))).ok
    assert (await charging.post(gift(second, first, 900))).ok
    for line in (first, second):
        assert {bucket.expires_at for bucket in (await charging.subscriber(line.msisdn)).buckets} == {end}


async def test_the_fee_too_is_paid_with_money_of_ones_own(charging: Engine, owner: Connection) -> None:
    sender, receiver = await open_line(charging, postpaid=True), await open_line(charging)
    assert (await charging.post(asking(SetCreditLimit, sender, limit=10_000, reason="contract"))).ok
    # The credit line would be used first.
    owner.execute("UPDATE bucket SET priority = 1 WHERE product = 'credit_line'")
    await credit(charging, sender, 2_000, Unit.OCTETS)
    assert (await charging.post(gift(sender, receiver, 2_000, Unit.OCTETS))).code == Code.BALANCE_TOO_LOW
    await credit(charging, sender, 5)
    assert (await charging.post(gift(sender, receiver, 2_000, Unit.OCTETS))).ok
    left = {bucket.product: bucket.amount for bucket in (await charging.subscriber(sender.msisdn)).buckets}
    assert (left["credit_line"], left.get("airtime", 0)) == (10_000, 0)
    assert await check_all(charging._database) == []


async def test_an_undone_gift_gives_room_under_the_cap_back(charging: Engine) -> None:
    sender, receiver = await open_line(charging, money=5_000), await open_line(charging)
    await limit(charging, sender, 1_020)
    given = gift(sender, receiver, 1_000)
    assert (await charging.post(given)).ok
    assert (await charging.post(gift(sender, receiver, 1_000))).code == Code.CAP_REACHED
    assert (await charging.post(undoing(sender, receiver, given))).ok
    assert (await charging.post(gift(sender, receiver, 1_000))).ok
    assert (await charging.post(asking(Charge, sender, unit=Unit.MONEY, amount=1))).code == Code.CAP_REACHED


async def test_a_refund_gives_room_back_only_in_the_day_of_its_purchase(charging: Engine, owner: Connection) -> None:
    line, product = await open_line(charging, money=5_000), charging.products()[0]
    await limit(charging, line, product.price)
    bought = asking(Purchase, line, product=product.code, price=product.price)
    assert (await charging.post(bought)).ok
    assert (await charging.post(asking(Refund, line, refunded_key=bought.key, reason="fault"))).ok
    again = asking(Purchase, line, product=product.code, price=product.price)
    assert (await charging.post(again)).ok
    # As if it had been a purchase of yesterday: what was used today stays used.
    yesterday = timedelta(days=1)
    for table in ("operation", "transfer"):
        owner.execute(f"UPDATE {table} SET booked_at = booked_at - %s WHERE key = %s", [yesterday, again.key])
    assert (await charging.post(asking(Refund, line, refunded_key=again.key, reason="fault"))).ok
    assert (await charging.post(asking(Charge, line, unit=Unit.MONEY, amount=1))).code == Code.CAP_REACHED
