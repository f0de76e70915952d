"""What goes back of a card payment in parts, because somebody gave it back in the provider's console."""

from __future__ import annotations

import asyncio
from itertools import permutations

import pytest

from engine.words import PaymentState
from sandbox.payments.shapes import dispute_of, intent_of
from tests.engine.payments.house import House
from tests.engine.payments.stripe import charged, event, made, paid, post, refunded, state


@pytest.mark.parametrize("order", list(permutations((1_000, 2_500, 3_000))))
async def test_what_goes_back_in_parts_is_booked_once_in_whatever_order_and_however_often_it_is_told(
    cards: House, order: tuple[int, ...]
) -> None:
    line, payment, one = await paid(cards)
    for returned in order:
        told = refunded(one, returned)
        assert set(await asyncio.gather(*(post(cards, told) for _ in range(5)))) == {200}
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == 2_000
    history = await cards.rows("SELECT sum(amount) FROM payment_history WHERE event = 'part_returned'")
    assert history == [(3_000,)]
    await cards.right()


async def test_a_part_that_is_told_before_its_payment_was_heard_of_waits_for_its_credit(cards: House) -> None:
    line = await cards.line()
    await cards.plays("drop")
    payment = await charged(cards, line)
    assert payment.state is PaymentState.UNKNOWN
    assert await post(cards, refunded(made(cards), 1_000)) == 200
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == 4_000
    assert await post(cards, event("evt_1", "payment_intent.succeeded", intent_of(made(cards), ""))) == 200
    assert await cards.money(line) == 4_000
    await cards.right()


async def test_the_last_part_ends_the_payment_and_a_dispute_over_what_is_left_takes_no_more_than_that(
    cards: House,
) -> None:
    line = await cards.line(money=10_000)
    payment = await charged(cards, line)
    one = made(cards)
    assert await post(cards, refunded(one, 2_000)) == 200
    disputed = dispute_of(one) | {"amount": 3_000}
    assert await post(cards, event("evt_d", "charge.dispute.created", disputed)) == 200
    assert await state(cards, payment) is PaymentState.CHARGED_BACK
    assert await cards.money(line) == 10_000
    won = event("evt_w", "charge.dispute.closed", disputed | {"status": "won"})
    assert await post(cards, won) == 200
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == 13_000
    await cards.right()
