"""Cards by Stripe through the whole engine: signed events, in any order, as often as Stripe likes."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any

import pytest

from engine.words import PaymentState
from sandbox.payments.server import PaymentsSandbox
from sandbox.payments.shapes import charge_of, intent_of
from tests.engine.payments.house import House
from tests.engine.payments.stripe import charged, event, made, post, state


async def test_a_charge_whose_answer_was_lost_is_credited_by_its_event_however_often_it_comes(cards: House) -> None:
    line = await cards.line()
    await cards.plays("drop")
    payment = await charged(cards, line)
    assert payment.state is PaymentState.UNKNOWN
    body = event("evt_1", "payment_intent.succeeded", intent_of(made(cards), ""))
    assert await post(cards, body, secret="whsec_nobody") == 401
    assert await cards.money(line) == 0
    assert set(await asyncio.gather(*(post(cards, body) for _ in range(10)))) == {200}
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == await cards.taken() == 5_000
    await cards.right()


async def test_who_must_act_is_sent_the_link_and_credited_once_they_have(
    cards: House, sandbox: PaymentsSandbox
) -> None:
    line = await cards.line()
    await cards.plays("action")
    payment = await charged(cards, line)
    assert payment.state is PaymentState.PENDING
    ((body,),) = await cards.rows("SELECT body FROM outbox WHERE topic = 'payment.action'")
    assert body["url"].startswith(f"{sandbox.base_url}/act/stripe/")
    # What the payer follows is no evidence: who reads it could pay, or not pay, for them.
    ((kept,),) = await cards.rows("SELECT string_agg(body::text, ' ') FROM payment_event")
    assert "/act/" not in kept
    async with cards.http.post(body["url"], data={"yes": "1"}) as answer:
        assert answer.status == 200
    # An event of before, late, and the one that counts.
    early = intent_of(made(cards), body["url"]) | {"status": "requires_action"}
    for name, kind, shape in (
        ("evt_2", "payment_intent.succeeded", intent_of(made(cards), "")),
        ("evt_1", "payment_intent.requires_action", early),
    ):
        assert await post(cards, event(name, kind, shape)) == 200
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == 5_000
    assert len(await cards.rows("SELECT 1 FROM outbox WHERE topic = 'payment.action'")) == 1
    await cards.right()


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_failure_success_and_progress_in_any_order_end_with_the_money_credited(
    cards: House, order: tuple[int, ...]
) -> None:
    line = await cards.line()
    await cards.plays("drop")
    payment = await charged(cards, line)
    intent = intent_of(made(cards), "")
    failed = intent | {"status": "requires_payment_method", "amount_received": 0}
    bodies = [
        event("evt_1", "payment_intent.payment_failed", failed),
        event("evt_2", "payment_intent.processing", intent | {"status": "processing", "amount_received": 0}),
        event("evt_3", "payment_intent.succeeded", intent),
    ]
    for place in order:
        assert await post(cards, bodies[place]) == 200
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == 5_000
    await cards.right()


async def test_a_refund_is_given_once_and_its_event_changes_nothing(cards: House) -> None:
    line = await cards.line()
    payment = await charged(cards, line)
    answer = await cards.engine.payments.refund(payment.payment_id, "test", "console:test")
    assert answer is not None and answer.ok
    assert (await cards.ended(payment)).state is PaymentState.REFUNDED
    assert await post(cards, event("evt_1", "charge.refunded", charge_of(made(cards)))) == 200
    assert await state(cards, payment) is PaymentState.REFUNDED
    assert await cards.money(line) == await cards.taken() == 0
    await cards.right()


async def test_a_charge_that_is_asked_for_again_is_the_same_call_and_is_credited_once(cards: House) -> None:
    line = await cards.line()
    await cards.plays("drop")
    payment = await charged(cards, line)
    one = made(cards)
    # Their search lags further behind than we believe, so it is asked for again.
    gateway: Any = cards.engine.payments._gateways.get("stripe")
    gateway._options = gateway._options.model_copy(update={"search_lag_seconds": 0})
    shown, one.details["payment_id"] = one.details["payment_id"], ""
    await cards.hurry()
    await cards.engine.resume_payments()
    one.details["payment_id"] = shown
    heard = await cards.rows("SELECT state FROM payment_event WHERE what = 'asked_again'")
    assert heard == [("captured",)]
    assert (await cards.ended(payment)).state is PaymentState.SETTLED
    assert await cards.money(line) == await cards.taken() == 5_000
    await cards.right()
