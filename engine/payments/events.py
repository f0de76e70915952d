"""Doing what an event says: finding or storing its payment, having it confirmed, and taking the payment on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from engine.accounts.service import Accounts
from engine.events.alarms import Alarms
from engine.payments import names
from engine.payments.course import is_waiting
from engine.payments.gateways import Gateways
from engine.payments.opening import Opening, Wanted
from engine.payments.owners import ID, PATH, REF, REFERENCE, STATUS_REF, Found, Taken, owner_of
from engine.payments.parts import Parts, in_other_money, in_part, told_back
from engine.payments.payers import Payers
from engine.payments.progress import Progress, hearing
from engine.payments.pushes import Pushes, paid_by, undecided
from engine.payments.steps import Step, alarm_facts
from engine.payments.stored import Stored
from engine.recharge.gateways.contract import Event, GatewayState, Outcome, Payer
from engine.words import BadNumber, EngineUnavailable, PaymentMethod, PaymentRefused, PaymentState, UnknownLine

log = structlog.get_logger(__name__)

G = GatewayState

#: What staff is told of where money that somebody told of was not believed.
DISBELIEVED = {"unconfirmed": "payment.unconfirmed", "reference": "payment.contradicted"}
#: How long an event that its own provider does not confirm is asked about.
CONFIRM_WITHIN = timedelta(hours=24)


class Events:
    """Does the events of the inbox, once each, however often they are begun."""

    def __init__(
        self,
        accounts: Accounts,
        gateways: Gateways,
        opening: Opening,
        pushes: Pushes,
        progress: Progress,
        *,
        parts: Parts,
        payers: Payers,
        alarms: Alarms,
    ) -> None:
        self._accounts = accounts
        self._gateways = gateways
        self._opening = opening
        self._pushes = pushes
        self._payers = payers
        self._alarms = alarms
        self._progress = progress
        self._parts = parts
        self._metrics = gateways.metrics

    def step_of(self, taken: Taken, found: Found) -> Step | None:
        """The step of an event that can be believed as it is, of a payment that is there; None: ``work`` it."""
        stored, outcome = None if taken.event.ask_status else owner_of(taken, found), taken.event.outcome
        if not isinstance(stored, Stored) or in_other_money(stored, outcome) or told_back(in_part(stored, outcome)):
            return None
        return _hearing(taken, stored, outcome)

    async def work(self, taken: Taken, found: Found, *, stepped: Stored | None = None) -> str:
        """Do an event that is stored. Returns how far it came; what fails is left to the recovery loop.

        ``stepped``: its payment, if the event's step was taken in the commit that stored it.
        """
        try:
            if stepped is not None:
                return await self._settled(taken, stepped)
            stored = await self._payment(taken, found)
            if stored is None:
                return "waiting"
            if isinstance(stored, str):
                return await self._finish(taken, stored)
            return await self._do(taken, stored)
        except EngineUnavailable:
            return "waiting"
        except Exception:
            log.exception("callback_failed", gateway=taken.gateway)
            return "waiting"

    async def _do(self, taken: Taken, stored: Stored) -> str:
        event, outcome = taken.event, taken.event.outcome
        concludes = bool(self._gateways.checkout(taken.gateway))
        if concludes and not is_waiting(stored) and stored.gateway_ref == outcome.gateway_ref:
            # Believed before; what is left is to tell of it.
            return await self._conclude(taken, stored)
        if event.ask_status:
            said = await self._confirmed(taken.gateway, event, stored)
            if said is None:
                return await self._unconfirmed(taken, stored)
            outcome = said
            await self._payers.keep_card(stored, outcome.card)
        if in_other_money(stored, outcome):
            await self._alarms.raise_alarm("payment.taken_back_in_part", **alarm_facts(stored))
            return await self._finish(taken, "currency")
        outcome = in_part(stored, outcome)
        more = told_back(outcome)
        stepped = await self._progress.step(_hearing(taken, stored, outcome, done=not concludes and not more))
        if concludes:
            return await self._conclude(taken, stepped)
        told = await self._settled(taken, stepped)
        if not more:
            return told
        # What has gone back of it is booked, then the event is done.
        late = taken.received_at + CONFIRM_WITHIN < datetime.now(UTC)
        if not await self._parts.take(stepped, outcome, late=late):
            return "waiting"
        # Staff was alarmed by the first step.
        await self._progress.step(_hearing(taken, stepped, outcome)._replace(alarm=None))
        return told

    async def _settled(self, taken: Taken, stored: Stored) -> str:
        if await self._progress.proceed(stored):
            waited = (datetime.now(UTC) - taken.received_at).total_seconds()
            self._metrics.settlement_seconds.labels(taken.gateway).observe(waited)
        return "done"

    async def _conclude(self, taken: Taken, stored: Stored) -> str:
        """Take the payment on and tell its provider of its order. The event is done only once that has heard."""
        await self._settled(taken, stored)
        # Read under its lock, after what the door has committed.
        known = await self._progress.step(Step(stored.key, lambda current, _owns, _now: current, "concluding", {}))
        order = taken.event.outcome.gateway_ref
        delivered = known.state == PaymentState.SETTLED and known.gateway_ref == order
        decided = known.state != PaymentState.CAPTURED and not is_waiting(known)
        if decided and await self._gateways.conclude(taken.gateway, taken.event, delivered=delivered):
            return await self._finish(taken, None)
        late = taken.received_at + CONFIRM_WITHIN < datetime.now(UTC)
        return await self._finish(taken, "not_concluded") if late else "waiting"

    async def _confirmed(self, name: str, event: Event, stored: Stored) -> Outcome | None:
        """What the provider itself says, with the names that the event brought; None while it does not say so."""
        ref = stored.asked_by()
        reference = event.status_ref or event.outcome.gateway_ref or ref.gateway_ref
        if stored.asked_ref is None and event.outcome.state is G.CAPTURED:
            # We never heard which push was ours, and a push that is asked about names no amount: its receipt does.
            reference = event.outcome.gateway_ref or reference
        said = await self._gateways.status(name, msgspec.structs.replace(ref, gateway_ref=reference))
        if said.state is event.outcome.state:
            known = event.outcome
            return msgspec.structs.replace(
                said,
                gateway_ref=known.gateway_ref or said.gateway_ref,
                amount=said.amount if said.amount is not None else known.amount,
                currency=said.currency or known.currency,
                reason=said.reason or known.reason,
            )
        if said.state not in (G.UNKNOWN, G.NOT_FOUND, G.PENDING):
            return said
        # Of money the event names the receipt: it is kept until its provider confirms it.
        return None if event.outcome.state is G.CAPTURED else Outcome(state=G.UNKNOWN)

    async def _unconfirmed(self, taken: Taken, stored: Stored) -> str:
        """Nothing is believed yet; the payment is asked about soon, and the event again."""
        settled = not is_waiting(stored) and stored.gateway_ref == taken.event.outcome.gateway_ref
        if settled or taken.received_at + CONFIRM_WITHIN < datetime.now(UTC):
            return await self._finish(taken, None if settled else "unconfirmed")
        await self._progress.heard(stored, Outcome(state=G.UNKNOWN), "callback", gateway=taken.gateway)
        return "waiting"

    async def _payment(self, taken: Taken, found: Found) -> Stored | str | None:
        """The payment that an event is about, stored now where its payer began it; else why there is none.

        None: it may be a push's, which has to say first what became of it.
        """
        known = owner_of(taken, found)
        if known is not None:
            return known
        typed = (taken.event.account_number or "").strip()
        # Who typed an account says whom they pay for: a push is told under its own, which was looked for.
        pushes = [] if typed else await self._pushes.of(taken.gateway, taken.event, taken.received_at)
        paid = paid_by(pushes, taken.event.outcome.gateway_ref)
        if paid is not None:
            return paid
        waiting = undecided(pushes)
        if waiting and taken.received_at + CONFIRM_WITHIN > datetime.now(UTC):
            for push in waiting:
                # It is asked about within a second.
                await self._progress.heard(push, Outcome(state=G.UNKNOWN), "callback", gateway=taken.gateway)
            return None
        holder = next((found[rank] for rank in (PATH, ID, REF, STATUS_REF, REFERENCE) if rank in found), None)
        return await self._incoming(taken.gateway, taken.event, holder)

    async def _incoming(self, name: str, event: Event, holder: Stored | None) -> Stored | str:
        """A payment of its own for money that came by itself: for ``holder``'s line, or the number that was typed."""
        gateway, outcome = self._gateways.get(name), event.outcome
        if gateway is None or outcome.amount is None:
            return "amount"
        if outcome.currency is None:
            return "currency"
        reference = outcome.gateway_ref or event.event_id
        payment_id = names.incoming_id(name, reference)
        if holder is not None:
            account, line_id = holder.account, holder.line_id
        else:
            try:
                line = await self._accounts.subscriber(event.account_number or "")
                account, line_id = line.account, line.line_id
            except (BadNumber, UnknownLine):
                account, line_id = await self._opening.suspense(payment_id), None
        methods = gateway.methods
        wanted = Wanted(
            account=account,
            payment_id=payment_id,
            line_id=line_id,
            gateway=name,
            method=PaymentMethod.MOBILE_MONEY if PaymentMethod.MOBILE_MONEY in methods else min(methods),
            amount=outcome.amount,
            currency=outcome.currency,
            payer=Payer(msisdn=event.payer_msisdn or ""),
            source=f"payment:{name}",
            gateway_ref=reference,
        )
        try:
            return (await self._opening.store(wanted)).stored
        except PaymentRefused as error:
            return str(error)

    async def _finish(self, taken: Taken, refused: str | None) -> str:
        """Nothing more is done for this event."""
        await self._progress.finish(taken.place, refused)
        if refused is None:
            return "done"
        log.warning("callback_without_effect", gateway=taken.gateway, reason=refused)
        if refused in DISBELIEVED and taken.event.outcome.state is G.CAPTURED:
            # Somebody may have paid for nothing: reconciliation will say so, too.
            facts = {"event_id": taken.event.event_id, "amount": taken.event.outcome.amount}
            await self._alarms.raise_alarm(DISBELIEVED[refused], gateway=taken.gateway, **facts)
        return "refused"


def _hearing(taken: Taken, stored: Stored, outcome: Outcome, *, done: bool = True) -> Step:
    return hearing(
        stored,
        outcome,
        "callback",
        gateway=taken.gateway,
        event=taken.place if done else None,
        event_id=taken.event.event_id,
        asked_ref=taken.event.status_ref,
    )
