"""A paid push that is told as a payment to the shortcode, too, with nothing to know it by but payer and amount."""

from __future__ import annotations

import asyncio

import pytest

from engine.recharge.gateways.references import payer_digest
from engine.words import PaymentState
from sandbox.payments.ledger import Payment as Made
from tests.engine.payments.house import House
from tests.engine.payments.mpesa import RECEIPT, came, made_for
from tests.waiting import until


def told(house: House, made: Made, *, phone: str | None = None) -> None:
    """Safaricom confirms a push as a till does: without an account."""
    made.details |= {"c2b": "only", "account": "", "phone": phone or made.details["phone"]}
    house.sandbox.desk.told(made)


async def worked(house: House, kept: str) -> None:
    """Let the loop work until there are events like ``kept`` and nothing waits any more."""
    async with asyncio.timeout(30):
        while True:
            rows = await house.rows("SELECT done_at IS NOT NULL FROM gateway_event WHERE event_id LIKE %s", kept)
            if rows and all(done for (done,) in rows):
                return
            await house.hurry()
            await house.engine.resume_payments()
            await asyncio.sleep(0.05)


async def heard(house: House, kept: str) -> None:
    """Wait until an event like ``kept`` is stored, and let the loop work on it."""
    await until(lambda: house.rows("SELECT FROM gateway_event WHERE event_id LIKE %s", kept))
    for _ in range(2):
        await house.hurry()
        await house.engine.resume_payments()


@pytest.mark.parametrize("hashed", [True, False])
async def test_what_was_settled_by_asking_is_what_a_confirmation_without_an_account_tells(
    mpesa: House, *, hashed: bool
) -> None:
    line = await mpesa.line()
    await mpesa.plays("lost")
    payment = await mpesa.pay(line, 5_000)
    await mpesa.hurry()
    assert (await mpesa.ended(payment)).state is PaymentState.SETTLED
    made = made_for(mpesa, payment)
    told(mpesa, made, phone=payer_digest(line.msisdn) if hashed else None)
    await worked(mpesa, "c2b:%")
    assert await mpesa.rows("SELECT gateway_ref, state FROM payment") == [(made.details["receipt"], "settled")]
    assert await mpesa.money(line) == await mpesa.taken() == 5_000
    await mpesa.right()


async def test_a_confirmation_that_overtakes_its_push_waits_for_it_and_counts_once(mpesa: House) -> None:
    line = await mpesa.line()
    mpesa.sandbox.desk.pace = 30.0
    await mpesa.plays("lost")
    payment = await mpesa.pay(line, 5_000)
    made = made_for(mpesa, payment)
    receipt = made.details["receipt"]
    paid = Made(face="mpesa", id="c2b", key="c2b", amount=5_000, currency="KES", details=dict(made.details))
    told(mpesa, paid)
    await heard(mpesa, "c2b:%")
    assert await mpesa.rows("SELECT count(*) FROM payment") == [(1,)]
    assert await mpesa.money(line) == 0
    mpesa.sandbox.desk.pace = 0.05
    made.become("captured")
    mpesa.sandbox.desk.ledger.save(made)
    await worked(mpesa, "c2b:%")
    assert await mpesa.rows("SELECT gateway_ref, state FROM payment") == [(receipt, "settled")]
    assert await mpesa.money(line) == await mpesa.taken() == 5_000
    await mpesa.right()


async def test_who_pays_by_hand_after_a_declined_push_of_the_same_amount_is_credited_for_that(mpesa: House) -> None:
    line = await mpesa.line()
    await mpesa.plays("decline")
    payment = await mpesa.pay(line, 5_000)
    assert (await mpesa.ended(payment)).state is PaymentState.DECLINED
    details = {"receipt": RECEIPT, "phone": line.msisdn.removeprefix("+"), "account": line.msisdn, "c2b": "only"}
    made = Made(face="mpesa", id="c2b", key="c2b", amount=5_000, currency="KES", details=details)
    made.become("captured")
    mpesa.sandbox.desk.told(made)
    assert (await came(mpesa)).payment_id != payment.payment_id
    assert await mpesa.money(line) == 5_000
    await mpesa.right()


async def test_who_pays_once_more_by_hand_after_a_push_whose_receipt_is_known_is_credited_twice(mpesa: House) -> None:
    line = await mpesa.line()
    await mpesa.until(await mpesa.pay(line, 5_000), PaymentState.SETTLED)
    details = {"receipt": RECEIPT, "phone": line.msisdn.removeprefix("+"), "account": line.msisdn, "c2b": "only"}
    made = Made(face="mpesa", id="c2b", key="c2b", amount=5_000, currency="KES", details=details)
    made.become("captured")
    mpesa.sandbox.desk.told(made)
    assert (await came(mpesa)).state is PaymentState.SETTLED
    assert await mpesa.money(line) == 10_000
    await mpesa.right()


async def test_who_pays_by_hand_for_another_line_pays_for_that_one_whatever_they_were_asked_for(mpesa: House) -> None:
    payer, other = await mpesa.line(), await mpesa.line()
    await mpesa.plays("lost")
    payment = await mpesa.pay(payer, 5_000)
    await mpesa.hurry()
    assert (await mpesa.ended(payment)).state is PaymentState.SETTLED
    details = {"receipt": RECEIPT, "phone": payer.msisdn.removeprefix("+"), "account": other.msisdn, "c2b": "only"}
    made = Made(face="mpesa", id="c2b", key="c2b", amount=5_000, currency="KES", details=details)
    made.become("captured")
    mpesa.sandbox.desk.told(made)
    await worked(mpesa, "c2b:%")
    assert (await came(mpesa)).payment_id != payment.payment_id
    assert await mpesa.money(payer) == await mpesa.money(other) == 5_000
    await mpesa.right()
