"""A card that is entered on Stripe's own page: a Checkout Session, what it says of its payment, and the card to keep.

Source: docs.stripe.com/api/checkout/sessions, docs.stripe.com/payments/checkout/how-checkout-works. The PaymentIntent
comes into being when the payer confirms. A card that is refused there ends nothing: the payer tries another one until
the session expires. So of such an intent only what moves money is believed; the rest is the session's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from engine.recharge.gateways.contract import ChargeRequest, DeclineReason, GatewayState, NewCard, Outcome
from engine.recharge.gateways.http import unknown
from engine.recharge.gateways.stripe.codes import link_of, standing
from engine.recharge.gateways.stripe.money import from_stripe

#: how a session's id begins
SESSION = "cs_"
#: in the metadata of what was begun on a page; and of what its payer wants kept
ON_PAGE, KEEPS = "page", "keep"
YES = "true"
#: what a card is charged with while its payer is away
OFF_SESSION = "off_session"


def back(return_url: str, payment_id: object) -> str:
    """Where the payer's browser comes back to: the address of the settings, with the payment that it is about."""
    parts = urlsplit(return_url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("payment", str(payment_id))])
    return parts._replace(query=query).geturl()


def session_form(
    request: ChargeRequest, amount: int, *, return_url: str, lasts: timedelta, holds: bool
) -> dict[str, str]:
    """What a page is asked for with. ``amount`` as Stripe counts it; ``lasts``: how long it can be paid on."""
    returns = back(return_url, request.payment_id)
    metadata = {
        "payment_id": str(request.payment_id),
        "reference": request.reference,
        ON_PAGE: YES,
        **({KEEPS: YES} if request.payer.keep else {}),
    }
    form = {
        "mode": "payment",
        "client_reference_id": str(request.payment_id),
        "success_url": returns,
        "cancel_url": returns,
        "payment_method_types[0]": "card",
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": request.currency.lower(),
        "line_items[0][price_data][unit_amount]": str(amount),
        "line_items[0][price_data][product_data][name]": request.description,
        "payment_intent_data[description]": request.description,
        "payment_intent_data[capture_method]": "manual" if holds else "automatic",
        **{f"metadata[{name}]": value for name, value in metadata.items()},
        **{f"payment_intent_data[metadata][{name}]": value for name, value in metadata.items()},
    }
    if request.asked_at is not None:
        # The same however often it is sent: under one idempotency key Stripe takes one form.
        form["expires_at"] = str(int((request.asked_at + lasts).timestamp()))
    if request.payer.keep:
        # A card can be charged again only for a customer.
        form |= {"customer_creation": "always", "payment_intent_data[setup_future_usage]": OFF_SESSION}
    return form


def opened(session: Mapping[str, Any]) -> Outcome:
    """A page that was just made: ``pending``, with where the payer finds it."""
    outcome, link = session_outcome(session), link_of(session)
    if outcome.state is GatewayState.PENDING and link is not None:
        return msgspec.structs.replace(outcome, action_url=link)
    return outcome if outcome.state is GatewayState.DECLINED else unknown("no_page")


def session_outcome(session: Mapping[str, Any]) -> Outcome:
    """What a session says of its payment, its PaymentIntent expanded. ``unknown`` where it makes no sense."""
    status, intent = session.get("status"), session.get("payment_intent")
    if status == "complete" and isinstance(intent, Mapping):
        return standing(intent)
    state = {"open": GatewayState.PENDING, "expired": GatewayState.DECLINED}.get(str(status))
    reference, currency = session.get("id"), str(session.get("currency", "")).upper()
    amount = session.get("amount_total")
    if state is None or not isinstance(reference, str) or not isinstance(amount, int):
        return unknown(f"status_{status}")
    try:
        minor = from_stripe(amount, currency)
    except ValueError:
        return unknown("amount")
    reason = DeclineReason.TIMEOUT if state is GatewayState.DECLINED else None
    code = f"session_{status}"
    return Outcome(
        state=state, gateway_ref=reference, amount=minor, currency=currency, reason=reason, provider_code=code
    )


def on_page(intent: Mapping[str, Any]) -> bool:
    """Whether a PaymentIntent, or a session, is of a page."""
    return _marked(intent, ON_PAGE)


def keeps(found: Mapping[str, Any]) -> bool:
    """Whether whoever pays by a PaymentIntent, or on a session's page, wants the card kept."""
    return _marked(found, KEEPS)


def _marked(found: Mapping[str, Any], name: str) -> bool:
    metadata = found.get("metadata")
    return isinstance(metadata, Mapping) and metadata.get(name) == YES


def card_of(intent: Mapping[str, Any]) -> NewCard | None:
    """The card of a PaymentIntent whose payer wants it kept, its charge expanded; None where Stripe does not say it."""
    charge, customer = intent.get("latest_charge"), intent.get("customer")
    if intent.get("setup_future_usage") != OFF_SESSION or not isinstance(charge, Mapping):
        return None
    details, method = charge.get("payment_method_details"), charge.get("payment_method")
    card = details.get("card") if isinstance(details, Mapping) else None
    if not isinstance(card, Mapping) or not isinstance(customer, str) or not isinstance(method, str):
        return None
    year, month = card.get("exp_year"), card.get("exp_month")
    if not isinstance(year, int) or not isinstance(month, int) or not (1 <= month <= 12 and 2000 <= year < 9999):
        return None
    # Good until the end of the month that stands on it.
    ends = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    brand, digits = str(card.get("brand") or "card"), str(card.get("last4"))
    return NewCard(token=f"{customer}/{method}", brand=brand.title(), last_four=digits, expires_at=ends)
