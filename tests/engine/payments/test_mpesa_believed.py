"""M-Pesa signs nothing: what is believed of a callback, and how one payment with three names stays one."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from engine.payments.names import path_secret, payment_id_of, reference
from engine.recharge.gateways.contract import Event, GatewayState, Outcome
from engine.recharge.gateways.references import account_number
from engine.words import Payment, PaymentState, Subscriber
from runtime.keyring import Keyring
from sandbox.payments.ledger import Payment as Made
from tests.engine.payments.house import House
from tests.engine.payments.test_mpesa_payments import begun_by_payer, came
from tests.houses import Houses
from tests.waiting import until

RECEIPT = "SJK7QW9XYZ"


@pytest.fixture
async def mpesa(houses: Houses) -> House:
    """A house that takes M-Pesa only, whose gateways soon give an answer up."""
    return await houses(only=("mpesa",), patience=1.0)


async def posted(
    house: House, keyring: Keyring, payment: Payment, checkout: str, *, receipt: str, shillings: int
) -> str:
    """Somebody posts a success to a payment's own path. Returns what became of it: why not, or nothing."""
    items = [{"Name": "Amount", "Value": shillings}, {"Name": "MpesaReceiptNumber", "Value": receipt}]
    items += [{"Name": "TransactionDate", "Value": 20260101101010}, {"Name": "PhoneNumber", "Value": 254700000123}]
    callback = {"CheckoutRequestID": checkout, "ResultCode": 0, "CallbackMetadata": {"Item": items}}
    url = f"{house.base_url}/payments/mpesa/callback/{path_secret(keyring, payment.payment_id)}"
    async with house.http.post(url, json={"Body": {"stkCallback": callback}}) as answer:
        assert answer.status == 200
    rows = await house.rows("SELECT refused FROM gateway_event WHERE event_id = %s", f"stk:{checkout}:0")
    return rows[0][0] or ""


def made_for(house: House, payment: Payment) -> Made:
    """The sandbox's push of a payment of ours."""
    account = account_number(payment.reference, payment.payment_id)
    return next(one for one in house.sandbox.desk.ledger.all("mpesa") if one.details["account"] == account)


async def confirmed(house: House, made: Made) -> None:
    """Safaricom tells of the money as of a payment to the account number, too."""
    made.details["c2b"] = "only"
    house.sandbox.desk.told(made)
    async with asyncio.timeout(20):
        while await house.engine.payments.find_by_gateway_ref("mpesa", made.details["receipt"]) is None:
            await house.engine.resume_payments()
            await asyncio.sleep(0.05)


async def polled(house: House, line: Subscriber) -> Payment:
    """A payment whose callback was lost, settled by asking."""
    await house.plays("lost")
    payment = await house.pay(line, 5_000)
    await house.hurry()
    return await house.ended(payment)


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


async def test_a_payment_whose_answer_was_lost_is_credited_what_its_receipt_says(mpesa: House) -> None:
    line = await mpesa.line()
    await mpesa.plays("late", seconds=1.5)
    payment = await mpesa.pay(line, 5_000, wait_seconds=2.0)
    settled = await mpesa.until(payment, PaymentState.SETTLED)
    assert settled.gateway_ref == made_for(mpesa, payment).details["receipt"]
    assert await mpesa.money(line) == await mpesa.taken() == 5_000
    await mpesa.right()


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
