"""What a line did before: the bundle it buys most, to whom it sends, what it paid last."""

from __future__ import annotations

from uuid import uuid4

import psycopg

from engine.api import Engine
from engine.words import PaymentMethod, PaymentState, Purchase, Subscriber, Transfer, Unit
from tests.engine.payments.house import House
from tests.engine.shop import asking, open_line

BY_PHONE = frozenset({PaymentMethod.MOBILE_MONEY})


async def buys(engine: Engine, line: Subscriber, product: str, source: str = "ussd:test") -> None:
    """One purchase at today's price."""
    price = next(one.price for one in engine.products() if one.code == product)
    assert (await engine.post(asking(Purchase, line, product=product, price=price, source=source))).ok


async def gives(engine: Engine, line: Subscriber, to: Subscriber) -> None:
    """One gift of money."""
    gift = asking(
        Transfer,
        line,
        unit=Unit.MONEY,
        amount=1_000,
        fee=engine.agreements.gift_fee(Unit.MONEY, 1_000),
        receiver=to.account,
        receiver_line=to.line_id,
        sender_shown="..0001",
        receiver_shown="..0002",
    )
    answer = await engine.post(gift)
    assert answer.ok, answer.code


async def test_the_bundle_bought_most_comes_first_and_of_equals_the_one_bought_last(engine: Engine) -> None:
    line = await open_line(engine, money=90_000)
    assert await engine.favourites.bought(line.line) == []
    for product in ("data_day_100mb", "social_day", "voice_day_30min", "social_day"):
        await buys(engine, line, product)
    assert await engine.favourites.bought(line.line) == ["social_day", "voice_day_30min", "data_day_100mb"]


async def test_what_staff_bought_for_a_line_or_another_line_bought_is_no_habit_of_it(engine: Engine) -> None:
    line, other = await open_line(engine, money=90_000), await open_line(engine, money=90_000)
    await buys(engine, line, "data_day_100mb", source="console:amina")
    await buys(engine, other, "social_day")
    assert await engine.favourites.bought(line.line) == []


async def test_a_purchase_that_was_refused_is_no_habit(engine: Engine) -> None:
    line = await open_line(engine)
    refused = await engine.post(asking(Purchase, line, product="social_day", price=1_000, source="ussd:test"))
    assert not refused.ok
    assert await engine.favourites.bought(line.line) == []


def grow_older(database_url: str, line: Subscriber) -> None:
    """All that a line did was done a quarter of an hour earlier."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        earlier = "UPDATE operation SET booked_at = booked_at - interval '15 minutes' WHERE account_id = %s"
        owner.execute(earlier, (line.account.account_id,))


async def test_the_last_receivers_come_latest_first_each_once_and_at_most_three(
    engine: Engine, database_url: str
) -> None:
    line = await open_line(engine, money=90_000)
    friends = [await open_line(engine) for _ in range(4)]
    for number in (0, 1, 2, 3, 1):
        await gives(engine, line, friends[number])
    grow_older(database_url, line)
    assert await engine.favourites.receivers(line.line) == [friends[number].line for number in (1, 3, 2)]
    assert await engine.favourites.receivers(friends[1].line) == []


async def test_what_was_given_just_now_moves_nobody_who_was_there_before(engine: Engine, database_url: str) -> None:
    line = await open_line(engine, money=90_000)
    friends = [await open_line(engine) for _ in range(3)]
    for number in (0, 1):
        await gives(engine, line, friends[number])
    grow_older(database_url, line)
    for number in (0, 2):
        await gives(engine, line, friends[number])
    assert await engine.favourites.receivers(line.line) == [friends[number].line for number in (1, 0, 2)]


async def test_the_last_recharge_is_the_lines_own_or_one_that_it_paid_for_another(house: House) -> None:
    favourites = house.engine.favourites
    line, other = await house.line(), await house.line()
    assert await favourites.last_recharge(line.line, BY_PHONE) is None
    own = await house.ended(await house.pay(line, 5_000))
    assert await favourites.last_recharge(line.line, BY_PHONE) == (own, None)
    key = uuid4()
    for _ in range(2):
        paid = await house.pay(other, 7_000, key=key, msisdn=line.msisdn, asked_by=line.line)
    paid = await house.ended(paid)
    assert await favourites.last_recharge(line.line, BY_PHONE) == (paid, other.line)
    assert await favourites.receivers(line.line) == [other.line]
    assert await favourites.last_recharge(line.line, frozenset({PaymentMethod.CARD})) is None
    newest = await house.ended(await house.pay(line, 6_000))
    assert await favourites.last_recharge(line.line, BY_PHONE) == (newest, None)


async def test_a_recharge_that_failed_is_not_the_last_one(house: House) -> None:
    favourites = house.engine.favourites
    line, other = await house.line(), await house.line()
    await house.plays("decline")
    failed = await house.ended(await house.pay(other, 7_000, msisdn=line.msisdn, asked_by=line.line))
    assert failed.state is PaymentState.DECLINED
    assert await favourites.last_recharge(line.line, BY_PHONE) is None


async def test_whom_a_line_recharged_is_forgotten_with_the_other_traces_of_payments(house: House) -> None:
    favourites = house.engine.favourites
    line, other = await house.line(), await house.line()
    await house.ended(await house.pay(other, 7_000, msisdn=line.msisdn, asked_by=line.line))
    await house.engine.payments.tidy()
    assert await favourites.receivers(line.line) == [other.line]
    await house.run("UPDATE recharged_other SET asked_at = asked_at - interval '401 days'")
    await house.engine.payments.tidy()
    assert await house.rows("SELECT 1 FROM recharged_other") == []
