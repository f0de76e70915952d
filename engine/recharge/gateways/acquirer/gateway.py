"""The acquiring bank in our words.

A request without an answer is taken back (0400, 0401 …) until that is answered, or asked about, as the contract with
the bank has it (``on_timeout``); never both: what is being taken back must not be found approved by a question.
"""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import structlog

from configuration.options import Options, read_options
from engine.recharge.gateways.acquirer.codes import (
    APPROVED,
    IN_PROGRESS,
    LATE,
    NOT_LOCATED,
    TAKEN_BACK,
    reason_of,
)
from engine.recharge.gateways.acquirer.link import Link
from engine.recharge.gateways.acquirer.messages import TOKEN, Message, Speaker, Unreadable, read_private
from engine.recharge.gateways.acquirer.options import AcquirerOptions
from engine.recharge.gateways.acquirer.settlement import read_file
from engine.recharge.gateways.amounts import unfit
from engine.recharge.gateways.contract import (
    BadCallback,
    Callback,
    CallbackRequest,
    ChargeRequest,
    DeclineReason,
    GatewayState,
    Outcome,
    PaymentRef,
    RefundRequest,
)
from engine.recharge.gateways.http import NoAnswer, NotSent, nothing_sent, unknown
from engine.recharge.gateways.options import Tools
from engine.words import PaymentMethod

log = structlog.get_logger(__name__)

#: seconds between two reversals: the first time, and at most
AGAIN_FIRST, AGAIN_LONGEST = 0.5, 30.0
#: seconds beyond the time-out within which another process may still be waiting for the answer
MARGIN_SECONDS = 5.0
#: what field 4 can hold
LARGEST = 10**12 - 1
#: field 48 of an answered question: how the payment stands
STANDING = {
    "approved": GatewayState.CAPTURED,
    "held": GatewayState.HELD,
    "refunded": GatewayState.REFUNDED,
    "pending": GatewayState.PENDING,
}


class Gateway:
    """One contract with one bank."""

    read_settlement = staticmethod(read_file)

    def __init__(self, name: str, options: Options, tools: Tools) -> None:
        self.name = name
        self.methods = tools.served(frozenset({PaymentMethod.BANK, PaymentMethod.CARD}))
        self._options = read_options(AcquirerOptions, options)
        self.holds = self._options.hold
        self._seconds = tools.timeout_seconds
        self._speaker = Speaker(self._options)
        given = self._options
        self._link = Link(given.host, given.port, self._speaker, tls=given.tls, echo_seconds=given.echo_seconds)
        self._reversing: dict[UUID, asyncio.Task[Outcome]] = {}

    async def start(self) -> None:
        """Begin to connect and sign on."""
        self._link.start()

    async def stop(self) -> None:
        """Sign off. A reversal that is not answered yet is taken up again by whoever asks for the payment's status."""
        for task in list(self._reversing.values()):
            task.cancel()
        await asyncio.gather(*self._reversing.values(), return_exceptions=True)
        await self._link.stop()

    async def charge(self, request: ChargeRequest) -> Outcome:
        """Authorise; the answer is the outcome."""
        refused = unfit(request, {self._options.currency})
        if refused is not None:
            return refused
        if request.amount > LARGEST:
            return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.LIMIT, provider_code="amount")
        if not TOKEN.fullmatch(request.payer.token):
            return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.METHOD, provider_code="no_token")
        try:
            answer = await self._link.ask(self._speaker.charge(request), self._seconds)
        except NotSent as error:
            return nothing_sent(error)
        except NoAnswer as error:
            return self._lost(request, str(error))
        if answer.get("39") in LATE:
            return self._lost(request, "68")
        return self._authorised(answer)

    def _lost(self, request: ChargeRequest, code: str) -> Outcome:
        if self._options.on_timeout == "reverse":
            self._take_back(request.payment_id, request.amount)
        return unknown(code)

    def _authorised(self, answer: Message) -> Outcome:
        code = answer.get("39", "")
        if code in APPROVED:
            return self._moved(answer, GatewayState.HELD if self.holds else GatewayState.CAPTURED)
        if code in IN_PROGRESS:
            return self._moved(answer, GatewayState.PENDING)
        if not code:
            return unknown("no_response_code")
        return Outcome(
            state=GatewayState.DECLINED, gateway_ref=answer["37"], reason=reason_of(code), provider_code=code
        )

    def _moved(self, answer: Message, state: GatewayState) -> Outcome:
        amount = answer.get("4", "")
        if not (amount.isascii() and amount.isdecimal()) or int(amount) == 0:
            return unknown("amount")
        if answer.get("49") != self._options.currency_number:
            return unknown("currency")
        return Outcome(
            state=state,
            gateway_ref=answer["37"],
            amount=int(amount),
            currency=self._options.currency,
            provider_code=answer.get("38") or answer.get("39"),
        )

    async def confirm(self, payment: PaymentRef) -> Outcome:
        """Take what was reserved, by an advice; asked again it is the same advice."""
        if not self.holds:
            return await self.status(payment)
        try:
            answer = await self._link.ask(self._speaker.confirm(payment), self._seconds)
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        code = answer.get("39", "")
        if code in APPROVED:
            return self._moved(answer, GatewayState.CAPTURED)
        if code == NOT_LOCATED:
            return Outcome(state=GatewayState.NOT_FOUND, provider_code=code)
        return unknown(f"advice_{code}")

    async def cancel(self, payment: PaymentRef) -> Outcome:
        """Reverse. Once begun it goes on until the bank answers, also after this call has given up waiting."""
        return await self._within(self._take_back(payment.payment_id, payment.amount))

    async def refund(self, request: RefundRequest) -> Outcome:
        """Give it back by a message of its own; asked again it is the same message."""
        if not 0 < request.amount <= LARGEST:
            return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.LIMIT, provider_code="amount")
        try:
            answer = await self._link.ask(self._speaker.refund(request), self._seconds)
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        code = answer.get("39", "")
        if code in LATE or not code:
            return unknown(code)
        if code in IN_PROGRESS:
            return Outcome(state=GatewayState.PENDING, provider_code=code)
        if code not in APPROVED:
            return Outcome(state=GatewayState.DECLINED, reason=reason_of(code), provider_code=code)
        given = self._moved(answer, GatewayState.REFUNDED)
        if given.amount is None:
            return given
        returned = given.amount + request.returned
        return msgspec.structs.replace(given, gateway_ref=request.payment.gateway_ref, amount=returned)

    async def status(self, payment: PaymentRef) -> Outcome:
        """Ask the bank, or where it answers no questions take back what was never answered.

        What was answered is never taken back here, nor what another process may still be waiting for.
        """
        if self._options.on_timeout == "inquire":
            return await self._inquire(payment)
        if payment.gateway_ref is not None:
            return unknown("no_inquiry")
        age = (datetime.now(UTC) - payment.requested_at).total_seconds()
        if payment.payment_id not in self._reversing and age < self._seconds + MARGIN_SECONDS:
            return Outcome(state=GatewayState.PENDING, provider_code="in_flight")
        return await self._within(self._take_back(payment.payment_id, payment.amount))

    async def _inquire(self, payment: PaymentRef) -> Outcome:
        try:
            answer = await self._link.ask(self._speaker.inquiry(payment), self._seconds)
            said = read_private(answer.get("48", ""))
        except (NotSent, NoAnswer) as error:
            return unknown(error)
        except Unreadable:
            return unknown("field_48")
        if answer.get("39") == NOT_LOCATED:
            return Outcome(state=GatewayState.NOT_FOUND, provider_code=NOT_LOCATED)
        standing, code = said.get("ST", ""), said.get("RC", "")
        if answer.get("39") not in APPROVED:
            return unknown(f"inquiry_{answer.get('39')}")
        if standing in STANDING:
            return self._moved(answer, STANDING[standing])
        if standing == "reversed":
            return _voided(answer["37"])
        if standing == "declined":
            reason = reason_of(code)
            return Outcome(
                state=GatewayState.DECLINED, gateway_ref=answer["37"], reason=reason, provider_code=code or None
            )
        return unknown("standing")

    # --- taking back ---

    def _take_back(self, payment_id: UUID, amount: int) -> asyncio.Task[Outcome]:
        """The reversal of a payment, the one that is under way or a new one."""
        task = self._reversing.get(payment_id)
        if task is None:
            task = self._reversing[payment_id] = asyncio.create_task(self._reverse(payment_id, amount))
            task.add_done_callback(lambda _done: self._reversing.pop(payment_id, None))
        return task

    async def _reverse(self, payment_id: UUID, amount: int) -> Outcome:
        wait, repeat = AGAIN_FIRST, False
        while True:
            try:
                message = self._speaker.reversal(payment_id, amount, repeat=repeat)
                answer = await self._link.ask(message, self._seconds)
            except NotSent:
                pass
            except NoAnswer:
                repeat = True
            else:
                code = answer.get("39", "")
                if code in TAKEN_BACK:
                    return _voided(answer["37"])
                if code not in LATE and code not in IN_PROGRESS:
                    log.warning("acquirer_reversal_refused", gateway=self.name, payment=str(payment_id), response=code)
                    return unknown(f"reversal_{code}")
                repeat = True
            await asyncio.sleep(random.uniform(wait / 2, wait))
            wait = min(wait * 2, AGAIN_LONGEST)

    async def _within(self, task: asyncio.Task[Outcome]) -> Outcome:
        done, _ = await asyncio.wait({task}, timeout=self._seconds)
        return task.result() if done and not task.cancelled() else unknown("reversing")

    def read_callback(self, request: CallbackRequest) -> Callback:  # noqa: ARG002 - whatever it is
        """A bank never calls over HTTP."""
        raise BadCallback("this gateway takes no callbacks", 404)


def _voided(reference: str) -> Outcome:
    """No money moves any more: it was taken back, or was never there."""
    return Outcome(
        state=GatewayState.DECLINED, gateway_ref=reference, reason=DeclineReason.TIMEOUT, provider_code="reversed"
    )
