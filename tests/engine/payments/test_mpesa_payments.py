"""M-Pesa through the whole engine: pushes, payments that payers begin, and both told of the same money."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from engine.payments import writer
from engine.payments.names import suspense_of
from engine.words import LineStatus, PaymentState
from tests.engine.payments.house import PATH_SECRET, House
from tests.engine.payments.mpesa import RECEIPT, begun_by_payer, came


@pytest.mark.parametrize("play", ["approve", "twice", "early", "duplicate"])
async def test_a_push_is_credited_once_however_it_is_told(mpesa: House, play: str) -> None:
    line = await mpesa.line()
    await mpesa.plays(play)
    payment = await mpesa.ended(await mpesa.pay(line, 5_000))
    await asyncio.sleep(0.5)  # what is told twice is told by then
    assert payment.state is PaymentState.SETTLED
    assert await mpesa.money(line) == await mpesa.taken() == 5_000
    assert len(await mpesa.engine.payments_of(line.account)) == 1
    await mpesa.right()


async def test_a_lost_callback_is_made_good_by_asking(mpesa: House) -> None:
    line = await mpesa.line()
    await mpesa.plays("lost")
    payment = await mpesa.pay(line, 5_000)
    await mpesa.hurry()
    assert (await mpesa.ended(payment)).state is PaymentState.SETTLED
    await mpesa.right()


async def test_a_forged_success_on_a_payments_own_path_is_not_believed(mpesa: House) -> None:
    line = await mpesa.line()
    await mpesa.plays("late", seconds=30.0)
    payment = await mpesa.pay(line, 5_000, wait_seconds=2.0)
    ((digest,),) = await mpesa.rows("SELECT count(*) FROM gateway_event")
    assert digest == 0
    items = [{"Name": "Amount", "Value": 50.0}, {"Name": "MpesaReceiptNumber", "Value": RECEIPT}]
    items += [{"Name": "TransactionDate", "Value": 20260101101010}, {"Name": "PhoneNumber", "Value": 254700000123}]
    forged = {
        "Body": {
            "stkCallback": {
                "MerchantRequestID": "1",
                "CheckoutRequestID": "ws_CO_forged",
                "ResultCode": 0,
                "ResultDesc": "ok",
                "CallbackMetadata": {"Item": items},
            }
        }
    }
    for path in ("0" * 48, "guess"):
        url = f"{mpesa.base_url}/payments/mpesa/callback/{path}"
        async with mpesa.http.post(url, json=forged) as answer:
            assert answer.status == 404
    assert await mpesa.money(line) == 0
    found = await mpesa.engine.payment(payment.payment_id)
    assert found is not None and not found.state.final
    ((refused, kept),) = await mpesa.rows("SELECT refused, body FROM gateway_event")
    assert (refused, kept) == ("path: no payment's", None)


async def test_who_types_a_number_of_ours_pays_for_that_line(mpesa: House) -> None:
    line = await mpesa.line()
    await begun_by_payer(mpesa, f"0{line.msisdn.removeprefix('+254')}")
    payment = await came(mpesa)
    assert (payment.state, payment.line_id) == (PaymentState.SETTLED, line.line_id)
    assert await mpesa.money(line) == 5_000
    await mpesa.right()


async def test_money_for_a_number_that_nobody_knows_goes_back_by_itself(mpesa: House) -> None:
    await begun_by_payer(mpesa, "no such account")
    payment = await came(mpesa)
    assert (payment.state, payment.line_id) == (PaymentState.REFUNDED, None)
    assert await mpesa.taken() == 0
    await mpesa.right()


async def test_a_burst_of_money_for_nobody_shares_commits_and_all_of_it_goes_back(mpesa: House) -> None:
    receipts = [f"SG6X9D44{place:02}" for place in range(12)]
    await asyncio.gather(*(begun_by_payer(mpesa, "no such account", receipt=one) for one in receipts))
    payments = [await came(mpesa, one) for one in receipts]
    assert {one.state for one in payments} == {PaymentState.REFUNDED}
    # A commit holds one operation of an account, so those of one commit are of several.
    assert {one.account for one in payments} == {suspense_of(one.payment_id) for one in payments}
    assert len({one.account for one in payments}) > 4
    assert await mpesa.taken() == 0
    await mpesa.right()


async def test_who_quotes_a_payments_reference_but_pays_again_is_credited_again(mpesa: House) -> None:
    line = await mpesa.line()
    payment = await mpesa.ended(await mpesa.pay(line, 5_000))
    await mpesa.until(payment, PaymentState.SETTLED)
    await begun_by_payer(mpesa, payment.reference)
    assert (await came(mpesa)).payment_id != payment.payment_id
    assert await mpesa.money(line) == 10_000
    await mpesa.right()


async def test_a_payer_is_told_before_paying_that_an_account_is_none_of_ours(mpesa: House) -> None:
    line = await mpesa.line()
    closed = await mpesa.line(status=LineStatus.ACTIVE)
    await mpesa.engine.accounts.set_status(closed, LineStatus.BARRED, reason="test", by="test")
    answers = {}
    for account in (line.msisdn.lstrip("+"), closed.msisdn.lstrip("+"), "nonsense"):
        body = {"account": account, "amount": 50, "msisdn": "254700000123"}
        async with mpesa.http.post(f"{mpesa.sandbox.base_url}/mpesa/pay", json=body) as answer:
            answers[account] = (msgspec.json.decode(await answer.read()))["accepted"]
    assert list(answers.values()) == [True, False, False]


async def test_what_payers_typed_and_who_they_are_is_nowhere_in_the_clear(mpesa: House) -> None:
    line = await mpesa.line()
    typed = f"0{line.msisdn.removeprefix('+254')}"
    await begun_by_payer(mpesa, typed)
    await came(mpesa)
    kept = await mpesa.rows(
        "SELECT to_jsonb(e)::text FROM gateway_event e UNION ALL SELECT to_jsonb(p)::text FROM payment p"
        " UNION ALL SELECT to_jsonb(v)::text FROM payment_event v"
    )
    everything = " ".join(text for (text,) in kept)
    assert RECEIPT in everything
    assert typed.lstrip("0") not in everything
    assert "700000123" not in everything
    assert PATH_SECRET not in everything


async def validated(house: House, account: str | None) -> tuple[int, Any]:
    """What Safaricom hears that asks before a payment to ``account``: status and result."""
    asked = {"TransID": RECEIPT, "TransAmount": "50.00", "TransTime": "20261121134211", "BusinessShortCode": "600638"}
    asked |= {"MSISDN": "254700000123"} | ({} if account is None else {"BillRefNumber": account})
    url = f"{house.base_url}/payments/mpesa/callback/{PATH_SECRET}-check"
    async with house.http.post(url, json=asked) as answer:
        return answer.status, (await answer.json()).get("ResultCode")


async def test_who_types_an_account_of_nobody_is_refused_before_they_pay_and_a_till_asks_for_none(mpesa: House) -> None:
    line = await mpesa.line()
    assert [await validated(mpesa, account) for account in (line.msisdn, "nobody", "", None)] == [
        (200, 0),
        (200, "C2B00012"),
        (200, 0),
        (200, 0),
    ]


async def test_who_asks_while_the_books_are_away_is_told_to_ask_again(
    mpesa: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE", 0.1)
    await mpesa.run("ALTER TABLE payment_locator RENAME TO away")
    # Whoever reads it hears what a server says that is shut down.
    await mpesa.run(
        "CREATE FUNCTION shut_down() RETURNS boolean LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'shut down' USING ERRCODE = 'admin_shutdown'; END $$"
    )
    gone = "SELECT (a).* FROM (SELECT CAST(NULL AS away) AS a WHERE shut_down()) gone"
    await mpesa.run(f"CREATE VIEW payment_locator AS SELECT * FROM away UNION ALL {gone}")
    await mpesa.run("GRANT SELECT ON payment_locator TO rasid_app")
    try:
        assert (await validated(mpesa, "nobody"))[0] == 503
    finally:
        await mpesa.run("DROP VIEW payment_locator")
        await mpesa.run("DROP FUNCTION shut_down")
        await mpesa.run("ALTER TABLE away RENAME TO payment_locator")
    assert (await validated(mpesa, "nobody"))[0] == 200
