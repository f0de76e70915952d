"""Stripe's words in ours: the states of a PaymentIntent, the codes of a decline.

Sources: docs.stripe.com/payments/paymentintents/lifecycle, docs.stripe.com/declines/codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from engine.recharge.gateways.contract import DeclineReason, Dispute, GatewayState, Outcome
from engine.recharge.gateways.http import unknown
from engine.recharge.gateways.stripe.money import from_stripe

#: what is not listed has no reason that helps a person
REASONS = {
    "insufficient_funds": DeclineReason.FUNDS,
    "withdrawal_count_limit_exceeded": DeclineReason.LIMIT,
    "card_velocity_exceeded": DeclineReason.LIMIT,
    "amount_too_large": DeclineReason.LIMIT,
    "amount_too_small": DeclineReason.LIMIT,
    "expired_card": DeclineReason.METHOD,
    "incorrect_number": DeclineReason.METHOD,
    "invalid_account": DeclineReason.METHOD,
    "card_not_supported": DeclineReason.METHOD,
    "currency_not_supported": DeclineReason.METHOD,
    "new_account_information_available": DeclineReason.METHOD,
    "authentication_required": DeclineReason.METHOD,
    "payment_intent_authentication_failure": DeclineReason.METHOD,
    "payment_method_unactivated": DeclineReason.METHOD,
    "resource_missing": DeclineReason.METHOD,
    "incorrect_pin": DeclineReason.WRONG_PIN,
    "invalid_pin": DeclineReason.WRONG_PIN,
    "pin_try_exceeded": DeclineReason.WRONG_PIN,
    "fraudulent": DeclineReason.FRAUD,
    "lost_card": DeclineReason.FRAUD,
    "stolen_card": DeclineReason.FRAUD,
    "merchant_blacklist": DeclineReason.FRAUD,
    "pickup_card": DeclineReason.FRAUD,
}
STATES = {
    "succeeded": GatewayState.CAPTURED,
    "requires_capture": GatewayState.HELD,
    "processing": GatewayState.PENDING,
    "requires_action": GatewayState.PENDING,
    "requires_confirmation": GatewayState.PENDING,
    "requires_payment_method": GatewayState.DECLINED,
    "canceled": GatewayState.DECLINED,
}
#: of a dispute that is over: the money is ours again, or the bank's for good
WON, ENDED = "won", frozenset({"won", "lost"})
#: an inquiry: the bank asks, and has taken nothing (docs.stripe.com/disputes/how-disputes-work)
WARNING = "warning_"
CANCELLED = {
    "requested_by_customer": DeclineReason.CANCELLED,
    "abandoned": DeclineReason.TIMEOUT,
    "automatic": DeclineReason.TIMEOUT,
    "fraudulent": DeclineReason.FRAUD,
}


def reason_of(error: Any) -> tuple[DeclineReason, str]:
    """Why a card was declined, and Stripe's own code for it, from an error object."""
    codes = error if isinstance(error, Mapping) else {}
    code = codes.get("decline_code") or codes.get("code") or "declined"
    return REASONS.get(str(code), DeclineReason.OTHER), str(code)[:60]


def outcome_of(intent: Mapping[str, Any]) -> Outcome:
    """What a PaymentIntent says of its payment. ``unknown`` where it makes no sense."""
    state = STATES.get(str(intent.get("status")))
    reference, currency = intent.get("id"), str(intent.get("currency", "")).upper()
    amount = intent.get("amount")
    if state is GatewayState.CAPTURED:
        # Stripe always says it; who plays Stripe without it takes amounts as a whole.
        amount = intent.get("amount_received", amount)
    if state is None or not isinstance(reference, str) or not isinstance(amount, int) or not currency:
        return unknown(f"status_{intent.get('status')}")
    try:
        moved = from_stripe(amount, currency)
    except ValueError:
        return unknown("amount")
    if moved <= 0:
        return unknown("amount")
    reason, code = None, str(intent["status"])
    if state is GatewayState.DECLINED:
        reason, code = _why(intent)
    return Outcome(
        state=state,
        gateway_ref=reference,
        amount=moved,
        currency=currency,
        reason=reason,
        provider_code=code,
        action_url=_action(intent) if intent["status"] == "requires_action" else None,
        at=moment(intent.get("created")),
    )


def _why(intent: Mapping[str, Any]) -> tuple[DeclineReason, str]:
    if intent["status"] != "canceled":
        return reason_of(intent.get("last_payment_error"))
    code = str(intent.get("cancellation_reason") or "canceled")
    return CANCELLED.get(code, DeclineReason.CANCELLED), code


def _action(intent: Mapping[str, Any]) -> str | None:
    action = intent.get("next_action")
    redirect = action.get("redirect_to_url") if isinstance(action, Mapping) else None
    return link_of(redirect) if isinstance(redirect, Mapping) else None


def link_of(found: Mapping[str, Any]) -> str | None:
    """The address that a payer follows, of an object of theirs that has one."""
    url = found.get("url")
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else None


def standing(intent: Mapping[str, Any]) -> Outcome:
    """A PaymentIntent stays ``succeeded`` for ever: what was given back since stands in its charge.

    That it was disputed stands there too, but neither what of it nor how that ended (see ``disputed``).
    """
    outcome = outcome_of(intent)
    charge = intent.get("latest_charge")
    if outcome.state is not GatewayState.CAPTURED or not isinstance(charge, Mapping):
        return outcome
    if charge.get("refunded") is True:
        return _as(outcome, GatewayState.REFUNDED)
    return msgspec.structs.replace(outcome, returned=_returned(charge, outcome.currency or ""))


def was_disputed(intent: Mapping[str, Any]) -> bool:
    """Whether banks have asked something back of a PaymentIntent, its charge expanded, however that ended."""
    charge = intent.get("latest_charge")
    return isinstance(charge, Mapping) and charge.get("disputed") is True


def disputed(outcome: Outcome, listed: Any) -> Outcome:
    """What stands of a payment that was disputed, by the list of its disputes. ``unknown`` where that is none."""
    if not isinstance(listed, list):
        return unknown("disputes")
    found = disputes_of(listed, outcome.currency or "")
    if any(not one.won and one.amount == outcome.amount for one in found):
        outcome = _as(outcome, GatewayState.CHARGEBACK)
    return msgspec.structs.replace(outcome, disputes=found)


def disputes_of(listed: Iterable[Any], currency: str) -> tuple[Dispute, ...]:
    """Disputes as Stripe writes them, in ``currency``; of those that only ask, and of what makes no sense, nothing."""
    found = []
    for one in listed:
        told = one if isinstance(one, Mapping) else {}
        status, amount, name = str(told.get("status")), told.get("amount"), told.get("id")
        if status.startswith(WARNING) or not isinstance(amount, int) or not isinstance(name, str):
            continue
        with suppress(ValueError):
            minor = from_stripe(amount, currency)
            found.append(Dispute(name=name, amount=minor, ended=status in ENDED, won=status == WON))
    return tuple(found)


def _returned(charge: Mapping[str, Any], currency: str) -> int | None:
    """How much of a charge has gone back by all its refunds, in our minor units; None: nothing, or nobody can tell."""
    refunded = charge.get("amount_refunded")
    if not isinstance(refunded, int) or refunded <= 0:
        return None
    try:
        return from_stripe(refunded, currency)
    except ValueError:
        return None


def _as(outcome: Outcome, state: GatewayState) -> Outcome:
    return Outcome(
        state=state,
        gateway_ref=outcome.gateway_ref,
        amount=outcome.amount,
        currency=outcome.currency,
        provider_code=state.value,
        at=outcome.at,
    )


def moment(seconds: Any) -> datetime | None:
    """Unix time as they write it; None for anything else."""
    if not isinstance(seconds, int) or not 0 < seconds < 10**11:
        return None
    return datetime.fromtimestamp(seconds, UTC)
