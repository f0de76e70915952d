"""M-Pesa in our words.

Daraja knows no idempotency key, so a payment is pushed once and then only asked about. A push whose answer was lost has
no reference to ask by: its callback tells (on the payment's own path), or the organisation's statement.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from uuid import UUID

import msgspec
import structlog

from configuration.options import Options, WrongOptions, read_options
from engine.recharge.gateways.amounts import precision, unfit
from engine.recharge.gateways.callbacks import payment_id_of, read_json
from engine.recharge.gateways.contract import (
    ASKED,
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
from engine.recharge.gateways.http import NoAnswer, NotSent, Reply, nothing_sent, unknown
from engine.recharge.gateways.mpesa.client import Daraja
from engine.recharge.gateways.mpesa.codes import DONE, PROCESSING, declined
from engine.recharge.gateways.mpesa.inbound import CURRENCY, RECEIPT, c2b_event, reversal_event, status_event, stk_event
from engine.recharge.gateways.mpesa.options import MpesaOptions
from engine.recharge.gateways.mpesa.settlement import read_statement
from engine.recharge.gateways.options import Tools
from engine.recharge.gateways.references import account_number
from engine.words import PaymentMethod

log = structlog.get_logger(__name__)

#: characters that a push has room for
TEXT_LENGTH, REMARKS_LENGTH = 13, 100
#: what the path of a result says between our secret and its proof: of a refund also what had gone back before, in cents
RESULT = re.compile(r"(?P<what>refund|status)-(?P<payment_id>[0-9a-f]{32})(?:-(?P<returned>[0-9]{1,16}))?")
#: how a push is named, before it has a receipt
PUSH = "ws_CO_"
#: refused for the payer's number, for somebody's being in the middle of another push, for our own account
BAD_REQUEST, LOCKED, SPIKE = "400.002.02", "500.001.1001", "500.003.02"
#: turned away unread: wrong call, credentials, address, too many calls. Of 408 and 409 nobody knows what was done.
TURNED_AWAY = frozenset({400, 401, 403, 404, 429})
ACCEPTED = msgspec.json.encode({"ResultCode": 0, "ResultDesc": "Accepted"})
#: C2B: the validation's answer, "Invalid Account Number"
NO_SUCH_ACCOUNT = msgspec.json.encode({"ResultCode": "C2B00012", "ResultDesc": "Rejected"})


class Gateway:
    """One shortcode."""

    holds = False
    read_settlement = staticmethod(read_statement)

    def __init__(self, name: str, options: Options, tools: Tools) -> None:
        self.name = name
        self.methods = tools.served(frozenset({PaymentMethod.MOBILE_MONEY}))
        self._options = read_options(MpesaOptions, options)
        if not tools.public_url:
            raise WrongOptions([("callback_base", "this or public_url is needed: what became of a push is told there")])
        self._tools = tools
        self._daraja = Daraja(self._options, timeout_seconds=tools.timeout_seconds)
        self._shortcodes = frozenset({self._options.shortcode, self._options.till} - {""})

    async def start(self) -> None:
        """Tell Daraja where payments are told that payers begin themselves."""
        secret = self._options.path_secret
        if not secret:
            return
        try:
            reply = await self._daraja.register_c2b(
                validation_url=self._tools.callback_url(self.name, f"{secret}-check"),
                confirmation_url=self._tools.callback_url(self.name, f"{secret}-paid"),
            )
        except (NotSent, NoAnswer) as error:
            log.warning("c2b_not_registered", gateway=self.name, reason=str(error))
            return
        if reply.status != 200:
            # Once registered, a live shortcode's addresses stay: registering them again is refused.
            log.info("c2b_registration_refused", gateway=self.name, reason=reply.word("errorCode"))

    async def stop(self) -> None:
        """Let the connections go."""
        await self._daraja.close()

    async def charge(self, request: ChargeRequest) -> Outcome:
        """Push. ``pending``, and from then on the payer has about a minute to type the PIN."""
        refused = unfit(request, {CURRENCY}) or _unfit(request)
        if refused is not None:
            return refused
        try:
            reply = await self._daraja.push(
                shillings=_shillings(request.amount),
                phone=request.payer.msisdn.removeprefix("+"),
                account=account_number(request.reference, request.payment_id),
                text=request.description[:TEXT_LENGTH],
                callback_url=request.callback_url,
            )
        except NotSent as error:
            return nothing_sent(error)
        except NoAnswer as error:
            return unknown(error)
        checkout = reply.word("CheckoutRequestID")
        if reply.status == 200 and reply.word("ResponseCode") == DONE and checkout:
            return Outcome(state=GatewayState.PENDING, gateway_ref=checkout, provider_code=DONE)
        return _push_refused(reply)

    async def refund(self, request: RefundRequest) -> Outcome:
        """Ask for a reversal. Daraja reverses a receipt once, so asking again does no harm."""
        payment = request.payment
        receipt = payment.gateway_ref or ""
        refused = self._no_reversal(receipt, request.amount)
        if refused:
            return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.OTHER, provider_code=refused)
        try:
            reply = await self._daraja.reverse(
                receipt=receipt,
                shillings=_shillings(request.amount),
                remarks=request.reason[:REMARKS_LENGTH] or "refund",
                # A result says what was reversed by it, and we tell what has gone back in all.
                result_url=self._result_url("refund", payment.payment_id, request.returned),
            )
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        return _asked(reply)

    def _no_reversal(self, receipt: str, amount: int) -> str:
        if not self._options.initiator:
            return "no_initiator"
        if not RECEIPT.fullmatch(receipt):
            return "no_receipt"
        return "whole_shillings" if amount <= 0 or amount % 10 ** precision(CURRENCY) else ""

    async def status(self, payment: PaymentRef) -> Outcome:
        """What became of a push; of a receipt Daraja tells by a callback: ``pending`` until then."""
        reference = payment.gateway_ref
        if reference is None:
            return unknown("no_reference")
        try:
            if reference.startswith(PUSH):
                return _push_status(await self._daraja.query(reference), payment)
            if not self._options.initiator:
                return unknown("no_initiator")
            url = self._result_url("status", payment.payment_id)
            return _asked(await self._daraja.transaction_status(receipt=reference, result_url=url))
        except (NotSent, NoAnswer) as error:
            return unknown(error)

    # Nothing is held here, and a push cannot be called back: it ends when the payer's phone has asked for long enough.
    confirm = cancel = status

    def _result_url(self, what: str, payment_id: UUID, returned: int = 0) -> str:
        about = f"{what}-{payment_id.hex}" + (f"-{returned}" if returned else "")
        return self._tools.callback_url(self.name, f"{self._options.path_secret}-{about}-{self._proof(about)}")

    def _proof(self, about: str) -> str:
        """That we asked for this result: who knows the paths of C2B, which stay the same, cannot make one up."""
        return hmac.new(self._options.passkey.encode(), about.encode(), hashlib.sha256).hexdigest()[:32]

    def read_callback(self, request: CallbackRequest) -> Callback:
        """Read by the path: a payment's own is a push's; those that begin with our secret are C2B and results."""
        content = read_json(request)
        purpose = self._purpose(request.path_secret)
        if purpose is None:
            if not request.path_secret:
                raise BadCallback("path: no payment's", 404)
            return Callback(events=(stk_event(content),), body=ACCEPTED)
        refusal = NO_SUCH_ACCOUNT if purpose == "check" else None
        return Callback(events=(self._event(purpose, content),), body=ACCEPTED, refusal=refusal)

    def _event(self, purpose: str, content: dict[str, object]) -> Event:
        if purpose in {"check", "paid"}:
            return c2b_event(content, self._shortcodes, paid=purpose == "paid")
        about, _, proof = purpose.rpartition("-")
        found = RESULT.fullmatch(about)
        payment_id = payment_id_of(found["payment_id"]) if found else None
        proven = hmac.compare_digest(proof.encode(errors="replace"), self._proof(about).encode())
        if found is None or payment_id is None or not proven:
            raise BadCallback("path: nothing of ours", 404)
        if found["what"] == "status":
            return status_event(content, payment_id)
        return reversal_event(content, payment_id, returned=int(found["returned"] or 0))

    def _purpose(self, segment: str) -> str | None:
        """What follows our secret; None where the segment does not begin with it."""
        secret = f"{self._options.path_secret}-".encode()
        begins = hmac.compare_digest(segment.encode(errors="replace")[: len(secret)], secret)
        return segment[len(secret) :] if self._options.path_secret and begins else None


def _unfit(request: ChargeRequest) -> Outcome | None:
    if request.amount % 10 ** precision(CURRENCY):
        return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.LIMIT, provider_code="whole_shillings")
    if not request.payer.msisdn:
        return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.METHOD, provider_code="no_msisdn")
    # Without a path of its own nobody could tell us what became of it.
    return None if request.callback_url else nothing_sent(NotSent("no_callback_url"))


def _shillings(cents: int) -> int:
    return int(cents // 10 ** precision(CURRENCY))


def _push_refused(reply: Reply) -> Outcome:
    code = reply.word("errorCode") or reply.word("ResponseCode")
    if code == BAD_REQUEST:
        return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.METHOD, provider_code=code)
    if code == LOCKED:
        return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.OTHER, provider_code=code)
    if code == SPIKE or reply.status in TURNED_AWAY:
        # Our account, or too many calls: nothing was pushed.
        return nothing_sent(NotSent(code or f"http_{reply.status}"))
    return unknown(code or f"http_{reply.status}")


def _push_status(reply: Reply, payment: PaymentRef) -> Outcome:
    result = reply.word("ResultCode")
    if reply.word("errorCode") in PROCESSING or result in PROCESSING:
        return Outcome(state=GatewayState.PENDING, gateway_ref=payment.gateway_ref)
    if reply.status != 200 or reply.word("ResponseCode") != DONE or not result:
        return unknown(reply.word("errorCode") or f"http_{reply.status}")
    if result != DONE:
        return msgspec.structs.replace(declined(result), gateway_ref=payment.gateway_ref)
    # A push is paid as a whole or not at all; the query names neither amount nor receipt.
    return Outcome(
        state=GatewayState.CAPTURED,
        gateway_ref=payment.gateway_ref,
        amount=payment.amount,
        currency=payment.currency,
        provider_code=result,
    )


def _asked(reply: Reply) -> Outcome:
    """Of a question whose answer will be posted to us."""
    if reply.status == 200 and reply.word("ResponseCode") == DONE:
        return Outcome(state=GatewayState.PENDING, provider_code=ASKED)
    code = reply.word("errorCode") or reply.word("ResponseCode") or f"http_{reply.status}"
    return unknown(code)
