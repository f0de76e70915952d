"""Stripe in our words: saved cards, charged while the payer is away, and a link for 3-D Secure where it is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import IO, Any

from configuration.options import Options, read_options
from engine.recharge.gateways.amounts import unfit
from engine.recharge.gateways.callbacks import check_size, read_json, verify_signature
from engine.recharge.gateways.contract import (
    BadRow,
    Callback,
    CallbackRequest,
    ChargeRequest,
    DeclineReason,
    GatewayState,
    Outcome,
    PaymentRef,
    RefundRequest,
    SettlementRow,
)
from engine.recharge.gateways.http import NoAnswer, NotSent, Reply, nothing_sent, unknown
from engine.recharge.gateways.options import Tools
from engine.recharge.gateways.stripe.client import Stripe
from engine.recharge.gateways.stripe.codes import outcome_of, reason_of
from engine.recharge.gateways.stripe.money import from_stripe, to_stripe
from engine.recharge.gateways.stripe.options import StripeOptions
from engine.recharge.gateways.stripe.reports import fetch_report
from engine.recharge.gateways.stripe.settlement import read_report
from engine.recharge.gateways.stripe.webhook import read_event
from engine.words import PaymentMethod

#: a saved payment method, below its customer where it has one: ``cus_…/pm_…``
TOKEN = re.compile(r"(?:(?P<customer>cus_[A-Za-z0-9_]{1,80})/)?(?P<method>(?:pm|card|src)_[A-Za-z0-9_]{1,80})")
DESCRIPTION_LENGTH = 500
#: our key came with another form than the first time: what became of the first is not said
REUSED_KEY = "idempotency_error"
AUTHENTICATION = "authentication_required"
#: our key is wrong, may not do this, or calls too often: the call was turned away unread
TURNED_AWAY = frozenset({401, 403, 429})


class Gateway:
    """One account at Stripe."""

    def __init__(self, name: str, options: Options, tools: Tools) -> None:
        self.name = name
        self.methods = tools.served(frozenset({PaymentMethod.CARD}))
        self._options = read_options(StripeOptions, options)
        self.holds = self._options.hold
        self._stripe = Stripe(self._options, timeout_seconds=tools.timeout_seconds)

    async def start(self) -> None:
        """Nothing to open: connections are made when they are needed."""

    async def stop(self) -> None:
        """Let the connections go."""
        await self._stripe.close()

    async def charge(self, request: ChargeRequest) -> Outcome:
        """Charge a saved card. Asked for 3-D Secure, try once more with a link that the payer can follow."""
        token = TOKEN.fullmatch(request.payer.token)
        refused = unfit(request)
        if refused is not None:
            return refused
        if token is None:
            return _declined("no_token", DeclineReason.METHOD)
        try:
            amount = to_stripe(request.amount, request.currency)
        except ValueError:
            return _declined("amount", DeclineReason.LIMIT)
        form = self._form(request, token, amount)
        try:
            reply = await self._stripe.create_intent(form, str(request.payment_id))
        except NotSent as error:
            return nothing_sent(error)
        except NoAnswer as error:
            return unknown(error)
        if reply.status in TURNED_AWAY:
            return nothing_sent(NotSent(f"http_{reply.status}"))
        waiting = _asks_for_the_payer(reply)
        if waiting is not None and self._options.return_url:
            return await self._with_the_payer(request, waiting, token["method"])
        return _charged(reply)

    def _form(self, request: ChargeRequest, token: re.Match[str], amount: int) -> dict[str, str]:
        form = {
            "amount": str(amount),
            "currency": request.currency.lower(),
            "payment_method": token["method"],
            "payment_method_types[]": "card",
            "confirm": "true",
            "off_session": "true",
            "capture_method": "manual" if self.holds else "automatic",
            "description": request.description[:DESCRIPTION_LENGTH],
            "metadata[payment_id]": str(request.payment_id),
            "metadata[reference]": request.reference,
            "expand[]": "latest_charge",
        }
        return form | ({"customer": token["customer"]} if token["customer"] else {})

    async def _with_the_payer(self, request: ChargeRequest, intent: str, method: str) -> Outcome:
        form = {"payment_method": method, "return_url": self._options.return_url, "off_session": "false"}
        try:
            reply = await self._stripe.confirm_intent(intent, form, f"{request.payment_id}-confirm")
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        return _charged(reply)

    async def confirm(self, payment: PaymentRef) -> Outcome:
        """Take what was reserved."""
        if payment.gateway_ref is None or not self.holds:
            return await self.status(payment)
        try:
            reply = await self._stripe.capture_intent(payment.gateway_ref, f"{payment.payment_id}-capture")
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        # Refused because of its state: the state says what is true.
        return outcome_of(reply.content) if reply.status == 200 else await self.status(payment)

    async def cancel(self, payment: PaymentRef) -> Outcome:
        """Let go what was reserved, or end what waits for the payer."""
        if payment.gateway_ref is None:
            return await self.status(payment)
        try:
            reply = await self._stripe.cancel_intent(payment.gateway_ref, f"{payment.payment_id}-cancel")
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        return outcome_of(reply.content) if reply.status == 200 else await self.status(payment)

    async def refund(self, request: RefundRequest) -> Outcome:
        """Give all or part of it back."""
        payment = request.payment
        if payment.gateway_ref is None:
            return _declined("no_reference", DeclineReason.OTHER)
        try:
            form = {
                "payment_intent": payment.gateway_ref,
                "amount": str(to_stripe(request.amount, payment.currency)),
                "metadata[payment_id]": str(payment.payment_id),
                "metadata[reason]": request.reason[:DESCRIPTION_LENGTH],
            }
            reply = await self._stripe.refund(form, str(request.refund_id))
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        except ValueError:
            return _declined("amount", DeclineReason.LIMIT)
        return _refunded(reply, request)

    async def status(self, payment: PaymentRef) -> Outcome:
        """What became of a payment: by Stripe's reference, else by our own in its metadata."""
        try:
            if payment.gateway_ref is not None:
                reply = await self._stripe.intent(payment.gateway_ref)
                return _standing(reply.content) if reply.status == 200 else unknown(f"http_{reply.status}")
            reply = await self._stripe.search_intents(str(payment.payment_id))
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        found = reply.content.get("data")
        if reply.status != 200 or not isinstance(found, list):
            return unknown(f"http_{reply.status}")
        if found and isinstance(found[0], dict):
            return _standing(found[0])
        age = (datetime.now(UTC) - payment.requested_at).total_seconds()
        # Their search lags behind: only what should have been found by now is not there.
        if age < self._options.search_lag_seconds:
            return unknown("not_searchable_yet")
        return Outcome(state=GatewayState.NOT_FOUND)

    def read_callback(self, request: CallbackRequest) -> Callback:
        """Verify and read one event; one that tells nothing of a payment is taken and forgotten."""
        check_size(request)
        verify_signature(
            request.headers.get("stripe-signature", ""),
            request.body,
            self._options.webhook_secrets,
            now=request.received_at,
            tolerance_seconds=self._options.tolerance_seconds,
        )
        event = read_event(read_json(request))
        return Callback(events=() if event is None else (event,))

    async def fetch_settlement(self, begins: datetime, ends: datetime) -> IO[str] | None:
        """The report of balance transactions; it takes Stripe minutes to make one."""
        return await fetch_report(self._stripe, begins, ends)

    def read_settlement(self, lines: Iterable[str]) -> Iterator[SettlementRow | BadRow]:
        """The report of balance transactions."""
        return read_report(lines)


def _declined(code: str, reason: DeclineReason) -> Outcome:
    return Outcome(state=GatewayState.DECLINED, reason=reason, provider_code=code)


def _error(reply: Reply) -> dict[str, Any]:
    error = reply.content.get("error")
    return error if isinstance(error, dict) else {}


def _asks_for_the_payer(reply: Reply) -> str | None:
    """The PaymentIntent's id, where the card's bank wants to see the payer."""
    error = _error(reply)
    intent = error.get("payment_intent")
    if reply.status != 402 or AUTHENTICATION not in {error.get("code"), error.get("decline_code")}:
        return None
    reference = intent.get("id") if isinstance(intent, dict) else None
    return reference if isinstance(reference, str) else None


def _charged(reply: Reply) -> Outcome:
    error = _error(reply)
    if reply.status == 200:
        return outcome_of(reply.content)
    if error.get("type") == REUSED_KEY:
        return unknown(REUSED_KEY)
    if reply.status == 402 or (reply.status in {400, 404} and error):
        intent = error.get("payment_intent")
        reference = intent.get("id") if isinstance(intent, dict) else None
        reason, code = reason_of(error)
        return Outcome(state=GatewayState.DECLINED, gateway_ref=reference, reason=reason, provider_code=code)
    # 409: the same key is being worked on; 5xx: theirs to know. Both are asked about.
    return unknown(error.get("code") or f"http_{reply.status}")


def _standing(intent: dict[str, Any]) -> Outcome:
    """A PaymentIntent stays ``succeeded`` for ever: what was given back or disputed since stands in its charge."""
    outcome = outcome_of(intent)
    charge = intent.get("latest_charge")
    if outcome.state is not GatewayState.CAPTURED or not isinstance(charge, dict):
        return outcome
    if charge.get("refunded") is True:
        return _as(outcome, GatewayState.REFUNDED)
    return _as(outcome, GatewayState.CHARGEBACK) if charge.get("disputed") is True else outcome


def _as(outcome: Outcome, state: GatewayState) -> Outcome:
    return Outcome(
        state=state,
        gateway_ref=outcome.gateway_ref,
        amount=outcome.amount,
        currency=outcome.currency,
        provider_code=state.value,
        at=outcome.at,
    )


def _refunded(reply: Reply, request: RefundRequest) -> Outcome:
    error, currency = _error(reply), request.payment.currency
    if error.get("type") == REUSED_KEY:
        return unknown(REUSED_KEY)
    if reply.status in {400, 402, 404}:
        if error.get("code") == "charge_already_refunded":
            return Outcome(state=GatewayState.REFUNDED, gateway_ref=request.payment.gateway_ref)
        return _declined(str(error.get("code") or f"http_{reply.status}"), DeclineReason.OTHER)
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
    return Outcome(state=state, gateway_ref=request.payment.gateway_ref, amount=given, currency=currency)
