"""What a provider has given back of a payment in part, by itself: told as a sum, booked as far as it was not before.

An event of the provider, its answer to a question and its settlement file all say how much has gone back so far.
Whoever says it first has it booked; who says the same, or less, says nothing new. So refunds need no names, and it does
not matter in which order they are told.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from engine.events.alarms import Alarms
from engine.payments.course import CHARGEBACK, nothing_taken
from engine.payments.progress import Progress
from engine.payments.steps import Step, alarm_facts
from engine.payments.stored import Stored
from engine.recharge.gateways.contract import Event, GatewayState, Outcome
from engine.words import Code, PaymentState

S, G = PaymentState, GatewayState


def in_part(stored: Stored, outcome: Outcome) -> Outcome:
    """What was said of a payment; where only a part of it went back, that it is captured, and how much of it went.

    Providers say it either way.
    """
    amount, currency = stored.money
    if outcome.state is G.CAPTURED and outcome.returned is not None and outcome.returned >= amount:
        return replace(outcome, state=G.REFUNDED, amount=outcome.returned, returned=None)
    if outcome.state is not G.REFUNDED or outcome.amount is None or outcome.amount >= amount:
        return outcome
    return replace(outcome, state=G.CAPTURED, amount=amount, currency=currency, returned=outcome.amount)


def returned_event(payment_id: UUID, gateway_ref: str | None, returned: int, currency: str) -> Event:
    """That ``returned`` minor units of a payment have gone back so far, as an event that is the same however often.

    For what no provider called to say: it was asked, or has stated it.
    """
    outcome = Outcome(state=G.REFUNDED, gateway_ref=gateway_ref, amount=returned, currency=currency)
    return Event(event_id=f"returned:{payment_id}:{returned}", payment_id=payment_id, outcome=outcome)


class Parts:
    """Takes back of payments' credit what has gone of them."""

    def __init__(self, progress: Progress, alarms: Alarms) -> None:
        self._progress = progress
        self._alarms = alarms

    async def take(self, stored: Stored, returned: int, *, late: bool) -> bool:
        """Have it booked that ``returned`` minor units of a payment have gone back. True once there is no more to do.

        Only what was credited can be taken back, so it may have to wait. Where it cannot be booked, or it is ``late``,
        staff is told.
        """
        # Read under its lock, after what the door has committed.
        known = await self._progress.step(Step(stored.key, _as_it_is, "part_returned", {}))
        if returned <= known.returned or known.state == S.REFUNDED or known.reason == CHARGEBACK:
            return True  # booked before, or gone with the rest, or going
        if known.state == S.SETTLED:
            code = (await self._progress.reverse_part(known, returned)).code
            if code is Code.OK:
                return True
            if code in (Code.FAILED, Code.ACCOUNT_UNKNOWN) and not late:
                return False
        elif (known.state == S.CAPTURED or nothing_taken(known)) and not late:
            return False
        await self._alarms.raise_alarm("payment.taken_back_in_part", **alarm_facts(known))
        return True


def _as_it_is(current: Stored, _owns: bool, _now: datetime) -> Stored:  # noqa: FBT001 - one of three facts
    return current
