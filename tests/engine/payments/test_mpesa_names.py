"""One payment by M-Pesa has a push, a receipt and a reference: whichever it is told by, it is counted once."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from engine.payments.names import payment_id_of, reference
from engine.recharge.gateways.contract import Event, GatewayState, Outcome
from engine.words import Payment, PaymentState, Subscriber
from runtime.keyring import Keyring
from tests.engine.payments.house import House
from tests.engine.payments.mpesa import begun_by_payer, came, confirmed, made_for, polled, posted
from tests.houses import Houses


@pytest.fixture
async def mpesa(houses: Houses) -> House:
    """A house that takes M-Pesa only, whose gateways soon give an answer up."""
    return await houses(only=("mpesa",), patience=1.0)


async def test_what_was_settled_by_asking_is_not_counted_again_by_its_confirmation(mpesa: House) -> None:
    line = await mpesa.line()
    payment = await polled(mpesa, line)
    push = made_for(mpesa, payment)
    assert payment.gateway_ref == push.id
    await confirmed(mpesa, push)
    by_name = [
        await mpesa.engine.payments.find_by_gateway_ref("mpesa", name) for name in (push.id, push.details["receipt"])
    ]
    assert [one and one.payment_id for one in by_name] == [payment.payment_id] * 2
    assert await mpesa.rows("SELECT gateway_ref FROM payment") == [(push.details["receipt"],)]
    assert await mpesa.money(line) == await mpesa.taken() == 5_000
    await mpesa.right()


def two_keys_of_one_reference(first: Subscriber, second: Subscriber) -> tuple[UUID, UUID]:
    """Keys under which a payment of each line has the same short reference: of 30 bits, somebody finds them."""
    seen = {}
    for number in range(60_000):
        key = UUID(int=number + 1)
        seen[reference(first.account, payment_id_of(first.account, key))] = key
    for number in range(10**7):
        key = UUID(int=10**9 + number)
        known = seen.get(reference(second.account, payment_id_of(second.account, key)))
        if known is not None:
            return known, key
    raise AssertionError("no two keys")


async def shared(mpesa: House) -> tuple[Subscriber, Subscriber, Payment, Payment]:
    """Two lines whose payments have one short reference, and those: the first settled, the second by asking."""
    first, second = await mpesa.line(), await mpesa.line()
    one, other = two_keys_of_one_reference(first, second)
    stranger = await mpesa.until(await mpesa.pay(first, 5_000, key=one), PaymentState.SETTLED)
    await mpesa.plays("lost")
    payment = await mpesa.pay(second, 5_000, key=other)
    await mpesa.hurry()
    payment = await mpesa.ended(payment)
    assert payment.reference == stranger.reference
    return first, second, stranger, payment


async def test_a_confirmation_pays_for_its_own_payment_where_two_share_a_reference(mpesa: House) -> None:
    first, second, _, payment = await shared(mpesa)
    await confirmed(mpesa, made_for(mpesa, payment))
    assert [await mpesa.money(line) for line in (first, second)] == [5_000, 5_000]
    assert await mpesa.rows("SELECT count(*) FROM payment") == [(2,)]


async def test_money_under_a_reference_of_two_payments_is_nobodys_and_goes_back(mpesa: House) -> None:
    first, second, stranger, _ = await shared(mpesa)
    await begun_by_payer(mpesa, stranger.reference)
    assert (await came(mpesa)).state is PaymentState.REFUNDED
    assert [await mpesa.money(line) for line in (first, second)] == [5_000, 5_000]
    assert await mpesa.engine.find_payment(stranger.reference) is None
    await mpesa.right()


async def test_a_short_reference_pays_for_the_line_and_is_never_taken_for_the_payment_itself(mpesa: House) -> None:
    line = await mpesa.line()
    await mpesa.plays("decline")
    payment = await mpesa.ended(await mpesa.pay(line, 5_000))
    assert payment.state is PaymentState.DECLINED
    await begun_by_payer(mpesa, payment.reference)
    assert (await came(mpesa)).payment_id != payment.payment_id
    assert await mpesa.money(line) == 5_000
    await mpesa.right()


async def test_a_refund_waits_for_the_receipt_and_goes_on_when_it_comes(mpesa: House) -> None:
    line = await mpesa.line()
    payment = await polled(mpesa, line)
    answer = await mpesa.engine.payments.refund(payment.payment_id, "test", "console:test")
    assert answer is not None and answer.ok
    async with asyncio.timeout(10):
        while (await mpesa.rows("SELECT reason FROM payment"))[0][0] != "refund_refused":
            await mpesa.engine.resume_payments()
            await asyncio.sleep(0.05)
    mpesa.sandbox.desk.told(made_for(mpesa, payment))  # the push's own callback, late
    async with asyncio.timeout(20):
        while (await mpesa.rows("SELECT state FROM payment"))[0][0] != "refunded":
            await mpesa.engine.resume_payments()
            await asyncio.sleep(0.05)
    assert await mpesa.money(line) == await mpesa.taken() == 0
    await mpesa.right()


async def counted_as_incoming(mpesa: House) -> tuple[Subscriber, Payment]:
    """A payer's push, which nobody told us of, counted as money that came by itself; by another number of theirs."""
    line = await mpesa.line()
    mpesa.sandbox.desk.pace = 30.0
    payment = await mpesa.pay(line, 5_000)
    push = made_for(mpesa, payment)
    mpesa.sandbox.desk.pace = 0.05
    push.become("captured")
    mpesa.sandbox.desk.ledger.save(push)
    outcome = Outcome(state=GatewayState.CAPTURED, gateway_ref=push.details["receipt"], amount=5_000, currency="KES")
    event = Event(event_id="statement:1", outcome=outcome, account_number=line.msisdn)
    assert await mpesa.engine.payments.take_statement("mpesa", event) == "done"
    assert await mpesa.money(line) == 5_000
    return line, payment


async def test_a_push_whose_receipt_was_counted_already_is_a_duplicate_and_stays_one(
    mpesa: House, keyring: Keyring
) -> None:
    line, payment = await counted_as_incoming(mpesa)
    push = made_for(mpesa, payment)
    await posted(mpesa, keyring, payment, push.id, receipt=push.details["receipt"], shillings=50)
    after = await mpesa.until(payment, PaymentState.DECLINED)
    assert after.reason == "duplicate"
    again = await mpesa.engine.payments.look_again(payment.payment_id, "console:test")
    assert again is not None and again.state is PaymentState.DECLINED
    await mpesa.hurry()
    await mpesa.engine.resume_payments()
    assert await mpesa.money(line) == await mpesa.taken() == 5_000
    await mpesa.right()


async def test_a_payment_whose_answer_was_lost_is_credited_what_its_receipt_says(mpesa: House) -> None:
    line = await mpesa.line()
    await mpesa.plays("late", seconds=1.5)
    payment = await mpesa.pay(line, 5_000, wait_seconds=2.0)
    settled = await mpesa.until(payment, PaymentState.SETTLED)
    assert settled.gateway_ref == made_for(mpesa, payment).details["receipt"]
    assert await mpesa.money(line) == await mpesa.taken() == 5_000
    await mpesa.right()
