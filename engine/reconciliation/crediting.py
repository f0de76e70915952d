"""Booking what a gateway has taken or given back and the books do not have: events like any other, through one door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

import structlog
from cryptography.exceptions import InvalidTag
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.payments.parts import returned_event
from engine.payments.service import Payments
from engine.recharge.gateways.contract import Event, GatewayState, Outcome
from engine.reconciliation import cases, store
from engine.reconciliation.cases import Discrepancy, Selection
from engine.reconciliation.rules import Days
from engine.reconciliation.staging import Sealer
from engine.reconciliation.tables import Resolution, State
from engine.storage.driver import driver_of
from engine.words import EngineUnavailable, NotPossible, Payment, PaymentState
from settings import ReconciliationRules

log = structlog.get_logger(__name__)

#: credits on their way at a time
AT_ONCE = 32
#: who credits where the operator's rule does
BY_RULE = "rule"
_ENDED = {
    PaymentState.SETTLED: Resolution.CREDITED,
    PaymentState.REFUNDING: Resolution.RETURNED,
    PaymentState.REFUNDED: Resolution.RETURNED,
}


class Crediting:
    """Has missing credits made, by the operator's rule or because staff says so."""

    def __init__(self, database: AsyncEngine, rules: ReconciliationRules, payments: Payments, sealer: Sealer) -> None:
        self._database = database
        self._rules = rules
        self._payments = payments
        self._sealer = sealer
        self._given_back = rules.given_back or rules.credit

    async def run(self, gateway: str, of: Days) -> int:
        """Credit the exact matches of these days that nobody has decided about, by the rule. Returns how many were."""
        if {self._rules.credit, self._given_back} == {"never"}:
            return 0
        wanted = Selection(gateway=gateway, first=of.first, last=of.last, creditable=True)
        credited, last = 0, None
        while True:
            async with self._database.connect() as connection:
                page = await cases.find(connection, wanted, after=last, limit=AT_ONCE)
            if not page:
                return credited
            # What is stated of one payment follows from each other.
            matters = [list(of_one) for _, of_one in groupby(sorted(page, key=_name), key=_name)]
            credited += sum(await asyncio.gather(*(self._all_by_rule(matter) for matter in matters)))
            last = page[-1]

    async def _all_by_rule(self, matter: Sequence[Discrepancy]) -> int:
        return [await self._by_rule(one) for one in matter].count(Resolution.CREDITED)

    async def _by_rule(self, one: Discrepancy) -> Resolution | None:
        rule = self._given_back if one.stated < 0 else self._rules.credit
        if rule == "never":
            return None
        try:
            return await self._credited(one, BY_RULE, f"exact match, {rule}")
        except (ValueError, EngineUnavailable) as error:
            # It stays open: a person looks at it, or the next run.
            log.info("missing_credit_stays_open", discrepancy=str(one.discrepancy_id), reason=str(error))
            return None

    async def credit(self, one: Discrepancy, *, by: str, why: str) -> Resolution:
        """Credit one that staff has decided about. Raises ``ValueError`` that says why it could not be credited."""
        if one.state is State.RESOLVED or not one.live:
            raise NotPossible(f"it is resolved: {one.resolution}", "discrepancy_resolved", resolution=one.resolution)
        if not one.exact:
            said = "only what is missing here, and nothing but its booking, can be booked"
            raise NotPossible(said, "discrepancy_not_missing")
        return await self._credited(one, by, why)

    async def _credited(self, one: Discrepancy, by: str, why: str) -> Resolution:
        if one.stated < 0:
            return await self._taken_back(one, by, why)
        word = await self._payments.take_statement(one.gateway, self._event(one))
        payment = await self._payments.find_by_gateway_ref(one.gateway, one.name)
        ended = None if payment is None else _ENDED.get(payment.state)
        if payment is None or ended is None:
            found = None if payment is None else payment.state
            raise NotPossible(f"not credited: {found or word}", "discrepancy_not_credited", payment=found or word)
        await self._end(one, payment, ended, by=by, why=why)
        return ended

    async def _taken_back(self, one: Discrepancy, by: str, why: str) -> Resolution:
        """Have it booked that a gateway has given something back, as far as its statements say so in all."""
        payment = None if one.payment_id is None else await self._payments.payment(one.payment_id)
        if payment is None:
            raise NotPossible("not booked: the payment is not known", "discrepancy_no_payment")
        async with self._database.connect() as connection:
            back, won = await cases.stated_back(connection, one.gateway, one.name)
        stated = max(back, -one.stated) - won
        # What banks took has names, and is booked by them: all else the gateway gave back.
        gone = await self._payments.gone_back(payment.payment_id)
        refunded = stated - gone.disputed
        if by == BY_RULE and self._given_back != "stated":
            refunded = min(refunded, gone.refunded)
        word = "nothing is confirmed"
        if refunded > 0:
            event = returned_event(payment.payment_id, payment.gateway_ref, refunded, payment.currency)
            word = await self._payments.take_statement(one.gateway, event)
        payment = await self._payments.payment(payment.payment_id) or payment
        booked = payment.amount if payment.state is PaymentState.CHARGED_BACK else payment.returned
        if booked < stated:
            raise NotPossible(f"not booked: {word}", "discrepancy_not_booked")
        await self._end(one, payment, Resolution.CREDITED, by=by, why=why)
        return Resolution.CREDITED

    def _event(self, one: Discrepancy) -> Event:
        confirmed = self._rules.credit != "stated"
        account_number = None
        if one.account is None and one.sealed_account is not None:
            try:
                account_number = self._sealer.unseal(one.sealed_account, one.name)
            except (InvalidTag, KeyError):
                raise NotPossible("the key of what the payer typed is gone", "discrepancy_key_gone") from None
        return Event(
            # A statement's word counts once, like a callback's.
            event_id=f"settlement:{'confirmed' if confirmed else 'stated'}:{one.name}",
            outcome=Outcome(
                state=GatewayState.CAPTURED,
                gateway_ref=one.name,
                amount=one.stated,
                currency=one.stated_currency,
                provider_code="settlement",
            ),
            payment_id=None if one.account is None else one.payment_id,
            account_number=account_number,
            ask_status=confirmed,
        )

    async def _end(self, one: Discrepancy, payment: Payment, ended: Resolution, *, by: str, why: str) -> None:
        async with self._database.begin() as connection:
            current = await cases.one(connection, one.discrepancy_id.hex, lock=True)
            if not current.live or current.state is State.RESOLVED:
                return
            shard, account_id = payment.account
            known = {"shard": shard, "account_id": account_id, "payment_id": payment.payment_id, "live": False}
            await cases.change(connection, current, State.RESOLVED, owner=current.owner, resolution=ended, **known)
            await cases.note(connection, one.discrepancy_id, f"resolved:{ended}", by=by, why=why)
            driver = await driver_of(connection)
            await store.refigure(driver, one.gateway, [one.day], datetime.now(UTC))


def _name(one: Discrepancy) -> str:
    return one.name
