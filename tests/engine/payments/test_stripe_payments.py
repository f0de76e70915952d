"""Cards by Stripe through the whole engine: signed events, in any order, as often as Stripe likes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from engine.words import Adjust, Code, Payment, PaymentMethod, PaymentState, Subscriber, Unit
from runtime.keyring import Keyring
from sandbox.payments.desk import Accounts
from sandbox.payments.ledger import Payment as Made
from sandbox.payments.server import PaymentsSandbox
from sandbox.payments.shapes import charge_of, dispute_of, intent_of
from settings import Operator
from tests.engine.payments.house import House, now, opened

TOKEN = "cus_test/pm_card_visa"


@pytest.fixture
async def cards(
    database_url: str, operator: Operator, keyring: Keyring, sandbox: PaymentsSandbox
) -> AsyncIterator[House]:
    """A house that takes cards by Stripe, which tells it nothing unless a test does."""
    async with opened(database_url, operator, keyring, sandbox, only=("stripe",)) as one:
        yield one


async def charged(house: House, line: Subscriber, amount: int = 5_000) -> Payment:
    """A saved card is charged."""
    return await house.pay(line, amount, method=PaymentMethod.CARD, token=TOKEN)


def made(house: House) -> Made:
    """The sandbox's only PaymentIntent."""
    (one,) = house.sandbox.desk.ledger.all("stripe")
    return one


def event(name: str, kind: str, shape: dict[str, Any]) -> bytes:
    """An event as Stripe posts it."""
    told = {"id": name, "object": "event", "type": kind, "created": int(time.time()), "data": {"object": shape}}
    return msgspec.json.encode(told)


async def post(house: House, body: bytes, *, secret: str = "") -> int:
    """Post an event, signed. Returns the answer's status."""
    at = str(int(time.time()))
    digest = hmac.new((secret or Accounts().stripe_webhook_secret).encode(), f"{at}.".encode() + body, hashlib.sha256)
    headers = {"Stripe-Signature": f"t={at},v1={digest.hexdigest()}", "Content-Type": "application/json"}
    async with house.http.post(f"{house.base_url}/payments/stripe/callback", data=body, headers=headers) as answer:
        return answer.status


async def state(house: House, payment: Payment) -> PaymentState:
    found = await house.engine.payment(payment.payment_id)
    assert found is not None
    return found.state


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


@pytest.mark.parametrize("spent", [0, 2_000])
async def test_a_dispute_takes_the_credit_back_and_what_was_spent_is_a_loss(cards: House, spent: int) -> None:
    line = await cards.line()
    payment = await charged(cards, line)
    assert payment.state is PaymentState.SETTLED
    if spent:
        await take(cards, line, spent)
    disputed = made(cards)
    disputed.dispute()
    body = event("evt_9", "charge.dispute.created", dispute_of(disputed))
    assert {await post(cards, body) for _ in range(3)} == {200}
    assert await state(cards, payment) is PaymentState.CHARGED_BACK
    assert await cards.money(line) == 0
    losses = await cards.rows("SELECT coalesce(sum(amount), 0) FROM receivable WHERE debit = 'losses'")
    assert losses == [(spent,)]
    await cards.right()


async def take(house: House, line: Subscriber, amount: int) -> None:
    """Something of the credit is used."""
    operation = {"line_id": line.line_id, "source": "test", "reason": "test", "unit": Unit.MONEY, "amount": -amount}
    answer = await house.engine.post(Adjust(account=line.account, key=uuid4(), asked_at=now(), **operation))
    assert answer.ok, answer


async def test_a_dispute_that_is_told_before_the_charge_leaves_no_credit(cards: House) -> None:
    line = await cards.line()
    await cards.plays("drop")
    payment = await charged(cards, line)
    intent = intent_of(made(cards), "")
    # Stripe's disputes carry no metadata: nothing but the intent's name leads to the payment.
    assert await post(cards, event("evt_0", "payment_intent.processing", intent | {"status": "processing"})) == 200
    disputed = made(cards)
    disputed.dispute()
    for body in (
        event("evt_2", "charge.dispute.created", dispute_of(disputed)),
        event("evt_1", "payment_intent.succeeded", intent),
    ):
        assert await post(cards, body) == 200
    assert (await cards.ended(payment)).state is PaymentState.CHARGED_BACK
    assert await cards.money(line) == 0
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


async def disputed(cards: House, *, spent: int = 0) -> tuple[Subscriber, Payment, Made]:
    """A payment by card whose credit its bank has taken back; ``spent`` of it was gone by then."""
    line = await cards.line()
    payment = await charged(cards, line)
    if spent:
        await spend(cards, line, spent)
    one = made(cards)
    one.dispute()
    assert await post(cards, event("evt_1", "charge.dispute.created", dispute_of(one))) == 200
    assert await state(cards, payment) is PaymentState.CHARGED_BACK
    assert await cards.money(line) == 0
    return line, payment, one


async def spend(cards: House, line: Subscriber, amount: int) -> None:
    """Staff takes some of it: it is gone."""
    who = {"account": line.account, "line_id": line.line_id, "source": "test", "asked_at": now()}
    adjust = Adjust(**who, key=uuid4(), unit=Unit.MONEY, amount=-amount, reason="spent")
    assert (await cards.engine.post(adjust)).ok


@pytest.mark.parametrize("spent", [0, 2_000])
async def test_what_a_chargeback_took_comes_again_once_its_dispute_is_won_and_the_loss_is_made_good(
    cards: House, spent: int
) -> None:
    line, payment, one = await disputed(cards, spent=spent)
    won = event("evt_2", "charge.dispute.closed", dispute_of(one) | {"status": "won"})
    assert {await post(cards, won) for _ in range(2)} == {200}
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == 5_000 - spent
    events = await cards.rows("SELECT event, amount FROM payment_history ORDER BY booked_at")
    assert events == [("settled", 5_000), ("charged_back", 5_000), ("restored", 5_000)]
    owed = await cards.rows(
        "SELECT coalesce(sum(CASE WHEN debit = 'losses' THEN amount ELSE -amount END), 0) FROM receivable"
        " WHERE 'losses' IN (debit, credit)"
    )
    assert owed == [(0,)]
    await cards.right()


async def test_a_dispute_that_was_won_takes_nothing_more_whoever_tells_of_it_again(cards: House) -> None:
    line, payment, one = await disputed(cards)
    assert await post(cards, event("evt_2", "charge.dispute.closed", dispute_of(one) | {"status": "won"})) == 200
    assert await post(cards, event("evt_3", "charge.dispute.created", dispute_of(one))) == 200
    assert await state(cards, payment) is PaymentState.SETTLED
    answer = await cards.engine.payments.refund(payment.payment_id, "again", "console:test")
    assert answer is not None and answer.code is Code.PAYMENT_CLOSED
    assert await cards.money(line) == 5_000
    await cards.right()


async def test_a_dispute_told_as_won_before_it_is_told_as_opened_takes_nothing(cards: House) -> None:
    line = await cards.line()
    payment = await charged(cards, line)
    one = made(cards)
    assert await post(cards, event("evt_2", "charge.dispute.closed", dispute_of(one) | {"status": "won"})) == 200
    assert await post(cards, event("evt_1", "charge.dispute.created", dispute_of(one))) == 200
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == 5_000
    await cards.right()


async def test_a_late_word_of_the_capture_is_no_dispute_that_was_won(cards: House) -> None:
    line, payment, one = await disputed(cards)
    late = {"id": one.id, "amount": one.amount, "currency": one.currency.lower(), "status": "succeeded"}
    late |= {"metadata": {"payment_id": str(payment.payment_id)}}
    assert await post(cards, event("evt_9", "payment_intent.succeeded", late)) == 200
    assert await state(cards, payment) is PaymentState.CHARGED_BACK
    assert await cards.money(line) == 0
    await cards.right()


async def test_a_bank_that_only_asks_takes_no_credit_back(cards: House) -> None:
    line = await cards.line()
    payment = await charged(cards, line)
    disputed = made(cards)
    disputed.dispute()
    asks = dispute_of(disputed) | {"status": "warning_needs_response"}
    assert await post(cards, event("evt_1", "charge.dispute.created", asks)) == 200
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == 5_000


def refunded(one: Made, returned: int) -> bytes:
    """That so much of a charge went back in all, as Stripe tells it."""
    return event(f"evt_r{returned}", "charge.refunded", charge_of(one) | {"amount_refunded": returned})


@pytest.mark.parametrize("order", list(permutations((1_000, 2_500, 3_000))))
async def test_what_goes_back_in_parts_is_booked_once_in_whatever_order_and_however_often_it_is_told(
    cards: House, order: tuple[int, ...]
) -> None:
    line = await cards.line()
    payment = await charged(cards, line)
    one = made(cards)
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


async def test_what_a_bank_takes_back_in_part_is_an_alarm_for_staff_with_its_event_in_the_same_commit(
    cards: House,
) -> None:
    line = await cards.line()
    payment = await charged(cards, line)
    one = made(cards)
    part = dispute_of(one) | {"amount": 2_000}
    assert await post(cards, event("evt_1", "charge.dispute.created", part)) == 200
    assert await state(cards, payment) is PaymentState.SETTLED
    told = await cards.rows("SELECT body FROM event WHERE topic = 'alarm.raised'")
    said = {"alarm": "payment.taken_back_in_part", "payment_id": str(payment.payment_id), "gateway": "stripe"}
    said |= {"reference": payment.reference, "amount": 5_000, "currency": "KES", "state": "settled"}
    assert told == [(said,)]
    counted = cards.engine.payments._gateways.metrics.registry.get_sample_value(
        "rasid_alarms_total", {"alarm": "payment.taken_back_in_part"}
    )
    assert counted == 1
    assert await cards.money(line) == 5_000
    await cards.right()
