"""M-Pesa signs nothing: what is believed of a callback, and what of it credits nobody."""

from __future__ import annotations

import asyncio

import pytest

from engine.recharge.gateways.contract import Event, GatewayState, Outcome
from engine.words import PaymentState
from runtime.keyring import Keyring
from sandbox.payments.ledger import Payment as Made
from tests.engine.payments.house import House
from tests.engine.payments.mpesa import RECEIPT, made_for, posted
from tests.houses import Houses
from tests.waiting import until


@pytest.fixture
async def mpesa(houses: Houses) -> House:
    """A house that takes M-Pesa only, whose gateways soon give an answer up."""
    return await houses(only=("mpesa",), patience=1.0)


@pytest.mark.parametrize("answered", [True, False])
async def test_a_leaked_path_and_somebody_elses_paid_push_credit_nothing(
    mpesa: House, keyring: Keyring, *, answered: bool
) -> None:
    victim, payer = await mpesa.line(), await mpesa.line()
    if answered:
        mpesa.sandbox.desk.pace = 30.0  # asked, and nobody types a PIN
    else:
        await mpesa.plays("hang")  # asked, and we never heard under which name
    unpaid = await mpesa.pay(victim, 900_000)
    mpesa.sandbox.desk.pace = 0.05
    paid = await mpesa.until(await mpesa.pay(payer, 5_000), PaymentState.SETTLED)
    push = made_for(mpesa, paid)
    # Its own callback has come already, or this one would be a replay.
    await mpesa.run("DELETE FROM gateway_event")
    assert await posted(mpesa, keyring, unpaid, push.id, receipt=RECEIPT, shillings=9_000) == "reference"
    await mpesa.engine.resume_payments()
    assert (await mpesa.money(victim), await mpesa.money(payer)) == (0, 5_000)
    assert await mpesa.engine.payments.find_by_gateway_ref("mpesa", RECEIPT) is None
    await mpesa.right()


async def test_a_push_that_is_nobodys_does_not_pay_for_a_payment_with_a_push_of_its_own(
    mpesa: House, keyring: Keyring
) -> None:
    line = await mpesa.line()
    mpesa.sandbox.desk.pace = 30.0
    unpaid = await mpesa.pay(line, 5_000)
    other = Made(face="mpesa", id="ws_CO_other", key="other", amount=100, currency="KES", details={"receipt": "X"})
    other.become("captured")
    mpesa.sandbox.desk.ledger.save(other)
    assert await posted(mpesa, keyring, unpaid, other.id, receipt=RECEIPT, shillings=50) == "reference"
    assert await mpesa.money(line) == 0


async def test_a_receipt_that_is_another_payments_is_not_believed_and_asking_settles_it(
    mpesa: House, keyring: Keyring
) -> None:
    first, second = await mpesa.line(), await mpesa.line()
    known = await mpesa.until(await mpesa.pay(first, 5_000), PaymentState.SETTLED)
    await mpesa.plays("lost")
    payment = await mpesa.pay(second, 5_000)
    push = made_for(mpesa, payment)
    await until(lambda: push.state == "captured")
    assert known.gateway_ref is not None
    assert await posted(mpesa, keyring, payment, push.id, receipt=known.gateway_ref, shillings=50) == "reference"
    await mpesa.hurry()
    assert (await mpesa.ended(payment)).state is PaymentState.SETTLED
    assert [await mpesa.money(line) for line in (first, second)] == [5_000, 5_000]
    assert await mpesa.taken() == 10_000
    await mpesa.right()


async def test_who_makes_up_a_receipt_for_a_paid_push_is_contradicted_by_its_true_callback_and_staff_is_told(
    mpesa: House, keyring: Keyring
) -> None:
    line = await mpesa.line()
    await mpesa.plays("lost")
    payment = await mpesa.pay(line, 5_000)
    push = made_for(mpesa, payment)
    await until(lambda: push.state == "captured")
    assert await posted(mpesa, keyring, payment, push.id, receipt=RECEIPT, shillings=50) == ""
    mpesa.sandbox.desk.told(push)  # the true one comes after it
    await until(mpesa.alarms)
    assert await mpesa.alarms() == ["payment.contradicted"]
    assert mpesa.sandbox.desk.posted[-1].status == 200
    assert await mpesa.money(line) == await mpesa.taken() == 5_000
    await mpesa.right()


async def test_an_amount_that_a_callback_makes_up_credits_what_was_pushed(mpesa: House, keyring: Keyring) -> None:
    line = await mpesa.line()
    await mpesa.plays("lost")
    payment = await mpesa.pay(line, 5_000)
    push = made_for(mpesa, payment)
    await until(lambda: push.state == "captured")
    await posted(mpesa, keyring, payment, push.id, receipt=RECEIPT, shillings=90_000)
    assert (await mpesa.ended(payment)).state is PaymentState.SETTLED
    assert await mpesa.money(line) == await mpesa.taken() == 5_000


async def test_money_of_no_currency_is_not_credited(mpesa: House) -> None:
    line = await mpesa.line()
    outcome = Outcome(state=GatewayState.CAPTURED, gateway_ref=RECEIPT, amount=5_000)
    event = Event(event_id="statement:1", outcome=outcome, account_number=line.msisdn)
    assert await mpesa.engine.payments.take_statement("mpesa", event) == "refused"
    assert await mpesa.rows("SELECT refused FROM gateway_event") == [("currency",)]
    assert await mpesa.money(line) == 0


async def test_a_paid_push_of_nobodys_does_not_pay_for_a_payment_whose_answer_was_lost(
    mpesa: House, keyring: Keyring
) -> None:
    line = await mpesa.line()
    await mpesa.plays("hang")
    unpaid = await mpesa.pay(line, 300_000, wait_seconds=5.0)
    assert unpaid.state is PaymentState.UNKNOWN
    other = Made(
        face="mpesa", id="ws_CO_other", key="other", amount=2_000, currency="KES", details={"receipt": "SJK7QW9ABC"}
    )
    other.become("captured")
    mpesa.sandbox.desk.ledger.save(other)
    await posted(mpesa, keyring, unpaid, other.id, receipt=RECEIPT, shillings=3_000)
    for _ in range(3):
        await mpesa.hurry()
        await mpesa.engine.resume_payments()
        await asyncio.sleep(0.2)
    found = await mpesa.engine.payment(unpaid.payment_id)
    assert found is not None and found.state is PaymentState.UNKNOWN
    assert await mpesa.money(line) == 0


async def test_what_is_made_up_on_another_payments_path_does_not_take_the_place_of_the_true_event(
    mpesa: House, keyring: Keyring
) -> None:
    mine, other = await mpesa.line(), await mpesa.line()
    mpesa.sandbox.desk.pace = 30.0
    path, payment = await mpesa.pay(other, 5_000), await mpesa.pay(mine, 5_000)
    push = made_for(mpesa, payment)
    assert await posted(mpesa, keyring, path, push.id, receipt=RECEIPT, shillings=50) == "reference"
    push.become("captured")
    mpesa.sandbox.desk.ledger.save(push)
    mpesa.sandbox.desk.told(push)
    await mpesa.until(payment, PaymentState.SETTLED)
    assert [await mpesa.money(line) for line in (mine, other)] == [5_000, 0]


async def test_a_flood_on_paths_that_are_no_payments_is_refused_and_not_kept(mpesa: House) -> None:
    mpesa.engine.payments._inbox._refusals = -10_000.0
    for number in range(30):
        callback = {"CheckoutRequestID": f"ws_CO_{number}", "ResultCode": 1032}
        url = f"{mpesa.base_url}/payments/mpesa/callback/guess{number}"
        async with mpesa.http.post(url, json={"Body": {"stkCallback": callback}}) as answer:
            assert answer.status == 404
    assert await mpesa.rows("SELECT FROM gateway_event") == []
