"""The sandbox in our words. Its states are ours, so it is also the shortest example of a gateway."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any

from configuration.options import Options, read_options
from engine.recharge.gateways.amounts import LARGEST, unfit
from engine.recharge.gateways.callbacks import (
    check_size,
    minor_units,
    payment_id_of,
    read_json,
    table,
    verify_signature,
    word,
)
from engine.recharge.gateways.contract import (
    BadCallback,
    Callback,
    CallbackRequest,
    ChargeRequest,
    DeclineReason,
    Event,
    GatewayState,
    Outcome,
    PaymentRef,
    RefundRequest,
)
from engine.recharge.gateways.http import Caller, NoAnswer, NotSent, Reply, nothing_sent, unknown
from engine.recharge.gateways.options import Tools
from engine.recharge.gateways.sandbox.options import SandboxOptions
from engine.recharge.gateways.sandbox.settlement import read_file
from engine.recharge.gateways.sandbox.wire import CURRENCY, ID, STATE
from engine.words import PaymentMethod

REASONS = frozenset(DeclineReason)
DESCRIPTION_LENGTH = 200
#: another payment was asked for under our id before: what became of that one is not said
DIFFERS = "payment_differs"


class Gateway:
    """One account at the sandbox."""

    read_settlement = staticmethod(read_file)

    def __init__(self, name: str, options: Options, tools: Tools) -> None:
        self.name = name
        self.methods = tools.served(frozenset(PaymentMethod))
        self._options = read_options(SandboxOptions, options)
        self.holds = self._options.hold
        headers = {"Authorization": f"Bearer {self._options.api_key}"}
        self._caller = Caller(self._options.base_url, timeout_seconds=tools.timeout_seconds, headers=headers)

    async def start(self) -> None:
        """Nothing to open: connections are made when they are needed."""

    async def stop(self) -> None:
        """Let the connections go."""
        await self._caller.close()

    async def charge(self, request: ChargeRequest) -> Outcome:
        """Ask for the money; the same ``payment_id`` is the same payment."""
        refused = unfit(request)
        if refused is not None:
            return refused
        body = {
            "payment_id": str(request.payment_id),
            "amount": request.amount,
            "currency": request.currency,
            "payer": {"msisdn": request.payer.msisdn, "token": request.payer.token},
            "reference": request.reference,
            "description": request.description[:DESCRIPTION_LENGTH],
            "callback_url": request.callback_url,
            "hold": self.holds,
        }
        try:
            reply = await self._caller.post("/v1/payments", json=body)
        except NotSent as error:
            return nothing_sent(error)
        except NoAnswer as error:
            return unknown(error)
        if reply.status in {401, 429}:
            return nothing_sent(NotSent(f"http_{reply.status}"))
        if reply.status in {400, 422} and reply.word("error") != DIFFERS:
            code = reply.word("error") or "refused"
            return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.OTHER, provider_code=code)
        return _outcome_of(reply)

    async def confirm(self, payment: PaymentRef) -> Outcome:
        """Take what was held."""
        return await self._post(payment, "confirm", {})

    async def cancel(self, payment: PaymentRef) -> Outcome:
        """Let go what was held or waits for the payer."""
        return await self._post(payment, "cancel", {})

    async def refund(self, request: RefundRequest) -> Outcome:
        """Give it back; the same ``refund_id`` is the same refund."""
        body = {"refund_id": str(request.refund_id), "amount": request.amount, "reason": request.reason}
        return await self._post(request.payment, "refunds", body)

    async def status(self, payment: PaymentRef) -> Outcome:
        """What became of a payment, by our own id."""
        try:
            reply = await self._caller.get(f"/v1/payments/{payment.payment_id}")
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        if reply.status == 404 and reply.word("error") == "not_found":
            return Outcome(state=GatewayState.NOT_FOUND)
        return _outcome_of(reply)

    async def _post(self, payment: PaymentRef, what: str, body: Mapping[str, Any]) -> Outcome:
        try:
            reply = await self._caller.post(f"/v1/payments/{payment.payment_id}/{what}", json=body)
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        if reply.status == 404 and reply.word("error") == "not_found":
            return Outcome(state=GatewayState.NOT_FOUND)
        if what == "refunds" and reply.status in {400, 409, 422}:
            code = reply.word("error") or "refused"
            return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.OTHER, provider_code=code)
        # Refused because of its state: the answer says what is true.
        return _outcome_of(reply)

    def read_callback(self, request: CallbackRequest) -> Callback:
        """Verify and read one event."""
        check_size(request)
        verify_signature(
            request.headers.get("sandbox-signature", ""),
            request.body,
            self._options.webhook_secrets,
            now=request.received_at,
            tolerance_seconds=self._options.tolerance_seconds,
        )
        content = read_json(request)
        event_id, payment = word(content, "id", ID), table(content, "payment")
        word(payment, "state", STATE)
        word(payment, "currency", CURRENCY)
        minor_units(payment, "amount")
        outcome = _read(payment)
        payment_id = payment_id_of(payment.get("payment_id"))
        if outcome is None or payment_id is None:
            raise BadCallback("payment: makes no sense")
        return Callback(events=(Event(event_id=event_id, payment_id=payment_id, outcome=outcome),))

    async def fetch_settlement(self, begins: datetime, ends: datetime) -> IO[str] | None:
        """What was settled from one time up to another."""
        span = {"from": begins.astimezone(UTC).isoformat(), "to": ends.astimezone(UTC).isoformat()}
        return await self._caller.download("/v1/settlement.csv", params=span)


def _outcome_of(reply: Reply) -> Outcome:
    outcome = _read(reply.content) if reply.status in {200, 201, 409} else None
    return outcome or unknown(reply.word("error") or f"http_{reply.status}")


def _read(payment: Mapping[str, Any]) -> Outcome | None:
    """A payment as the sandbox tells it; None where that makes no sense."""
    state, reference, reason = payment.get("state"), payment.get("id"), payment.get("reason")
    amount, currency = payment.get("amount"), payment.get("currency")
    if not isinstance(state, str) or not STATE.fullmatch(state) or not isinstance(reference, str):
        return None
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= LARGEST:
        return None
    url = payment.get("action_url")
    refunded = payment.get("refunded")
    given_back = state == GatewayState.REFUNDED and isinstance(refunded, int)
    return Outcome(
        state=GatewayState(state),
        gateway_ref=reference,
        amount=refunded if given_back else amount,
        currency=str(currency),
        reason=reason if reason in REASONS else (DeclineReason.OTHER if state == GatewayState.DECLINED else None),
        provider_code=str(payment.get("code") or state)[:60],
        action_url=url if isinstance(url, str) and url else None,
        at=_moment(payment.get("changed_at")),
    )


def _moment(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None
