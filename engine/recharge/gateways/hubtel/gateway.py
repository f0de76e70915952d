"""Hubtel's checkout in our words.

The channel's answer ``AddToCart`` hands the session over: Hubtel asks the payer, and posts ``{SessionId, OrderId,
ExtraData, OrderInfo}`` to the service's fulfilment address. Nothing of it is signed, so nothing of it but the names is
read, and the money is believed once the transaction status says so. Hubtel wants to hear within an hour what became of
the order: ``{SessionId, OrderId, ServiceStatus, MetaData}``.

A payment is asked about by its session; ``OrderId`` is its name once it is paid. What is not paid when the payer's time
is over is declined, and still credited should Hubtel tell of the money later.

Source: hubtel.readme.io/reference/programmable-services (service fulfilment, transaction status check).
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from configuration.options import Options, read_options
from engine.recharge.gateways.amounts import precision, unfit, whole
from engine.recharge.gateways.callbacks import read_json, word
from engine.recharge.gateways.contract import (
    BadCallback,
    BadRow,
    Callback,
    CallbackRequest,
    ChargeRequest,
    DeclineReason,
    Event,
    GatewayState,
    Outcome,
    PaymentRef,
    RefundRequest,
    SettlementRow,
)
from engine.recharge.gateways.http import Caller, NoAnswer, NotSent, Reply, nothing_sent, unknown
from engine.recharge.gateways.hubtel.options import HubtelOptions
from engine.recharge.gateways.options import Tools
from engine.words import PaymentMethod

#: of sessions and orders
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
#: ``responseCode`` of an answer that was found
FOUND = "0000"
PAID, UNPAID, REFUNDED = "paid", "unpaid", "refunded"


class Gateway:
    """One POS at Hubtel."""

    holds = False

    def __init__(self, name: str, options: Options, tools: Tools) -> None:
        self.name = name
        self.methods = tools.served(frozenset({PaymentMethod.MOBILE_MONEY}))
        self._options = given = read_options(HubtelOptions, options)
        self.brand = given.brand
        basic = base64.b64encode(f"{given.client_id}:{given.client_secret}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        self._status = Caller(given.status_url, timeout_seconds=tools.timeout_seconds, headers=headers)
        self._fulfilment = Caller(given.fulfilment_url, timeout_seconds=tools.timeout_seconds)

    async def start(self) -> None:
        """Nothing is opened before it is needed."""

    async def stop(self) -> None:
        """Let the connections go."""
        await self._status.close()
        await self._fulfilment.close()

    async def charge(self, request: ChargeRequest) -> Outcome:
        """``pending`` under the session's name; Hubtel asks once the channel has answered that session."""
        refused = unfit(request, {self._options.currency})
        if refused is not None:
            return refused
        session = request.payer.session
        if not NAME.fullmatch(session):
            return nothing_sent(NotSent("no_session"))
        return Outcome(state=GatewayState.PENDING, gateway_ref=session)

    async def cancel(self, payment: PaymentRef) -> Outcome:
        """A checkout ends by itself within minutes: what is not paid then was cancelled, or never answered."""
        outcome = await self.status(payment)
        if outcome.state is not GatewayState.PENDING:
            return outcome
        return msgspec.structs.replace(outcome, state=GatewayState.DECLINED, reason=DeclineReason.TIMEOUT)

    async def refund(self, request: RefundRequest) -> Outcome:  # noqa: ARG002 - there is no call for it
        """Refused: money is given back in Hubtel's own portal, by staff."""
        return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.OTHER, provider_code="no_refund")

    async def status(self, payment: PaymentRef) -> Outcome:
        """What became of a session's checkout. Hubtel knows of none before the payer has chosen how to pay."""
        session = payment.gateway_ref
        if session is None:
            return Outcome(state=GatewayState.NOT_FOUND)
        path = f"/transactions/{self._options.pos}/status"
        try:
            reply = await self._status.get(path, params={"clientReference": session})
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        if reply.status == 404:
            return Outcome(state=GatewayState.PENDING, gateway_ref=session, provider_code="not_found")
        return self._read(reply, payment, session)

    # Nothing is held here.
    confirm = status

    def _read(self, reply: Reply, payment: PaymentRef, session: str) -> Outcome:
        data = reply.content.get("data")
        if reply.status != 200 or reply.word("responseCode") != FOUND or not isinstance(data, dict):
            return unknown(reply.word("responseCode") or f"http_{reply.status}")
        if data.get("clientReference") != session:
            return unknown("client_reference")
        said = str(data.get("status")).lower()
        if said == UNPAID:
            return Outcome(state=GatewayState.PENDING, gateway_ref=session, provider_code=said)
        state = {PAID: GatewayState.CAPTURED, REFUNDED: GatewayState.REFUNDED}.get(said)
        if state is None:
            return unknown("status")
        try:
            amount, after = self._minor(data, "amount"), self._minor(data, "amountAfterCharges")
        except (ValueError, ArithmeticError):
            return unknown("amount")
        # Whoever bears Hubtel's charges: we sold for what is paid with them, or without them.
        ours = after if after == payment.amount else amount
        return Outcome(
            state=state,
            gateway_ref=session,
            amount=ours,
            currency=str(data.get("currencyCode") or self._options.currency),
            provider_code=said,
            fee=max(ours - after, 0),
        )

    def _minor(self, data: dict[str, Any], name: str) -> int:
        value = data.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(name)  # noqa: TRY004 - told like the others
        amount = whole(Decimal(str(value)).scaleb(precision(self._options.currency)), self._options.currency)
        if amount <= 0:
            raise ValueError(name)
        return amount

    async def conclude(self, event: Event, *, delivered: bool) -> bool:
        """Post what became of an order to Hubtel. True once it has taken it (2xx)."""
        told = {
            "SessionId": event.status_ref,
            "OrderId": event.event_id.rpartition(":")[2],
            "ServiceStatus": "success" if delivered else "failed",
            "MetaData": None,
        }
        try:
            reply = await self._fulfilment.post("", json=told)
        except (NotSent, NoAnswer):
            return False
        return 200 <= reply.status < 300

    def read_callback(self, request: CallbackRequest) -> Callback:
        """A fulfilment: which session, which order. Raises ``BadCallback``."""
        expected = self._options.path_secret.encode()
        if not hmac.compare_digest(request.path_secret.encode(errors="replace"), expected):
            raise BadCallback("path: nothing of ours", 404)
        content = read_json(request)
        session, order = word(content, "SessionId", NAME), word(content, "OrderId", NAME)
        outcome = Outcome(state=GatewayState.CAPTURED, gateway_ref=order)
        if _failed(content):
            outcome = Outcome(state=GatewayState.DECLINED, reason=DeclineReason.OTHER)
        event_id = f"{outcome.state.value}:{session}:{order}"
        event = Event(event_id=event_id, outcome=outcome, status_ref=session, ask_status=True)
        return Callback(events=(event,), shared_path=True)

    def read_settlement(self, lines: Iterable[str]) -> Iterator[SettlementRow | BadRow]:  # noqa: ARG002 - none is read
        """Hubtel's reports are not read: each payment is asked about."""
        yield BadRow(line=1, reason="reports of Hubtel are not read")


def _failed(content: dict[str, Any]) -> bool:
    """Whether a fulfilment says that it was not paid after all."""
    order = content.get("OrderInfo")
    payment = order.get("Payment") if isinstance(order, dict) else None
    return isinstance(payment, dict) and payment.get("IsSuccessful") is False
