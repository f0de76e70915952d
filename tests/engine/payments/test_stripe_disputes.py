"""What a bank takes back of a card payment, and gives back when its dispute is won: once, in whatever order told."""

from __future__ import annotations

import pytest

from engine.words import Code, Payment, PaymentState, Subscriber
from sandbox.payments.ledger import Payment as Made
from sandbox.payments.shapes import dispute_of, intent_of
from tests.engine.payments.house import House
from tests.engine.payments.stripe import charged, event, made, post, spend, state


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


@pytest.mark.parametrize("spent", [0, 2_000])
async def test_a_dispute_takes_the_credit_back_and_what_was_spent_is_a_loss(cards: House, spent: int) -> None:
    line = await cards.line()
    payment = await charged(cards, line)
    assert payment.state is PaymentState.SETTLED
    if spent:
        await spend(cards, line, spent)
    disputed = made(cards)
    disputed.dispute()
    body = event("evt_9", "charge.dispute.created", dispute_of(disputed))
    assert {await post(cards, body) for _ in range(3)} == {200}
    assert await state(cards, payment) is PaymentState.CHARGED_BACK
    assert await cards.money(line) == 0
    losses = await cards.rows("SELECT coalesce(sum(amount), 0) FROM receivable WHERE debit = 'losses'")
    assert losses == [(spent,)]
    await cards.right()


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
    assert await cards.alarms() == ["payment.disputed_again"]
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
