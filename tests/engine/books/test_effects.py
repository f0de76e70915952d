"""What operations do through the door: to a line, its buckets, and what the person is told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from engine.api import Engine, open_engine
from engine.books.invariants import check_all
from engine.words import Adjust, Charge, Code, DeliveryState, LineStatus, OutOfBundle, Purchase, Refund, Unit
from runtime.keyring import Keyring
from settings import Operator
from tests.engine.shop import asking, credit, open_line, redeeming, sell_vouchers


@pytest.mark.parametrize("status", [LineStatus.SUSPENDED, LineStatus.BARRED])
async def test_a_stopped_line_may_receive_and_not_spend(engine: Engine, status: LineStatus) -> None:
    line = await open_line(engine, money=1_000, status=status)
    (number,) = await sell_vouchers(engine)
    assert (await engine.post(redeeming(engine, line, number))).ok
    spent = await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=1))
    assert spent.code == f"line_{status}"


async def test_a_frozen_account_spends_nothing_while_others_go_on(engine: Engine, database_url: str) -> None:
    frozen, other = await open_line(engine, money=1_000), await open_line(engine, money=1_000)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE account SET frozen_at = now() WHERE account_id = %s", [frozen.account.account_id])
    assert (await engine.post(asking(Charge, frozen, unit=Unit.MONEY, amount=1))).code == Code.ACCOUNT_FROZEN
    assert (await engine.post(asking(Charge, other, unit=Unit.MONEY, amount=1))).ok


async def test_the_first_recharge_wakes_a_new_line(engine: Engine) -> None:
    line = await open_line(engine, status=LineStatus.PREACTIVE)
    (number,) = await sell_vouchers(engine)
    await engine.post(redeeming(engine, line, number))
    assert (await engine.subscriber(line.msisdn)).status is LineStatus.ACTIVE


async def test_a_recharge_tells_the_person_in_the_same_commit(engine: Engine) -> None:
    line = await open_line(engine)
    (number,) = await sell_vouchers(engine, 5000)
    answer = await engine.post(redeeming(engine, line, number))
    (message,) = await engine.claim_messages(10, lease_seconds=30)
    assert (message.topic, message.msisdn) == ("recharge.done", line.msisdn)
    assert message.body["amount"] == 5000 and message.body["reference"] == answer.reference


async def test_a_claimed_message_is_nobody_elses_until_its_lease_ends(engine: Engine) -> None:
    line = await open_line(engine)
    for number in await sell_vouchers(engine, 5000, 6):
        await engine.post(redeeming(engine, line, number))
    taken = await asyncio.gather(*(engine.claim_messages(4, lease_seconds=30) for _ in range(3)))
    messages = [message for batch in taken for message in batch]
    assert len(messages) == len({message.message_id for message in messages}) == 6
    await engine.record_attempt(messages[0], None, None, DeliveryState.QUEUED, retry_at=datetime.now(UTC))
    (back,) = await engine.claim_messages(10, lease_seconds=30)
    assert back.attempts == 2


async def test_a_purchase_pays_and_grants_and_a_refund_takes_both_back(engine: Engine, operator: Operator) -> None:
    product = operator.products[0]
    line = await open_line(engine, money=product.price + 5)
    bought = asking(Purchase, line, product=product.code, price=product.price)
    assert (await engine.post(bought)).ok
    held = await engine.subscriber(line.msisdn)
    assert held.total(Unit.MONEY) == 5
    assert {bucket.product for bucket in held.buckets} >= {product.code}
    refund = asking(Refund, line, refunded_key=bought.key, reason="bought twice")
    assert (await engine.post(refund)).ok
    back = await engine.subscriber(line.msisdn)
    assert back.total(Unit.MONEY) == product.price + 5
    assert all(bucket.product != product.code for bucket in back.buckets)
    assert (
        await engine.post(asking(Refund, line, refunded_key=bought.key, reason="again"))
    ).code == Code.ALREADY_REFUNDED
    assert await check_all(engine._database) == []


async def test_what_units_and_money_paid_comes_back_as_units_and_as_money(charging: Engine) -> None:
    line = await open_line(charging, money=100)
    await credit(charging, line, 1_000_000, Unit.OCTETS)
    assert (await charging.post(asking(OutOfBundle, line, allowed=True))).ok
    used = asking(Charge, line, unit=Unit.OCTETS, amount=2_000_000)
    assert (await charging.post(used)).ok
    paid = 100 - (await charging.subscriber(line.msisdn)).total(Unit.MONEY)
    refund = await charging.post(asking(Refund, line, refunded_key=used.key, reason="complaint"))
    assert refund.details["given_back"] == {"octets": 1_000_000, "money": paid}
    told = [m.body for m in await charging.claim_messages(20, 30) if m.topic == "refund.done"]
    assert {(said["unit"], said["amount"], said["balance"]) for said in told} == {
        ("octets", 1_000_000, 1_000_000), ("money", paid, 100),
    }  # fmt: skip


async def test_use_that_cost_nothing_is_not_refunded(charging: Engine) -> None:
    line = await open_line(charging)
    used = asking(Charge, line, unit=Unit.OCTETS, amount=1_000_000, category="help")
    assert (await charging.post(used)).ok
    refund = asking(Refund, line, refunded_key=used.key, reason="complaint")
    assert (await charging.post(refund)).code == Code.NOTHING_TO_REFUND


async def test_who_sells_nothing_is_served_all_the_same(
    database_url: str, operator: Operator, keyring: Keyring
) -> None:
    engine = await open_engine(database_url, operator.model_copy(update={"products": ()}), keyring)
    assert (await open_line(engine, money=100)).total(Unit.MONEY) == 100
    await engine.close()


async def test_a_bundle_that_was_used_is_not_refunded(engine: Engine, operator: Operator) -> None:
    product = next(p for p in operator.products if p.grants[0].unit == "octets")
    line = await open_line(engine, money=product.price)
    bought = asking(Purchase, line, product=product.code, price=product.price)
    await engine.post(bought)
    category = next(iter(product.grants[0].categories), None)
    assert (await engine.post(asking(Charge, line, unit=Unit.OCTETS, amount=1, category=category))).ok
    assert (await engine.post(asking(Refund, line, refunded_key=bought.key, reason="no"))).code == Code.GRANT_USED


async def test_a_changed_price_refuses_and_names_the_new_one(engine: Engine, operator: Operator) -> None:
    product = operator.products[0]
    line = await open_line(engine, money=product.price * 2)
    answer = await engine.post(asking(Purchase, line, product=product.code, price=product.price - 1))
    assert answer.code == Code.PRICE_CHANGED and answer.details["price"] == product.price


async def test_an_unknown_product_and_a_wrong_amount_are_refused(engine: Engine) -> None:
    line = await open_line(engine, money=100)
    assert (await engine.post(asking(Purchase, line, product="nothing", price=1))).code == Code.PRODUCT_UNKNOWN
    assert (await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=0))).code == Code.AMOUNT_INVALID
    assert (await engine.post(asking(Adjust, line, unit=Unit.MONEY, amount=0, reason="-"))).code == Code.AMOUNT_INVALID
    assert (await engine.post(asking(Refund, line, refunded_key=uuid4(), reason="-"))).code == Code.NOTHING_TO_REFUND


async def test_each_crossing_of_a_threshold_alerts_once(engine: Engine, operator: Operator) -> None:
    threshold = next(t for t in operator.low_balance if t.unit == "money")
    line = await open_line(engine, money=threshold.amount + 10)
    for amount in (5, 10, 5):
        await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=amount))
    alerts = [m for m in await engine.claim_messages(10, lease_seconds=30) if m.topic == "alert.low_balance"]
    assert [alert.body["left"] for alert in alerts] == [threshold.amount - 5]


async def test_expired_value_goes_to_breakage_once(engine: Engine, database_url: str) -> None:
    line = await open_line(engine, money=700)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE bucket SET expires_at = now() - interval '1 second'")
    counts = await asyncio.gather(engine.expire_due(), engine.expire_due())
    assert max(counts) == 1 and await engine.expire_due() == 0
    with psycopg.connect(database_url) as owner:
        lost = owner.execute("SELECT sum(amount) FROM transfer WHERE credit = 'breakage'").fetchone()
    assert lost == (700,)
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 0
    assert await check_all(engine._database) == []


async def test_a_recharge_after_expiry_does_not_bring_the_lost_value_back(engine: Engine, database_url: str) -> None:
    line = await open_line(engine, money=700)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE bucket SET expires_at = now() - interval '1 second'")
    (number,) = await sell_vouchers(engine, 5000)
    answer = await engine.post(redeeming(engine, line, number))
    assert answer.details["balance"] == 5000
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 5000
    assert await check_all(engine._database) == []
