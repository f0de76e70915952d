"""Asking a gateway for a payment's money: once, and at the next gateway only what certainly has not left us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.payments import names
from engine.payments.course import UNREACHABLE
from engine.payments.gateways import Gateways
from engine.payments.progress import Progress, evidence
from engine.payments.steps import Step
from engine.payments.stored import Stored
from engine.recharge.gateways.contract import ChargeRequest, GatewayState, Outcome, Payer
from engine.words import PaymentState
from runtime.keyring import Keyring


class Asking:
    """Charges payments that are stored.

    What is sent depends on the stored payment alone: a provider refuses an idempotency key that comes again with
    anything else, and the first call may have been paid.
    """

    def __init__(self, keyring: Keyring, gateways: Gateways, progress: Progress, operator_name: str) -> None:
        """``operator_name``: what payers are told that a payment is for, with its reference."""
        self._operator_name = operator_name
        self._keyring = keyring
        self._gateways = gateways
        self._progress = progress

    async def ask(self, stored: Stored, payer: Payer, others: Sequence[str]) -> Stored:
        """Ask the payment's gateway, then ``others`` as long as none was reached. Returns the payment as it stands.

        A payment that a gateway may have heard of stays with it.
        """
        for name in dict.fromkeys((stored.gateway, *others)):
            if not self._gateways.allows(name):
                continue
            if name != stored.gateway:
                stored = await self._reroute(stored, name)
                if stored.gateway != name:
                    return stored
            outcome = await self._charge(stored, payer)
            if outcome.state is not GatewayState.NOT_FOUND:
                stored = await self._progress.heard(stored, outcome, "answered")
                await self._progress.proceed(stored)
                return stored
            stored = await self._not_sent(stored, outcome)
        return await self._progress.change(stored, PaymentState.DECLINED, UNREACHABLE, "answered")

    async def ask_again(self, stored: Stored, payer: Payer) -> Stored:
        """Ask the same gateway, which has never heard of the payment, once more."""
        if not self._gateways.allows(stored.gateway):
            return stored
        outcome = await self._charge(stored, payer)
        if outcome.state is GatewayState.NOT_FOUND:
            return await self._not_sent(stored, outcome)
        stored = await self._progress.heard(stored, outcome, "asked_again")
        await self._progress.proceed(stored)
        return stored

    async def call_off(self, stored: Stored) -> Stored:
        """End what waits for its payer, who does not want to pay any more. What its gateway then says is true."""
        if stored.state != PaymentState.PENDING:
            return stored
        outcome = await self._gateways.cancel(stored.gateway, stored.asked_by())
        stored = await self._progress.heard(stored, outcome, "called_off")
        await self._progress.proceed(stored)
        return stored

    async def _charge(self, stored: Stored, payer: Payer) -> Outcome:
        secret = names.path_secret(self._keyring, stored.payment_id)
        request = ChargeRequest(
            payment_id=stored.payment_id,
            reference=stored.reference,
            amount=stored.amount,
            currency=stored.currency,
            payer=payer,
            description=f"{self._operator_name} {stored.reference}",
            callback_url=self._gateways.callback_url(stored.gateway, secret),
            asked_at=stored.asked_at,
        )
        return await self._gateways.charge(stored.gateway, request)

    async def _not_sent(self, stored: Stored, outcome: Outcome) -> Stored:
        def stays(current: Stored, _owns: bool, _now: datetime) -> Stored:  # noqa: FBT001
            """It stays what it is: what matters is the evidence that is kept with the step."""
            return current

        return await self._progress.step(Step(stored.key, stays, "not_sent", evidence(outcome), always=True))

    async def _reroute(self, stored: Stored, name: str) -> Stored:
        def move(current: Stored, _owns: bool, now: datetime) -> Stored:  # noqa: FBT001
            """Only what no gateway has heard of goes to another."""
            if current.state != PaymentState.REQUESTED or current.gateway != stored.gateway or current.gateway_ref:
                return current
            return current._replace(gateway=name, requested_at=now, next_check_at=now + self._gateways.lease)

        return await self._progress.step(Step(stored.key, move, "rerouted", {"gateway": name}))
