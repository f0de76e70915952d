"""Payments as staff looks at them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.payments.listing import PaymentListing
from engine.words import PaymentState
from tests.engine.payments.house import House


async def test_pages_by_key_hold_every_payment_once_the_newest_first(house: House) -> None:
    line = await house.line()
    made = [(await house.ended(await house.pay(line))).payment_id for _ in range(5)]
    await house.run("UPDATE payment SET created_at = '2026-01-01 10:00Z' WHERE payment_id = %s", made[0])
    listing, seen, after = house.engine.payment_listing, [], None
    for _ in range(10):
        page = await listing.page(after=after, limit=2)
        seen += [one.payment_id for one in page.rows]
        after = page.following
    assert seen == [*reversed(made)]


async def test_a_page_that_is_not_full_says_how_far_back_it_looked(house: House) -> None:
    payment = await house.pay(await house.line())
    await house.run("UPDATE payment SET created_at = created_at - interval '200 days'")
    page = await house.engine.payment_listing.page()
    assert page.rows == [] and page.looked_to is not None and page.following is not None
    beyond = page
    while not beyond.rows:
        assert beyond.following is not None
        beyond = await house.engine.payment_listing.page(after=beyond.following)
    assert [one.payment_id for one in beyond.rows] == [payment.payment_id]


@pytest.mark.parametrize(("state", "index"), [("refunding", "ix_payment_apart"), ("unknown", "ix_payment_apart")])
async def test_what_is_rare_is_found_by_its_own_index(house: House, state: str, index: str) -> None:
    plan = await house.rows(
        f"EXPLAIN SELECT * FROM payment WHERE state = '{state}' ORDER BY created_at DESC, payment_id DESC LIMIT 51"
    )
    assert index in " ".join(row[0] for row in plan)


async def test_the_course_of_a_payment_is_told_step_by_step(house: House) -> None:
    payment = await house.ended(await house.pay(await house.line(), 5_000))
    points = await house.engine.payment_listing.course(payment)
    assert points[-1].state == PaymentState.SETTLED
    assert [one.at for one in points] == sorted(one.at for one in points)
    (effect,) = await house.engine.payment_listing.effects(payment)
    assert (effect.event, effect.amount, effect.currency) == ("settled", 5_000, payment.currency)
    (decision,) = await house.engine.payment_listing.decisions(payment)
    assert decision.verdict == "allow" and decision.inputs["amount"] == 5_000
    assert effect.at - payment.created_at < timedelta(minutes=1)


async def test_numbers_in_what_was_said_are_hidden(house: House) -> None:
    payment = await house.ended(await house.pay(await house.line()))
    await house.run(
        "INSERT INTO payment_event SELECT shard, account_id, payment_id, %s, state, 'said',"
        " CAST(%s AS jsonb), now() FROM payment",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        '{"note": "from +254712345678", "gateway_ref": "20261122123456"}',
    )
    last = (await house.engine.payment_listing.course(payment))[-1]
    assert last.said == {"note": "from +2547•••••678", "gateway_ref": "20261122123456"}


async def test_queues_are_counted(house: House) -> None:
    assert isinstance(house.engine.payment_listing, PaymentListing)
    before = {one.name: one.length for one in await house.engine.waiting()}
    await house.ended(await house.pay(await house.line()))
    await house.run("UPDATE payment SET state = 'unknown'")
    await house.run("UPDATE outbox SET state = 'parked'")
    after = {one.name: one.length for one in await house.engine.waiting()}
    assert before["payments_unknown"] == before["messages_parked"] == 0
    assert after["payments_unknown"] == 1 and after["messages_parked"] > 0
