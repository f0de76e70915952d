"""Stripe's objects as JSON (docs.stripe.com/api): a PaymentIntent, its charge, a dispute, an error."""

from __future__ import annotations

from typing import Any

import msgspec

from sandbox.payments.ledger import Payment

PAID = frozenset({"captured", "refunded", "chargeback"})
STATUS = {
    "captured": "succeeded",
    "refunded": "succeeded",
    "chargeback": "succeeded",
    "held": "requires_capture",
    "declined": "requires_payment_method",
}


def intent_of(payment: Payment, action_url: str) -> dict[str, Any]:
    """A PaymentIntent. ``action_url``: where the payer proves who they are, if that is waited for."""
    details = payment.details
    status = STATUS.get(payment.state, "processing")
    if details.get("canceled"):
        status = "canceled"
    elif payment.state == "pending" and "waits" in details:
        status = "requires_action" if details["waits"] == "action" else "requires_payment_method"
    paid = payment.state in PAID
    acts = status == "requires_action"
    code = details.get("code")
    return {
        "id": payment.id,
        "object": "payment_intent",
        "status": status,
        "amount": payment.amount,
        "amount_received": payment.amount if paid else 0,
        "currency": payment.currency.lower(),
        "created": int(payment.created_at.timestamp()),
        "metadata": _metadata(payment),
        "customer": details.get("customer"),
        "setup_future_usage": details.get("usage"),
        "cancellation_reason": details.get("canceled"),
        "next_action": {"type": "redirect_to_url", "redirect_to_url": {"url": action_url}} if acts else None,
        "last_payment_error": {"code": "card_declined", "decline_code": code} if code else None,
        "latest_charge": charge_of(payment) if paid or payment.state == "held" else None,
    }


def charge_of(payment: Payment) -> dict[str, Any]:
    """The charge behind a PaymentIntent."""
    brand, last_four = payment.details.get("brand", "visa"), payment.details.get("last4", "4242")
    card = {"brand": brand, "last4": last_four, "exp_month": 12, "exp_year": 2034}
    return {
        "id": payment.details["charge"],
        "object": "charge",
        "amount": payment.amount,
        "amount_refunded": payment.refunded,
        "currency": payment.currency.lower(),
        "disputed": payment.disputed > 0,
        "refunded": payment.refunded == payment.amount,
        "metadata": _metadata(payment),
        "payment_intent": payment.id,
        "payment_method": f"pm_{payment.details['charge'].removeprefix('ch_')}",
        "payment_method_details": {"type": "card", "card": card},
    }


def session_of(payment: Payment, base_url: str, *, expand: bool = False) -> dict[str, Any]:
    """A Checkout Session. ``base_url``: where its page is; ``expand``: with its PaymentIntent, not only its id."""
    details = payment.details
    status = {"pending": "open", "declined": "expired"}.get(payment.state, "complete")
    intent: Any = None
    if status == "complete":
        intent = intent_of(payment, "") if expand else payment.id
    return {
        "id": details["session"],
        "object": "checkout.session",
        "mode": "payment",
        "status": status,
        "payment_status": "paid" if payment.state in PAID else "unpaid",
        "amount_total": payment.amount,
        "currency": payment.currency.lower(),
        "client_reference_id": details["payment_id"],
        "customer": details.get("customer"),
        "metadata": _metadata(payment),
        "payment_intent": intent,
        "url": f"{base_url}/checkout/{details['session']}" if status == "open" else None,
        "expires_at": int(details["ends"]),
        "created": int(payment.created_at.timestamp()),
    }


def _metadata(payment: Payment) -> dict[str, str]:
    return {name: payment.details[name] for name in ("payment_id", "page", "keep") if name in payment.details}


def dispute_of(payment: Payment) -> dict[str, Any]:
    """A payer's bank that wants the money back."""
    return {
        "id": f"dp_{payment.id}",
        "object": "dispute",
        "amount": payment.disputed or payment.amount,
        "currency": payment.currency.lower(),
        "status": payment.details.get("dispute", "needs_response"),
        "charge": payment.details["charge"],
        "payment_intent": payment.id,
        "metadata": {},
    }


def stripe_error(kind: str, code: str, intent: dict[str, Any] | None = None, decline_code: str | None = None) -> str:
    """An error as JSON."""
    error: dict[str, Any] = {"type": kind, "code": code, "message": code.replace("_", " ")}
    if decline_code:
        error["decline_code"] = decline_code
    if intent is not None:
        error["payment_intent"] = intent
    return msgspec.json.encode({"error": error}).decode()
