"""Money that cannot stay: it goes back by itself, once, and the books show both ways."""

from __future__ import annotations

from typing import Any

import pytest

from engine.payments import names
from engine.payments.stored import Stored
from engine.recharge.gateways.contract import GatewayState, Outcome
from engine.words import Advance, Charge, LineStatus, Payment, PaymentMethod, PaymentState, Subscriber, Unit
from tests.engine.payments.house import House
from tests.engine.shop import asking, credit


@pytest.mark.parametrize("status", [LineStatus.TERMINATED, LineStatus.BARRED])
async def test_money_for_a_line_that_cannot_take_it_goes_back_by_itself(house: House, status: LineStatus) -> None:
    line = await house.line()
    await house.plays("lost")
    payment = await house.pay(line, 5_000)
    await house.engine.accounts.set_status(line, status, reason="test", by="test")
    ended = await house.ended(payment)
    assert ended.state is PaymentState.REFUNDED
    assert await house.taken() == await house.owed_back() == await house.held_by_gateways() == 0
    events = await house.rows("SELECT event FROM payment_history ORDER BY booked_at")
    assert [event for (event,) in events] == ["set_aside", "returned"]
    await house.right()


async def test_an_amount_that_was_not_asked_for_goes_back_whole(house: House) -> None:
    line = await house.line()
    await house.plays("lost")
    payment = await house.pay(line, 5_000)
    await house.run("UPDATE payment SET amount = 6000 WHERE payment_id = %s", payment.payment_id)
    assert (await house.ended(payment)).state is PaymentState.REFUNDED
    assert await house.taken() == await house.money(line) == await house.held_by_gateways() == 0
    await house.right()


async def test_a_refund_takes_the_credit_back_and_then_the_gateway_gives_the_money(house: House) -> None:
    line = await house.line()
    payment = await house.ended(await house.pay(line, 5_000))
    for code in ("ok", "payment_closed"):
        answer = await house.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
        assert answer is not None and answer.code == code
    assert await house.money(line) == 0
    assert await house.owed_back() == 5_000
    assert (await house.ended(payment)).state is PaymentState.REFUNDED
    assert await house.taken() == await house.owed_back() == await house.held_by_gateways() == 0
    await house.right()


async def test_a_refund_that_was_refused_for_lack_of_money_can_be_asked_for_again(house: House) -> None:
    line = await house.line()
    payment = await house.ended(await house.pay(line, 5_000))
    assert (await house.engine.post(asking(Charge, line, unit=Unit.MONEY, amount=2_000))).ok
    refused = await house.engine.payments.refund(payment.payment_id, "wrong number", "console:alice")
    assert refused is not None and refused.code == "balance_too_low"
    await credit(house.engine, line, 2_000)
    done = await house.engine.payments.refund(payment.payment_id, "wrong number", "console:alice")
    assert done is not None and done.ok
    assert (await house.ended(payment)).state is PaymentState.REFUNDED
    await house.right()


async def test_what_is_spent_cannot_be_refunded(house: House) -> None:
    line = await house.line()
    product = min(house.engine.products(), key=lambda one: one.price)
    payment = await house.ended(await house.pay(line, product.price, product=product.code))
    assert (await house.engine.subscriber(line.msisdn)).total(Unit.MONEY) == 0
    answer = await house.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
    assert answer is not None and answer.code == "balance_too_low"
    assert (await house.engine.payment(payment.payment_id)) == payment


async def test_a_chargeback_takes_what_is_left_and_books_the_rest_as_a_loss(house: House) -> None:
    line = await house.line()
    payment = await house.ended(await house.pay(line, 5_000, method=PaymentMethod.CARD, token="card"))
    await dispute(house, payment.gateway_ref)
    charged_back = await house.until(payment, PaymentState.CHARGED_BACK)
    assert charged_back.reason == "chargeback"
    assert await house.money(line) == await house.held_by_gateways() == 0
    await house.right()


async def dispute(house: House, gateway_ref: str | None) -> None:
    """The payer's bank takes a payment of the sandbox's back, and the sandbox tells."""
    payment: Any = house.sandbox.desk.ledger.by_id("native", gateway_ref or "")
    payment.dispute()
    house.sandbox.desk.told(payment)


async def test_a_refund_that_the_gateway_refuses_is_left_to_staff_who_may_have_it_tried_again(house: House) -> None:
    line = await house.line()
    payment = await house.ended(await house.pay(line, 5_000))
    known: Any = house.sandbox.desk.ledger.by_id("native", payment.gateway_ref or "")
    known.state = "held"  # the sandbox gives back only what it has taken
    await house.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
    await house.hurry()
    await house.engine.resume_payments()
    waiting = await house.engine.payment(payment.payment_id)
    assert waiting is not None and (waiting.state, waiting.reason) == (PaymentState.REFUNDING, "refund_refused")
    assert not await house.looks(payment.payment_id)
    assert await house.owed_back() == 5_000
    await house.right()
    known.state = "captured"
    await house.engine.payments.look_again(payment.payment_id, "console:alice")
    assert (await house.ended(payment)).state is PaymentState.REFUNDED
    assert await house.held_by_gateways() == 0
    await house.right()


async def by_card(house: House, line: Subscriber) -> Payment:
    """A settled payment by card."""
    return await house.ended(await house.pay(line, 5_000, method=PaymentMethod.CARD, token="card"))


async def heard(house: House, payment: Payment, said: GatewayState) -> Stored:
    """What the gateway says becomes the payment's state; nothing is booked yet."""
    stored = await house.engine.payments._finder.one(names.by_id(payment.payment_id))
    assert stored is not None
    return await house.engine.payments._progress.heard(stored, Outcome(state=said), "callback")


async def looked_at(house: House) -> None:
    """The recovery loop takes it up, over and over."""
    for _ in range(3):
        await house.hurry()
        await house.engine.resume_payments()


async def test_a_dispute_that_is_won_while_its_loss_is_being_booked_takes_nothing(house: House) -> None:
    line = await house.line()
    payment = await by_card(house, line)
    disputed = await heard(house, payment, GatewayState.CHARGEBACK)
    await heard(house, payment, GatewayState.REINSTATED)
    await house.engine.payments._progress.proceed(disputed)
    await looked_at(house)
    assert await house.rows("SELECT state, reason FROM payment") == [("settled", "won_back")]
    assert await house.money(line) == 5_000
    await house.right()


@pytest.mark.parametrize("said", [GatewayState.CHARGEBACK, GatewayState.REINSTATED])
async def test_what_a_bank_does_about_a_payment_that_was_given_back_is_an_alarm(
    house: House, said: GatewayState
) -> None:
    line = await house.line()
    payment = await by_card(house, line)
    await house.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
    assert (await house.ended(payment)).state is PaymentState.REFUNDED
    await heard(house, payment, said)
    await looked_at(house)
    assert await house.alarms() == ["payment.disputed_after_refund"]
    assert await house.rows("SELECT state FROM payment") == [("refunded",)]
    await house.right()


async def test_a_dispute_won_for_a_line_that_has_ended_credits_nobody_and_is_an_alarm_once(house: House) -> None:
    line = await house.line()
    payment = await by_card(house, line)
    await house.engine.payments._progress.proceed(await heard(house, payment, GatewayState.CHARGEBACK))
    await house.engine.accounts.set_status(line, LineStatus.TERMINATED, reason="test", by="test")
    await house.engine.payments._progress.proceed(await heard(house, payment, GatewayState.REINSTATED))
    await looked_at(house)
    assert await house.alarms() == ["payment.not_restored"]
    assert await house.rows("SELECT state, reason FROM payment") == [("charged_back", "won_back")]
    assert await house.rows("SELECT coalesce(sum(amount), 0) FROM bucket WHERE unit = 'money'") == [(0,)]
    assert not await house.looks(payment.payment_id)
    await house.right()


async def test_a_dispute_won_of_which_nothing_was_taken_back_is_an_alarm_once(house: House) -> None:
    payment = await by_card(house, await house.line())
    await house.run("UPDATE payment SET state = 'charged_back', reason = 'won_back', next_check_at = now()")
    await looked_at(house)
    assert await house.alarms() == ["payment.not_restored"]
    assert not await house.looks(payment.payment_id)


async def test_what_the_books_do_not_take_is_an_alarm_once_and_settled_when_they_do(house: House) -> None:
    line = await house.line()
    await house.plays("lost")
    payment = await house.pay(line, 5_000)
    await house.run("ALTER TABLE payment ADD CONSTRAINT broken CHECK (state <> 'settled')")
    await looked_at(house)
    assert await house.rows("SELECT state, reason FROM payment") == [("captured", "not_settled")]
    assert await house.alarms() == ["payment.not_settled"]
    await house.run("ALTER TABLE payment DROP CONSTRAINT broken")
    await house.hurry()
    ended = await house.ended(payment)
    assert (ended.state, ended.reason) == (PaymentState.SETTLED, None)
    assert await house.money(line) == 5_000
    await house.right()


async def test_what_comes_again_with_a_dispute_that_was_won_pays_back_an_advance(house: House) -> None:
    line = await house.line()
    payment = await by_card(house, line)
    await house.engine.payments._progress.proceed(await heard(house, payment, GatewayState.CHARGEBACK))
    await house.run("UPDATE line SET opened_at = opened_at - interval '40 days'")
    assert (await house.engine.post(asking(Advance, line, amount=2_000, fee=200))).ok
    await house.engine.payments._progress.proceed(await heard(house, payment, GatewayState.REINSTATED))
    assert await house.rows("SELECT open_amount, open_fee FROM advance") == [(0, 0)]
    assert await house.money(line) == 2_000 + 5_000 - 2_200
    await house.right()


async def captured(house: House) -> tuple[Subscriber, Payment, Stored]:
    """A payment whose capture is heard and not booked yet."""
    line = await house.line()
    await house.plays("lost")
    payment = await house.pay(line, 5_000)
    return line, payment, await heard(house, payment, GatewayState.CAPTURED)


async def test_money_that_goes_back_while_it_is_being_credited_is_not_credited(house: House) -> None:
    line, payment, before = await captured(house)
    await heard(house, payment, GatewayState.REFUNDED)
    # Whoever has heard of the capture knows nothing of that.
    await house.engine.payments._progress.proceed(before)
    await looked_at(house)
    assert await house.rows("SELECT state FROM payment") == [("refunded",)]
    assert await house.money(line) == await house.owed_back() == await house.held_by_gateways() == 0
    await house.right()


async def test_money_that_goes_back_while_it_is_being_set_aside_is_not_given_back_again(house: House) -> None:
    _, payment, before = await captured(house)
    await heard(house, payment, GatewayState.CHARGEBACK)
    await house.engine.payments._progress._set_aside(before, "line_barred")
    await looked_at(house)
    assert await house.rows("SELECT state FROM payment") == [("refunded",)]
    (made,) = house.sandbox.desk.ledger.all("native")
    assert made.refunded == 0  # nobody has asked for that
    assert await house.owed_back() == await house.held_by_gateways() == 0
    await house.right()


async def test_staff_gives_nothing_back_of_what_a_bank_is_taking(house: House) -> None:
    line = await house.line()
    payment = await by_card(house, line)
    disputed = await heard(house, payment, GatewayState.CHARGEBACK)
    answer = await house.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
    assert answer is not None and answer.code == "payment_closed"
    await house.engine.payments._progress.proceed(disputed)
    assert await house.rows("SELECT state FROM payment") == [("charged_back",)]
    assert await house.money(line) == await house.owed_back() == await house.held_by_gateways() == 0
    await house.right()


async def test_money_that_was_counted_under_another_payment_before_it_is_credited_is_an_alarm(house: House) -> None:
    first, second = await by_card(house, await house.line()), (await captured(house))[2]
    again = Outcome(state=GatewayState.CAPTURED, gateway_ref=first.gateway_ref)
    await house.engine.payments._progress.heard(second, again, "callback")
    assert await house.alarms() == ["payment.counted_twice"]


async def test_a_refund_of_which_a_gateway_says_nothing_for_three_days_is_left_to_staff(house: House) -> None:
    payment = await by_card(house, await house.line())
    await house.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
    await house.sandbox.stop()
    await house.run("UPDATE payment SET changed_at = changed_at - interval '71 hours'")
    await looked_at(house)
    assert await house.alarms() == []
    # However often it was asked: it has stood so for as long.
    await house.run("UPDATE payment SET changed_at = changed_at - interval '2 hours'")
    await looked_at(house)
    assert await house.rows("SELECT state, reason FROM payment") == [("refunding", "refund_refused")]
    assert await house.alarms() == ["payment.not_returned"]
    await house.sandbox.start()
