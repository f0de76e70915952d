"""M-Pesa as these tests play it: payers who begin payments, callbacks that anybody may post, confirmations."""

from __future__ import annotations

import asyncio
from typing import Any

from engine.payments.names import path_secret
from engine.recharge.gateways.references import account_number
from engine.words import Payment, Subscriber
from runtime.keyring import Keyring
from sandbox.payments.ledger import Payment as Made
from tests.engine.payments.house import House

RECEIPT = "SJK7QW9XYZ"


async def begun_by_payer(house: House, account: str, shillings: int = 50, receipt: str = RECEIPT) -> Made:
    """Somebody pays the paybill and types ``account``; Safaricom asks nobody before, and confirms."""
    details = {"receipt": receipt, "phone": "254700000123", "account": account, "c2b": "only"}
    made = Made(face="mpesa", id=f"c2b_{receipt}", key=receipt, amount=shillings * 100, currency="KES", details=details)
    made.become("captured")
    house.sandbox.desk.told(made)
    return made


async def came(house: House, receipt: str = RECEIPT) -> Any:
    """The payment of a receipt, once it has come to an end."""
    async with asyncio.timeout(20):
        while True:
            payment = await house.engine.payments.find_by_gateway_ref("mpesa", receipt)
            if payment is not None and payment.state.final:
                return payment
            await house.engine.resume_payments()
            await asyncio.sleep(0.05)


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
    rows = await house.rows("SELECT refused FROM gateway_event WHERE event_id = %s", f"stk:{checkout}:0:{receipt}")
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
