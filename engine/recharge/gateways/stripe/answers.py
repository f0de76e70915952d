"""What Stripe answers to our calls, in our words: a charge, a refund, an error (docs.stripe.com/api/errors)."""

from __future__ import annotations

from typing import Any

from engine.recharge.gateways.contract import DeclineReason, GatewayState, Outcome, RefundRequest
from engine.recharge.gateways.http import Reply, unknown
from engine.recharge.gateways.stripe.codes import outcome_of, reason_of
from engine.recharge.gateways.stripe.money import from_stripe

#: our key came with another form than the first time: what became of the first is not said
REUSED_KEY = "idempotency_error"
AUTHENTICATION = "authentication_required"
#: our key is wrong, may not do this, or calls too often: the call was turned away unread
TURNED_AWAY = frozenset({401, 403, 429})


def declined(code: str, reason: DeclineReason) -> Outcome:
    """A refusal. ``code`` for the evidence."""
    return Outcome(state=GatewayState.DECLINED, reason=reason, provider_code=code)


def _error(reply: Reply) -> dict[str, Any]:
    error = reply.content.get("error")
    return error if isinstance(error, dict) else {}


def id_of(found: Any) -> str | None:
    """The id of an object of theirs, which they write in full or as its id alone."""
    reference = found.get("id") if isinstance(found, dict) else found
    return reference if isinstance(reference, str) else None


def asks_for_the_payer(reply: Reply) -> str | None:
    """The PaymentIntent's id, where the card's bank wants to see the payer."""
    error = _error(reply)
    asks = reply.status == 402 and AUTHENTICATION in {error.get("code"), error.get("decline_code")}
    return id_of(error.get("payment_intent")) if asks else None


def charged(reply: Reply) -> Outcome:
    """What a charge has come to."""
    error = _error(reply)
    if reply.status == 200:
        return outcome_of(reply.content)
    if error.get("type") == REUSED_KEY:
        return unknown(REUSED_KEY)
    if reply.status == 402 or (reply.status in {400, 404} and error):
        reason, code = reason_of(error)
        reference = id_of(error.get("payment_intent"))
        return Outcome(state=GatewayState.DECLINED, gateway_ref=reference, reason=reason, provider_code=code)
    # 409: the same key is being worked on; 5xx: theirs to know. Both are asked about.
    return unknown(error.get("code") or f"http_{reply.status}")


def refunded(reply: Reply, request: RefundRequest) -> Outcome:
    """What a refund has come to."""
    error, currency = _error(reply), request.payment.currency
    if error.get("type") == REUSED_KEY:
        return unknown(REUSED_KEY)
    if reply.status in {400, 402, 404}:
        if error.get("code") == "charge_already_refunded":
            return Outcome(state=GatewayState.REFUNDED, gateway_ref=request.payment.gateway_ref)
        return declined(str(error.get("code") or f"http_{reply.status}"), DeclineReason.OTHER)
    states = {"succeeded": GatewayState.REFUNDED, "pending": GatewayState.PENDING, "failed": GatewayState.DECLINED}
    state, amount = states.get(reply.word("status")), reply.content.get("amount")
    if reply.status != 200 or state is None or not isinstance(amount, int):
        return unknown(error.get("code") or f"http_{reply.status}")
    try:
        given = from_stripe(amount, currency)
    except ValueError:
        return unknown("amount")
    if given <= 0:
        return unknown("amount")
    told = given + request.returned
    return Outcome(state=state, gateway_ref=request.payment.gateway_ref, amount=told, currency=currency)
