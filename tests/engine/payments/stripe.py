"""Stripe as these tests play it: saved cards that are charged, and events posted and signed as Stripe does."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

import msgspec

from engine.words import Payment, PaymentMethod, PaymentState, Subscriber
from sandbox.payments.desk import Accounts
from sandbox.payments.ledger import Payment as Made
from sandbox.payments.shapes import charge_of, dispute_of
from tests.engine.payments.house import House
from tests.engine.shop import credit

TOKEN = "cus_test/pm_card_visa"


async def charged(house: House, line: Subscriber, amount: int = 5_000) -> Payment:
    """A saved card is charged."""
    return await house.pay(line, amount, method=PaymentMethod.CARD, token=TOKEN)


async def paid(house: House) -> tuple[Subscriber, Payment, Made]:
    """A saved card of a new line is charged 50.00, and its credit is there."""
    line = await house.line()
    return line, await charged(house, line), made(house)


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
    """How a payment stands now."""
    found = await house.engine.payment(payment.payment_id)
    assert found is not None
    return found.state


async def spend(house: House, line: Subscriber, amount: int) -> None:
    """Some of the credit is gone."""
    await credit(house.engine, line, -amount)


def refunded(one: Made, returned: int) -> bytes:
    """That so much of a charge went back in all, as Stripe tells it."""
    return event(f"evt_r{returned}", "charge.refunded", charge_of(one) | {"amount_refunded": returned})


def disputed(one: Made, amount: int, end: str = "needs_response", *, name: str = "dp_1") -> bytes:
    """A bank asks for so much of a charge, or has won or lost, as Stripe tells it."""
    kind = f"charge.dispute.{'created' if end == 'needs_response' else 'closed'}"
    shape = dispute_of(one) | {"id": name, "amount": amount, "status": end}
    return event(f"evt_{name}_{end}", kind, shape)


async def cases(house: House) -> list[tuple[str, str | None, str]]:
    """Cases of what banks ask back: state, outcome and reason."""
    return await house.rows("SELECT state, outcome, reason FROM dispute ORDER BY reason")
