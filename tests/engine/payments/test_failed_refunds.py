"""A refund that its provider took on and that does not reach the payer: owed to them again, and a matter for staff."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from engine.recharge.gateways.contract import GatewayState
from engine.words import Payment, PaymentState
from sandbox.payments.ledger import Payment as Made
from sandbox.payments.shapes import charge_of
from tests.engine.payments.house import House
from tests.engine.payments.stripe import event, paid, post, refunded, state
from tests.engine.payments.test_going_back import heard, looked_at
from tests.engine.reconciliation.files import kinds, square, today


def failed(one: Made, amount: int = 5_000) -> dict[str, Any]:
    """A refund of a charge that its bank has sent back, as Stripe writes it."""
    refund = {"id": "re_1", "object": "refund", "amount": amount, "status": "failed", "payment_intent": one.id}
    return refund | {"currency": "kes", "failure_reason": "expired_or_canceled_card", "metadata": {}}


async def given_back(cards: House, payment: Payment) -> None:
    """Staff has it given back, and Stripe says that this was done."""
    answer = await cards.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
    assert answer is not None and answer.ok
    assert (await cards.ended(payment)).state is PaymentState.REFUNDED


async def test_a_refund_that_fails_later_is_owed_to_the_payer_again_and_staff_is_told_once(cards: House) -> None:
    _, payment, one = await paid(cards)
    await given_back(cards, payment)
    # An endpoint may hear of it by several events.
    for number, kind in enumerate(("refund.failed", "charge.refund.updated", "refund.updated")):
        assert await post(cards, event(f"evt_{number}", kind, failed(one))) == 200
    found = await cards.engine.payment(payment.payment_id)
    assert found is not None and (found.state, found.reason) == (PaymentState.REFUNDING, "return_failed")
    assert await cards.owed_back() == await cards.held_by_gateways() == 5_000
    assert await cards.alarms() == ["payment.not_returned"]
    assert not await cards.looks(payment.payment_id)
    course = await cards.engine.payment_listing.course(found)
    assert [(one.what, one.state) for one in course][-2:] == [("callback", "refunded"), ("restored", "refunding")]
    await cards.right()


async def test_what_staff_then_gives_back_in_another_way_at_the_provider_ends_it(cards: House) -> None:
    _, payment, one = await paid(cards)
    await given_back(cards, payment)
    for name, shape in (("evt_1", failed(one)), ("evt_2", failed(one) | {"id": "re_2"})):
        assert await post(cards, event(name, "refund.failed", shape)) == 200
        assert await state(cards, payment) is PaymentState.REFUNDING
        assert await post(cards, event(f"{name}_again", "charge.refunded", charge_of(one))) == 200
        assert await state(cards, payment) is PaymentState.REFUNDED
        assert await cards.owed_back() == await cards.held_by_gateways() == 0
    await cards.right()


async def test_a_refund_that_fails_while_its_success_is_being_booked_stays_owed(cards: House) -> None:
    _, payment, _ = await paid(cards)
    answer = await cards.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
    assert answer is not None and answer.ok
    success = await heard(cards, payment, GatewayState.REFUNDED)
    await heard(cards, payment, GatewayState.REFUND_FAILED)
    await cards.engine.payments._progress.proceed(success)
    await looked_at(cards)
    assert await cards.rows("SELECT state, reason FROM payment") == [("refunding", "return_failed")]
    assert await cards.owed_back() == 5_000
    await cards.right()


async def test_a_failed_refund_whose_hearer_was_killed_is_booked_by_the_loop_once(cards: House) -> None:
    _, payment, _ = await paid(cards)
    await given_back(cards, payment)
    stood = await heard(cards, payment, GatewayState.REFUND_FAILED)
    await looked_at(cards)
    # Two processes, of which one was slow.
    await cards.engine.payments._progress.proceed(stood)
    assert await cards.rows("SELECT state, reason FROM payment") == [("refunding", "return_failed")]
    assert await cards.owed_back() == await cards.held_by_gateways() == 5_000
    await cards.right()


async def test_a_part_that_was_given_back_and_comes_again_is_left_to_staff(cards: House) -> None:
    line, payment, one = await paid(cards)
    assert await post(cards, refunded(one, 2_000)) == 200
    assert await post(cards, event("evt_1", "refund.failed", failed(one, 2_000))) == 200
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == 3_000
    assert await cards.alarms() == ["payment.not_returned"]
    await cards.right()


async def test_a_refund_that_failed_agrees_with_the_statement_that_says_so(cards: House) -> None:
    _, payment, one = await paid(cards)
    await given_back(cards, payment)
    assert await post(cards, event("evt_1", "refund.failed", failed(one))) == 200
    header = "created_utc,reporting_category,gross,fee,currency,payment_intent_id,payment_metadata[payment_id]"
    rows = [("charge", "50.00"), ("refund", "-50.00"), ("refund_failure", "50.00")]
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S},{kind},{gross},0.00,kes,{payment.gateway_ref},{payment.payment_id}"
        for kind, gross in rows
    ]
    for _ in range(2):
        await cards.engine.reconciliation.reconcile(
            "stripe", [header, *lines], by="alice", source="file:s.csv", first=today(cards)
        )
    assert await kinds(cards) == []
    assert await square(cards) == [(5_000, 5_000, 0, 0)]
