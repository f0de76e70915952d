"""Gifts and their undoing, advances, roll-over, extension: through the one door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from engine.api import Engine, open_engine
from engine.books.invariants import check_all
from engine.words import (
    Advance,
    Answer,
    Charge,
    Code,
    Expire,
    Extend,
    LineStatus,
    Operation,
    Purchase,
    Subscriber,
    Transfer,
    Undo,
    Unit,
)
from runtime.keyring import Keyring
from settings import Operator
from tests.engine.shop import asking, credit, open_line, redeeming, sell_vouchers

MB = 1_000_000


def gift(sender: Subscriber, receiver: Subscriber, amount: int, unit: Unit = Unit.MONEY, **more: Any) -> Operation:
    fee = 5 if unit is Unit.OCTETS else 10 + -(-amount // 100)
    given = {"fee": fee, "sender_shown": "0712...001", "receiver_shown": "0712...002"} | more
    return asking(
        Transfer, sender, unit=unit, amount=amount, receiver=receiver.account, receiver_line=receiver.line_id, **given
    )


def undoing(sender: Subscriber, receiver: Subscriber, given: Operation) -> Operation:
    return asking(Undo, sender, undone_key=given.key, receiver=receiver.account, receiver_line=receiver.line_id)


async def totals(engine: Engine, *lines: Subscriber) -> list[int]:
    return [(await engine.subscriber(line.msisdn)).total(Unit.MONEY) for line in lines]


async def test_fee_and_gift_are_what_left_the_sender(charging: Engine) -> None:
    sender, receiver = await open_line(charging, money=5_000), await open_line(charging, money=7)
    given = gift(sender, receiver, 1_000)
    answer = await charging.post(given)
    assert (answer.code, answer.details["fee"]) == (Code.OK, 20)
    assert await totals(charging, sender, receiver) == [3_980, 1_007]
    assert await charging.post(given) == answer
    assert await totals(charging, sender, receiver) == [3_980, 1_007]
    topics = {message.topic for message in await charging.claim_messages(50, 60)}
    assert {"gift.sent", "gift.received"} <= topics
    assert await check_all(charging._database) == []


async def test_a_gift_comes_back_whole_while_it_is_unspent_and_once(charging: Engine) -> None:
    sender, receiver = await open_line(charging, money=5_000), await open_line(charging)
    given = gift(sender, receiver, 1_000)
    await charging.post(given)
    last = await charging.agreements.last_gift(sender)
    assert last is not None
    assert (last.key, last.amount, last.receiver) == (given.key, 1_000, receiver.account)
    assert (await charging.post(undoing(sender, receiver, given))).ok
    assert await totals(charging, sender, receiver) == [5_000, 0]
    assert (await charging.post(undoing(sender, receiver, given))).code == Code.NOTHING_TO_UNDO
    assert await charging.agreements.last_gift(sender) is None
    assert await check_all(charging._database) == []


async def test_a_gift_that_is_touched_or_old_stays(charging: Engine, database_url: str) -> None:
    sender, receiver = await open_line(charging, money=5_000), await open_line(charging)
    spent, old = gift(sender, receiver, 500), gift(sender, receiver, 600)
    await charging.post(spent)
    assert (await charging.post(asking(Charge, receiver, unit=Unit.MONEY, amount=1))).ok
    assert (await charging.post(undoing(sender, receiver, spent))).code == Code.GRANT_USED
    await charging.post(old)
    with psycopg.connect(database_url, autocommit=True) as owner:
        for table in ("operation", "transfer"):
            owner.execute(f"UPDATE {table} SET booked_at = booked_at - interval '11 minutes' WHERE key = %s", [old.key])
    assert (await charging.post(undoing(sender, receiver, old))).code == Code.UNDO_TOO_LATE


async def test_nothing_is_taken_back_from_an_account_that_is_frozen(
    charging: Engine, owner: psycopg.Connection[Any]
) -> None:
    sender, receiver = await open_line(charging, money=5_000), await open_line(charging)
    given = gift(sender, receiver, 500)
    assert (await charging.post(given)).ok
    owner.execute("UPDATE account SET frozen_at = now() WHERE account_id = %s", [receiver.account.account_id])
    assert (await charging.post(undoing(sender, receiver, given))).code == Code.NOTHING_TO_UNDO
    assert await totals(charging, receiver) == [500]


async def test_gifts_are_refused_with_the_reason(charging: Engine) -> None:
    sender, receiver = await open_line(charging, money=50_000), await open_line(charging)
    closed = await open_line(charging, status=LineStatus.BARRED)

    async def code(operation: Operation) -> str:
        return (await charging.post(operation)).code

    assert await code(gift(sender, sender, 500)) == Code.RECEIVER_SAME
    assert await code(gift(sender, closed, 500)) == Code.RECEIVER_UNKNOWN
    assert await code(gift(sender, receiver, 99)) == Code.AMOUNT_INVALID
    assert await code(gift(sender, receiver, 500, fee=0)) == Code.FEE_CHANGED
    assert await code(gift(sender, receiver, 5, Unit.SECONDS, fee=0)) == Code.TRANSFER_NOT_ALLOWED
    assert await code(gift(sender, receiver, 10_000)) == Code.OK
    assert await code(gift(sender, receiver, 5_001)) == Code.TRANSFER_LIMIT
    assert await code(gift(sender, receiver, 100)) == Code.OK
    assert await code(gift(sender, receiver, 100)) == Code.OK
    assert await code(gift(sender, receiver, 100)) == Code.TRANSFER_LIMIT
    poor = await open_line(charging, money=105)
    assert await code(gift(poor, receiver, 100)) == Code.BALANCE_TOO_LOW
    assert await check_all(charging._database) == []


async def test_data_that_is_given_keeps_its_end(charging: Engine, rated: Operator) -> None:
    sender, receiver = await open_line(charging, money=50_000), await open_line(charging)
    bundle = next(product for product in rated.products if product.code == "data_week_1gb")
    await charging.post(asking(Purchase, sender, product=bundle.code, price=bundle.price))
    assert (await charging.post(gift(sender, receiver, 40 * MB, Unit.OCTETS))).ok
    mine = next(b for b in (await charging.subscriber(sender.msisdn)).buckets if b.unit is Unit.OCTETS)
    (theirs,) = (b for b in (await charging.subscriber(receiver.msisdn)).buckets if b.unit is Unit.OCTETS)
    assert (theirs.amount, theirs.expires_at, theirs.product) == (40 * MB, mine.expires_at, "gift")
    assert mine.amount == bundle.grants[0].amount - 40 * MB


async def test_an_advance_is_paid_back_from_the_next_recharges_the_amount_first(charging: Engine) -> None:
    line = await open_line(charging)
    first, second, third = await sell_vouchers(charging, 3_000, 3)
    assert (await charging.agreements.advance_offer(line)).refused == Code.ADVANCE_NOT_ELIGIBLE
    await charging.post(redeeming(charging, line, first))
    await charging.post(asking(Charge, line, unit=Unit.MONEY, amount=3_000))
    poor = await charging.subscriber(line.msisdn)
    offer = await charging.agreements.advance_offer(poor)
    assert offer.amounts == ((1_000, 100), (5_000, 500))
    assert (await charging.post(asking(Advance, line, amount=5_000, fee=1))).code == Code.FEE_CHANGED
    taken = await charging.post(asking(Advance, line, amount=5_000, fee=500))
    assert (taken.code, taken.details["owed"]) == (Code.OK, 5_500)
    again = await charging.post(asking(Advance, line, amount=1_000, fee=100))
    assert (again.code, again.details["owed"]) == (Code.ADVANCE_OPEN, 5_500)
    await charging.post(redeeming(charging, line, second))
    assert (await charging.agreements.advance_offer(line)).owed == 2_500
    assert await totals(charging, line) == [5_000]
    answer: Answer = await charging.post(redeeming(charging, line, third))
    assert (answer.details["amount"], answer.details["balance"]) == (3_000, 5_500)
    assert (await charging.agreements.advance_offer(line)).owed == 0
    topics = [message.topic for message in await charging.claim_messages(50, 60)]
    assert topics.count("advance.recovered") == 2
    assert await check_all(charging._database) == []


async def test_a_line_sees_its_own_gift_to_take_back_and_the_owner_those_of_all(charging: Engine) -> None:
    owner, receiver = await open_line(charging, money=5_000), await open_line(charging)
    child = await open_line(charging, account=owner.account)
    given = gift(owner, receiver, 1_000)
    assert (await charging.post(given)).ok
    assert await charging.agreements.last_gift(child) is None
    given = gift(child, receiver, 500)
    assert (await charging.post(given)).ok
    for line in (child, owner):
        last = await charging.agreements.last_gift(line)
        assert last is not None and last.key == given.key


async def test_a_gift_that_cannot_be_taken_back_hides_no_earlier_one_that_can(
    rated: Operator, database_url: str, keyring: Keyring
) -> None:
    final = tuple(rules.model_copy(update={"undo_minutes": 0}) if rules.unit == "octets" else rules
                  for rules in rated.transfers)  # fmt: skip
    engine = await open_engine(database_url, rated.model_copy(update={"transfers": final}), keyring)
    sender, receiver = await open_line(engine, money=5_000), await open_line(engine)
    await credit(engine, sender, 10 * MB, Unit.OCTETS)
    money = gift(sender, receiver, 1_000)
    for one in (money, gift(sender, receiver, MB, Unit.OCTETS)):
        assert (await engine.post(one)).ok
    last = await engine.agreements.last_gift(sender)
    await engine.close()
    assert last is not None and last.key == money.key


async def test_what_is_left_of_a_long_bundle_lives_on_once(charging: Engine, database_url: str) -> None:
    product = next(product for product in charging.products() if product.code == "data_month_5gb")
    line = await open_line(charging, money=product.price)
    await charging.post(asking(Purchase, line, product=product.code, price=product.price))

    async def ends() -> Answer:
        with psycopg.connect(database_url, autocommit=True) as owner:
            owner.execute(
                "UPDATE bucket SET expires_at = now() - interval '1 second' WHERE product = %s", [product.code]
            )
        return await charging.post(asking(Expire, line))

    first = await ends()
    assert [rest["amount"] for rest in first.details["rolled_over"]] == [product.grants[0].amount]
    (bucket,) = (b for b in (await charging.subscriber(line.msisdn)).buckets if b.unit is Unit.OCTETS)
    assert bucket.amount == product.grants[0].amount
    assert bucket.expires_at is not None
    assert bucket.expires_at > datetime.now(UTC) + timedelta(days=product.days - 1)
    second = await ends()
    assert [loss["amount"] for loss in second.details["expired"]] == [product.grants[0].amount]
    assert (await charging.subscriber(line.msisdn)).total(Unit.OCTETS) == 0
    assert await check_all(charging._database) == []


async def test_what_a_fault_took_is_given_back_in_days(charging: Engine) -> None:
    product = charging.products()[0]
    line = await open_line(charging, money=product.price)
    bought = await charging.post(asking(Purchase, line, product=product.code, price=product.price))
    answer = await charging.post(asking(Extend, line, days=2, reason="outage of 21 November"))
    (bucket,) = (b for b in (await charging.subscriber(line.msisdn)).buckets if b.unit is Unit.OCTETS)
    before = datetime.fromisoformat(bought.details["expires_at"])
    assert bucket.expires_at == before + timedelta(days=2)
    assert answer.details["reason"] == "outage of 21 November"
    assert await check_all(charging._database) == []


async def test_data_may_be_given_only_as_far_as_there_is_some(charging: Engine) -> None:
    sender, receiver = await open_line(charging, money=100), await open_line(charging)
    await credit(charging, sender, 2_000, Unit.OCTETS)
    assert (await charging.post(gift(sender, receiver, 3_000, Unit.OCTETS))).code == Code.BALANCE_TOO_LOW
    assert (await charging.post(gift(sender, receiver, 2_000, Unit.OCTETS))).ok
