"""What has gone back of a payment in part: given back by its provider, or taken by the payer's bank.

An event of the provider, its answer to a question and its settlement file all say how much it has given back so far.
Whoever says it first has it booked; who says the same, or less, says nothing new. So refunds need no names, and it does
not matter in which order they are told. A bank's disputes have names, and each is booked by its own: what it took, and
what it gave again because the dispute was won. Who hears of the end first books both.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from engine.books.history import History
from engine.books.service import Door
from engine.disputes.service import Disputes
from engine.events.alarms import Alarms
from engine.payments import names
from engine.payments.course import CHARGEBACK, WON_BACK, nothing_taken
from engine.payments.progress import Progress, common
from engine.payments.steps import Step, alarm_facts
from engine.payments.stored import Stored
from engine.recharge.gateways.contract import Dispute, Event, GatewayState, Outcome
from engine.words import Answer, Code, Operation, PaymentState, Restore, Reverse

S, G = PaymentState, GatewayState

#: not this payment's fault: it is tried again
_LATER = frozenset({Code.FAILED, Code.ACCOUNT_UNKNOWN})


class WentBack(NamedTuple):
    """How much of a payment has gone back by its gateway's word, minor units."""

    #: given back by the gateway
    refunded: int
    #: taken by banks, each told under its own name
    disputed: int


def in_part(stored: Stored, outcome: Outcome) -> Outcome:
    """What was said of a payment; where only a part of it went back, that it is captured, and what of it went.

    Providers say it either way.
    """
    amount, currency = stored.money
    if outcome.state is G.CAPTURED and outcome.returned is not None and outcome.returned >= amount:
        return replace(outcome, state=G.REFUNDED, amount=outcome.returned, returned=None)
    if outcome.amount is None or outcome.amount >= amount:
        return outcome
    if outcome.state is G.REFUNDED:
        return replace(outcome, state=G.CAPTURED, amount=amount, currency=currency, returned=outcome.amount)
    if outcome.state in (G.CHARGEBACK, G.REINSTATED) and outcome.disputes:
        return replace(outcome, state=G.CAPTURED, amount=amount, currency=currency)
    return outcome


def in_other_money(stored: Stored, outcome: Outcome) -> bool:
    """Whether what is said to have gone back, or come again, is in another currency than what was paid: not booked."""
    back = outcome.state in (G.REFUNDED, G.REFUND_FAILED, G.CHARGEBACK, G.REINSTATED)
    return back and outcome.currency not in (None, stored.money[1])


def told_back(outcome: Outcome) -> bool:
    """Whether there is something for ``Parts`` in what was said."""
    return bool(outcome.returned or outcome.disputes)


def returned_event(payment_id: UUID, gateway_ref: str | None, returned: int, currency: str) -> Event:
    """That ``returned`` minor units of a payment were given back so far, as an event that is the same however often.

    For what no provider called to say: it was asked, or has stated it.
    """
    outcome = Outcome(state=G.REFUNDED, gateway_ref=gateway_ref, amount=returned, currency=currency)
    return Event(event_id=f"returned:{payment_id}:{returned}", payment_id=payment_id, outcome=outcome)


def events_of(stored: Stored, outcome: Outcome) -> Iterator[Event]:
    """What was said to have gone back of a payment, as events that are the same however often that is said."""
    ref, currency = outcome.gateway_ref or stored.gateway_ref, stored.money[1]
    if outcome.returned:
        yield returned_event(stored.payment_id, ref, outcome.returned, currency)
    for one in outcome.disputes:
        stands = "won" if one.won else "lost" if one.ended else "open"
        state = G.REINSTATED if one.won else G.CHARGEBACK
        said = Outcome(state=state, gateway_ref=ref, amount=one.amount, currency=currency, disputes=(one,))
        yield Event(event_id=f"disputed:{one.name}:{stands}", payment_id=stored.payment_id, outcome=said)


class Parts:
    """Takes back of payments' credit what has gone of them, and gives it again where a bank has."""

    def __init__(self, door: Door, history: History, progress: Progress, *, alarms: Alarms, disputes: Disputes) -> None:
        """``disputes``: where staff looks at what banks ask back."""
        self._door = door
        self._history = history
        self._progress = progress
        self._alarms = alarms
        self._disputes = disputes

    async def take(self, stored: Stored, outcome: Outcome, *, late: bool) -> bool:
        """Have it booked what has gone back of a payment. True once there is no more to do.

        Only what was credited can be taken back, so it may have to wait. Where it cannot be booked, or it is ``late``,
        staff is told.
        """
        done = outcome.returned is None or await self._returned(stored, outcome.returned, late=late)
        for dispute in outcome.disputes:
            done = await self._disputed(stored, dispute, late=late) and done
        return done

    async def _now(self, stored: Stored) -> Stored:
        """Read under its lock, after what the door has committed."""
        return await self._progress.step(Step(stored.key, _as_it_is, "part_returned", {}))

    async def _returned(self, stored: Stored, returned: int, *, late: bool) -> bool:
        known = await self._now(stored)
        if known.state in (S.REFUNDED, S.CHARGED_BACK) or known.reason == CHARGEBACK:
            return True  # gone with the rest, or going
        if known.state == S.REFUNDING and returned >= known.left:
            return True  # by the refund that we have asked for: its answer says so
        if known.state == S.SETTLED:
            key = names.part_key(known.payment_id, returned)
            what: dict[str, Any] = {"payment_id": known.payment_id, "reason": "part_returned", "returned": returned}
            code = (await self._door.post(Reverse(**common(known, key), **what))).code
            # Closed: booked before, unless what was won back is in the way.
            if code is Code.OK or (code is Code.PAYMENT_CLOSED and known.reason != WON_BACK):
                return True
            if code in _LATER and not late:
                return False
        elif _to_come(known) and not late:
            return False
        await self._alarms.raise_alarm("payment.taken_back_in_part", **alarm_facts(known))
        return True

    async def _disputed(self, stored: Stored, dispute: Dispute, *, late: bool) -> bool:
        known = await self._now(stored)
        amount, currency = known.money
        if dispute.amount < amount:
            if _to_come(known) and not late:
                return False
            answer = await self._book(known, dispute)
            if answer.code in _LATER and not late:
                return False
            if not answer.ok:
                await self._alarms.raise_alarm(_not_booked(known, dispute), **alarm_facts(known))
        who = {"reference": known.reference, "gateway": known.gateway, "currency": currency}
        await self._disputes.told(known.account, known.payment_id, dispute, **who)
        return True

    async def _book(self, known: Stored, dispute: Dispute) -> Answer:
        """What a bank has taken of a part, and if that was won what it has given again: each once."""
        payment_id = known.payment_id
        taken, given = (name(payment_id, dispute.name) for name in (names.dispute_key, names.dispute_won_key))
        what: dict[str, Any] = {
            "payment_id": payment_id,
            "reason": CHARGEBACK,
            "chargeback": True,
            "returned": dispute.amount,
        }
        answer = await self._once(Reverse(**common(known, taken), **what))
        if not answer.ok or not dispute.won:
            return answer
        return await self._once(Restore(**common(known, given), payment_id=payment_id, reversal_key=taken))

    async def _once(self, operation: Operation) -> Answer:
        """Post it, unless it was done before: a bank may take longer to decide than the door remembers a key."""
        known = await self._history.answer_under(operation.account, operation.key)
        return known or await self._door.post(operation)


def _to_come(known: Stored) -> bool:
    """Whether it may yet be credited."""
    return known.state == S.CAPTURED or nothing_taken(known)


def _not_booked(known: Stored, dispute: Dispute) -> str:
    """What staff has to see to where a dispute over a part is not booked."""
    if known.state in (S.REFUNDING, S.REFUNDED):
        return "payment.disputed_after_refund"
    if known.reason == WON_BACK:
        return "payment.disputed_again"
    return "payment.not_restored" if dispute.won else "payment.taken_back_in_part"


def _as_it_is(current: Stored, _owns: bool, _now: datetime) -> Stored:  # noqa: FBT001 - one of three facts
    return current
