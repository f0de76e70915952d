"""Stripe in our words: saved cards, charged while the payer is away, and a link where the payer has to do something.

That is 3-D Secure, or their page on which a card is entered that nobody has saved (``stripe.pages``).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import msgspec

from configuration.options import Options, read_options
from engine.recharge.gateways.amounts import unfit
from engine.recharge.gateways.callbacks import check_size, read_json, verify_signature
from engine.recharge.gateways.contract import (
    Callback,
    CallbackRequest,
    ChargeRequest,
    DeclineReason,
    GatewayState,
    Outcome,
    PaymentRef,
    RefundRequest,
)
from engine.recharge.gateways.http import NoAnswer, NotSent, Reply, nothing_sent, unknown
from engine.recharge.gateways.options import Tools
from engine.recharge.gateways.stripe.answers import (
    TURNED_AWAY,
    asks_for_the_payer,
    charged,
    declined,
    id_of,
    refunded,
)
from engine.recharge.gateways.stripe.client import Stripe
from engine.recharge.gateways.stripe.codes import disputed, outcome_of, standing, was_disputed
from engine.recharge.gateways.stripe.money import to_stripe
from engine.recharge.gateways.stripe.options import StripeOptions
from engine.recharge.gateways.stripe.pages import SESSION, back, card_of, opened, session_form, session_outcome
from engine.recharge.gateways.stripe.reports import fetch_report
from engine.recharge.gateways.stripe.settlement import read_report
from engine.recharge.gateways.stripe.webhook import read_event
from engine.words import PaymentMethod

#: a saved payment method, below its customer where it has one: ``cus_…/pm_…``
TOKEN = re.compile(r"(?:(?P<customer>cus_[A-Za-z0-9_]{1,80})/)?(?P<method>(?:pm|card|src)_[A-Za-z0-9_]{1,80})")
DESCRIPTION_LENGTH = 500


class Gateway:
    """One account at Stripe."""

    read_settlement = staticmethod(read_report)

    def __init__(self, name: str, options: Options, tools: Tools) -> None:
        self.name = name
        self.methods = tools.served(frozenset({PaymentMethod.CARD}))
        self._options = read_options(StripeOptions, options)
        self.holds = self._options.hold
        self.has_page = bool(self._options.return_url)
        self._stripe = Stripe(self._options, timeout_seconds=tools.timeout_seconds)

    async def start(self) -> None:
        """Nothing to open: connections are made when they are needed."""

    async def stop(self) -> None:
        """Let the connections go."""
        await self._stripe.close()

    async def charge(self, request: ChargeRequest) -> Outcome:
        """Charge a saved card, or open a page for a new one.

        Asked for 3-D Secure, try once more with a link that the payer can follow.
        """
        refused = unfit(request)
        if refused is not None:
            return refused
        try:
            amount = to_stripe(request.amount, request.currency)
        except ValueError:
            return declined("amount", DeclineReason.LIMIT)
        if request.payer.page:
            return await self._open_page(request, amount)
        token = TOKEN.fullmatch(request.payer.token)
        if token is None:
            return declined("no_token", DeclineReason.METHOD)
        form = self._form(request, token, amount)
        reply = await _reached(self._stripe.create_intent(form, str(request.payment_id)))
        if isinstance(reply, Outcome):
            return reply
        waiting = asks_for_the_payer(reply)
        if waiting is not None and self._options.return_url:
            return await self._with_the_payer(request, waiting, token["method"])
        return charged(reply)

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

    async def _open_page(self, request: ChargeRequest, amount: int) -> Outcome:
        if not self.has_page:
            return declined("no_return_url", DeclineReason.METHOD)
        lasts = timedelta(minutes=self._options.page_minutes)
        form = session_form(request, amount, return_url=self._options.return_url, lasts=lasts, holds=self.holds)
        reply = await _reached(self._stripe.create_session(form, str(request.payment_id)))
        if isinstance(reply, Outcome):
            return reply
        return opened(reply.content) if reply.status == 200 else charged(reply)

    async def _with_the_payer(self, request: ChargeRequest, intent: str, method: str) -> Outcome:
        returns = back(self._options.return_url, request.payment_id)
        form = {"payment_method": method, "return_url": returns, "off_session": "false"}
        try:
            reply = await self._stripe.confirm_intent(intent, form, f"{request.payment_id}-confirm")
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        return charged(reply)

    async def confirm(self, payment: PaymentRef) -> Outcome:
        """Take what was reserved."""
        if payment.gateway_ref is None or not self.holds:
            return await self.status(payment)
        try:
            intent = payment.gateway_ref
            if intent.startswith(SESSION):
                intent = id_of((await self._stripe.session(intent)).content.get("payment_intent")) or intent
            reply = await self._stripe.capture_intent(intent, f"{payment.payment_id}-capture")
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        # Refused because of its state: the state says what is true.
        return outcome_of(reply.content) if reply.status == 200 else await self.status(payment)

    async def cancel(self, payment: PaymentRef) -> Outcome:
        """Let go what was reserved, or end what waits for the payer."""
        if payment.gateway_ref is None:
            return await self.status(payment)
        if payment.gateway_ref.startswith(SESSION):
            return await self._close_page(payment, payment.gateway_ref)
        try:
            reply = await self._stripe.cancel_intent(payment.gateway_ref, f"{payment.payment_id}-cancel")
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        return outcome_of(reply.content) if reply.status == 200 else await self.status(payment)

    async def _close_page(self, payment: PaymentRef, session: str) -> Outcome:
        """Nobody can pay on it any more; what was reserved there meanwhile is let go."""
        try:
            reply = await self._stripe.expire_session(session, f"{payment.payment_id}-expire")
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        if reply.status == 200:
            outcome = session_outcome(reply.content)
            called_off = outcome.state is GatewayState.DECLINED
            return msgspec.structs.replace(outcome, reason=DeclineReason.CANCELLED) if called_off else outcome
        said = await self.status(payment)
        if said.state is not GatewayState.HELD:
            return said
        return await self.cancel(msgspec.structs.replace(payment, gateway_ref=said.gateway_ref))

    async def refund(self, request: RefundRequest) -> Outcome:
        """Give all or part of it back."""
        payment = request.payment
        if payment.gateway_ref is None:
            return declined("no_reference", DeclineReason.OTHER)
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
            return declined("amount", DeclineReason.LIMIT)
        return refunded(reply, request)

    async def status(self, payment: PaymentRef) -> Outcome:
        """What became of a payment: by Stripe's reference, else by our own in its metadata."""
        try:
            if payment.gateway_ref is not None:
                return await self._known(payment.gateway_ref)
            reply = await self._stripe.search_intents(str(payment.payment_id))
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        found = reply.content.get("data")
        if reply.status != 200 or not isinstance(found, list):
            return unknown(f"http_{reply.status}")
        if found and isinstance(found[0], dict):
            return await self._with_disputes(standing(found[0]), found[0])
        age = (datetime.now(UTC) - payment.requested_at).total_seconds()
        # Their search lags behind: only what should have been found by now is not there.
        if age < self._options.search_lag_seconds:
            return unknown("not_searchable_yet")
        return Outcome(state=GatewayState.NOT_FOUND)

    async def _known(self, reference: str) -> Outcome:
        """Of a page or a PaymentIntent by its name; once money moves, with the card that its payer wants kept."""
        if reference.startswith(SESSION):
            reply = await self._stripe.session(reference)
            outcome, intent = session_outcome(reply.content), reply.content.get("payment_intent")
        else:
            reply = await self._stripe.intent(reference)
            outcome, intent = standing(reply.content), reply.content
        if reply.status != 200:
            return unknown(f"http_{reply.status}")
        if outcome.state in {GatewayState.CAPTURED, GatewayState.HELD} and isinstance(intent, dict):
            known = msgspec.structs.replace(outcome, card=card_of(intent))
            return await self._with_disputes(known, intent)
        return outcome

    async def _with_disputes(self, outcome: Outcome, intent: dict[str, Any]) -> Outcome:
        """What stands of what was captured; of its disputes Stripe is asked one by one, for there may be several."""
        if outcome.state is not GatewayState.CAPTURED or not was_disputed(intent):
            return outcome
        try:
            reply = await self._stripe.disputes(str(intent["id"]))
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        return disputed(outcome, reply.content.get("data")) if reply.status == 200 else unknown(f"http_{reply.status}")

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


async def _reached(call: Awaitable[Reply]) -> Reply | Outcome:
    """What Stripe answers to a charge that it has read; else what becomes of it."""
    try:
        reply = await call
    except NotSent as error:
        return nothing_sent(error)
    except NoAnswer as error:
        return unknown(error)
    return nothing_sent(NotSent(f"http_{reply.status}")) if reply.status in TURNED_AWAY else reply
