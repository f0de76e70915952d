"""Doing what an event says: finding or storing its payment, having it confirmed, and taking the payment on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
import structlog

from engine.accounts.service import Accounts
from engine.events.alarms import Alarms
from engine.payments import names
from engine.payments.course import Stored, could_be, is_waiting
from engine.payments.gateways import Gateways
from engine.payments.names import Locator
from engine.payments.opening import Opening, Wanted
from engine.payments.payers import Payers
from engine.payments.progress import Progress, hearing
from engine.payments.pushes import Pushes, paid_by, undecided
from engine.payments.steps import Step
from engine.recharge.gateways.contract import Event, GatewayState, Outcome, Payer
from engine.recharge.gateways.references import is_account_number
from engine.words import BadNumber, EngineUnavailable, PaymentMethod, PaymentRefused, PaymentState, UnknownLine

log = structlog.get_logger(__name__)

G = GatewayState

#: How long an event that its own provider does not confirm is asked about.
CONFIRM_WITHIN = timedelta(hours=24)
#: Which locator found a payment, in the order in which they are believed.
PATH, ID, REF, STATUS_REF, REFERENCE = range(5)

#: the payments that an event's locators found, by which one did
Found = Mapping[int, Stored]


class Taken(NamedTuple):
    """An event that is in the inbox."""

    gateway: str
    event: Event
    #: shard and digest
    place: tuple[int, bytes]
    received_at: datetime
    #: it came on a path with a segment of its own
    on_path: bool


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
        self._metrics = gateways.metrics

    def step_of(self, taken: Taken, found: Found) -> Step | None:
        """The step of an event that can be believed as it is, of a payment that is there; None: ``work`` it."""
        stored = None if taken.event.ask_status else _known(taken, found)
        return _hearing(taken, stored, taken.event.outcome) if isinstance(stored, Stored) else None

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
        if concludes:
            return await self._conclude(taken, await self._progress.step(_hearing(taken, stored, outcome, done=False)))
        return await self._settled(taken, await self._progress.step(_hearing(taken, stored, outcome)))

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
        known = _known(taken, found)
        if known is not None:
            return known
        typed = (taken.event.account_number or "").strip()
        # Who typed an account says whom they pay for: a push is told under its own, which was looked for.
        pushes = [] if typed else await self._pushes.of(taken.gateway, taken.event, taken.received_at)
        paid = paid_by(pushes)
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
        if holder is not None:
            account, line_id = holder.account, holder.line_id
        else:
            try:
                line = await self._accounts.subscriber(event.account_number or "")
                account, line_id = line.account, line.line_id
            except (BadNumber, UnknownLine):
                account, line_id = await self._opening.suspense(), None
        reference = outcome.gateway_ref or event.event_id
        methods = gateway.methods
        wanted = Wanted(
            account=account,
            payment_id=names.incoming_id(name, reference),
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
        if refused == "unconfirmed" and taken.event.outcome.state is G.CAPTURED:
            # Somebody may have paid for nothing: reconciliation will say so, too.
            facts = {"event_id": taken.event.event_id, "amount": taken.event.outcome.amount}
            await self._alarms.raise_alarm("payment.unconfirmed", gateway=taken.gateway, **facts)
        return "refused"


def _known(taken: Taken, found: Found) -> Stored | str | None:
    """The payment that an event is about, or why there is none; None where its payer has begun it."""
    name, event = taken.gateway, taken.event
    began_here = event.account_number is None
    stored = next((found[rank] for rank in (PATH, ID, REF, STATUS_REF) if rank in found), None)
    if taken.on_path and began_here and event.payment_id is None and PATH not in found:
        return "path"
    if PATH in found and ID in found and found[PATH].payment_id != found[ID].payment_id:
        return "path"
    if stored is not None and stored.gateway == name:
        return "reference" if _names_another(stored, event, found) else stored
    named = found.get(REFERENCE)
    if stored is None and named is not None and named.gateway == name and could_be(named, event.outcome):  # noqa: SIM102
        # Only what we gave the provider is a payment's own name; whoever quotes the short one pays for its line.
        if is_account_number(event.account_number or "", named.reference, named.payment_id):
            return named
    if event.outcome.state is not G.CAPTURED or (stored is None and began_here):
        return "payment_unknown" if stored is None else "gateway"
    return None


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


def _names_another(stored: Stored, event: Event, found: Found) -> bool:
    """Whether an event that nobody signed names a reference that is another payment's, or not the one asked by.

    Whoever got hold of a payment's callback path could have it paid by a push of somebody else: that one's provider
    does confirm it, and names no amount.
    """
    if not event.ask_status:
        return False
    receipt, asked_by = found.get(REF, stored), found.get(STATUS_REF, stored)
    if asked_by.payment_id != stored.payment_id:
        return True
    if receipt.payment_id != stored.payment_id:
        # Money of this push that was counted as having come by itself: that is heard, and this one is a duplicate.
        name = event.outcome.gateway_ref or ""
        came = receipt.payment_id == names.incoming_id(stored.gateway, name) and receipt.money == stored.money
        return not (came and event.status_ref is not None and stored.asked_ref == event.status_ref)
    asked = stored.asked_ref in (None, event.status_ref)
    return event.status_ref is not None and not asked and STATUS_REF not in found


def locators_of(name: str, event: Event) -> dict[int, Locator]:
    """What its payment may be found by, beside the path that it came on."""
    locators: dict[int, Locator] = {}
    if event.payment_id is not None:
        locators[ID] = names.by_id(event.payment_id)
    if event.outcome.gateway_ref is not None:
        locators[REF] = names.by_gateway_ref(name, event.outcome.gateway_ref)
    if event.status_ref is not None:
        locators[STATUS_REF] = names.by_gateway_ref(name, event.status_ref)
    if event.account_number is not None:
        locators[REFERENCE] = names.by_reference(event.account_number)
    return locators
