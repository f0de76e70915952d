"""What Stripe posts to us, signed. Events come in any order and more than once (docs.stripe.com/webhooks).

So an event that says less than the end (a failure that a later try has overtaken) is asked about before it is believed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.recharge.gateways.callbacks import minor_units, payment_id_of, table, word
from engine.recharge.gateways.contract import BadCallback, Event, GatewayState, Outcome
from engine.recharge.gateways.stripe.codes import STATES, WARNING, WON, disputes_of, moment, outcome_of
from engine.recharge.gateways.stripe.money import from_stripe
from engine.recharge.gateways.stripe.pages import SESSION, keeps, on_page, session_outcome

ID = re.compile(r"[A-Za-z0-9_]{3,100}")
CURRENCY = re.compile(r"[a-z]{3}")
KIND = re.compile(r"[a-z_.]{3,80}")
INTENT = "payment_intent."
#: what a bank takes: at once, or where it only asked before (docs.stripe.com/disputes/how-disputes-work); how it ended
DISPUTES = frozenset({"charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed"})
#: by which of these it is told that a refund has not reached its payer, depends on its kind and the endpoint's version
REFUNDS = frozenset({"charge.refund.updated", "refund.updated", "refund.failed"})
NOT_ARRIVED = frozenset({"failed", "canceled"})
#: of their page: it was paid on, or nobody can pay on it any more
COMPLETED, EXPIRED = "checkout.session.completed", "checkout.session.expired"


def read_event(content: Mapping[str, Any]) -> Event | None:
    """What one event says; None for a kind that tells nothing of a payment. Raises ``BadCallback``."""
    event_id, kind = word(content, "id", ID), word(content, "type", KIND)
    found = table(table(content, "data"), "object")
    event: Event | None = None
    if kind.startswith(INTENT) and str(found.get("status")) in STATES:
        event = _intent(event_id, kind, found)
    elif kind in {COMPLETED, EXPIRED} and on_page(found):
        event = _session(event_id, kind, found)
    elif kind == "charge.refunded":
        event = _refunded(event_id, found)
    elif kind in REFUNDS and found.get("status") in NOT_ARRIVED:
        event = _refund_failed(found)
    elif kind in DISPUTES:
        event = _disputed(event_id, kind, found)
    if event is None:
        return None
    at = moment(content.get("created"))
    return msgspec.structs.replace(event, outcome=msgspec.structs.replace(event.outcome, at=at))


def _intent(event_id: str, kind: str, intent: Mapping[str, Any]) -> Event | None:
    word(intent, "id", ID)
    word(intent, "currency", CURRENCY)
    minor_units(intent, "amount")
    outcome = outcome_of(intent)
    if outcome.state is GatewayState.UNKNOWN:
        raise BadCallback("data.object: makes no sense")
    if on_page(intent):
        # What was refused there is tried again there; how that ends is the session's to say.
        moves = outcome.state in {GatewayState.CAPTURED, GatewayState.HELD}
        # The card to keep stands in no event: it is asked for.
        ask = keeps(intent)
        return Event(event_id=event_id, payment_id=_ours(intent), outcome=outcome, ask_status=ask) if moves else None
    failed = outcome.state is GatewayState.DECLINED or kind.endswith(("payment_failed", "canceled"))
    return Event(event_id=event_id, payment_id=_ours(intent), outcome=outcome, ask_status=failed)


def _session(event_id: str, kind: str, session: Mapping[str, Any]) -> Event:
    """Of a page: paid for good, or something that its provider is asked about."""
    name = word(session, "id", ID)
    if not name.startswith(SESSION):
        raise BadCallback("data.object.id: no session's")
    word(session, "currency", CURRENCY)
    minor_units(session, "amount_total")
    outcome, ask = session_outcome(session), True
    if kind == COMPLETED and session.get("payment_status") == "paid":
        outcome = _moved(session, "amount_total", GatewayState.CAPTURED, "session_complete") or outcome
        ask = keeps(session)
    return Event(event_id=event_id, payment_id=_ours(session), outcome=outcome, ask_status=ask, status_ref=name)


def _refunded(event_id: str, charge: Mapping[str, Any]) -> Event | None:
    outcome = _moved(charge, "amount_refunded", GatewayState.REFUNDED, "charge.refunded")
    return Event(event_id=event_id, payment_id=_ours(charge), outcome=outcome) if outcome else None


def _refund_failed(refund: Mapping[str, Any]) -> Event | None:
    """One event, whichever of theirs tell of it."""
    outcome = _moved(refund, "amount", GatewayState.REFUND_FAILED, "refund_failed")
    event_id = f"{word(refund, 'id', ID)}:failed"
    return Event(event_id=event_id, payment_id=_ours(refund), outcome=outcome) if outcome else None


def _disputed(event_id: str, kind: str, dispute: Mapping[str, Any]) -> Event | None:
    status = str(dispute.get("status"))
    if status.startswith(WARNING):
        return None
    won = kind == "charge.dispute.closed" and status == WON
    state = GatewayState.REINSTATED if won else GatewayState.CHARGEBACK
    outcome = _moved(dispute, "amount", state, f"dispute_{status}"[:60])
    if outcome is None:
        return None
    word(dispute, "id", ID)
    outcome = msgspec.structs.replace(outcome, disputes=disputes_of([dispute], outcome.currency or ""))
    return Event(event_id=event_id, payment_id=_ours(dispute), outcome=outcome)


def _moved(found: Mapping[str, Any], name: str, state: GatewayState, code: str) -> Outcome | None:
    """Of a charge or a dispute; None for one that no PaymentIntent stands behind: it is none of ours."""
    if found.get("payment_intent") is None:
        return None
    currency = word(found, "currency", CURRENCY).upper()
    try:
        amount = from_stripe(minor_units(found, name), currency)
    except ValueError as error:
        raise BadCallback(f"{name}: {error}") from None
    reference = word(found, "payment_intent", ID)
    return Outcome(state=state, gateway_ref=reference, amount=amount, currency=currency, provider_code=code)


def _ours(found: Mapping[str, Any]) -> Any:
    metadata = found.get("metadata")
    return payment_id_of(metadata.get("payment_id")) if isinstance(metadata, Mapping) else None
