"""What follows from a statement and a payment that the set-based match could not bring together: pure decisions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from engine.payments.parts import in_part
from engine.payments.stored import Stored
from engine.recharge.gateways.contract import ASKED, GatewayState, Outcome
from engine.reconciliation.tables import Kind
from engine.words import PaymentState

S, G = PaymentState, GatewayState

#: What the payer paid stands in the books, or has stood there.
_BOOKED_IN = frozenset({S.SETTLED, S.REFUNDING, S.REFUNDED, S.CHARGED_BACK})
_BOOKED_BACK = frozenset({S.REFUNDED, S.CHARGED_BACK})

#: codes of what is known here
UNKNOWN_HERE, CAME_AND_WENT, TOLD_TWICE, NOT_STATED = "payment_unknown", "came_and_went", "told_twice", "not_stated"


#: what is written behind a reference where it is of money that a bank has given again
WON = " won"


class Told(NamedTuple):
    """One movement that a gateway states."""

    name: str
    payment_id: UUID | None
    #: minor units; below 0: given back
    amount: int
    currency: str
    at: datetime
    #: the other side of it is stated too, the same amount, and the books have neither
    undone: bool = False
    #: what the payer typed as the account is known
    named: bool = False
    #: which of those that are stated of the payment in this direction
    nth: int = 1
    #: of money given back: how much of it is stated earlier, and whether more is stated later
    earlier: int = 0
    last: bool = True


class Judged(NamedTuple):
    """What the books have of it. ``kind`` is None where both agree."""

    kind: Kind | None
    reason: str
    booked: int = 0
    currency: str | None = None
    booked_at: datetime | None = None
    #: missing here, and nothing but its booking is missing
    exact: bool = False


class Days(NamedTuple):
    """The days of a statement, in the operator's time zone, and the moments at which they begin and end."""

    first: date
    last: date
    begins: datetime
    ends: datetime


def days(first: date, last: date, zone: str) -> Days:
    """The days from ``first`` to ``last``. Raises ``ValueError``."""
    if last < first:
        raise ValueError(f"until: {last} is before {first}")
    local = ZoneInfo(zone)
    begins = datetime.combine(first, time(), local)
    return Days(first, last, begins, datetime.combine(last + timedelta(days=1), time(), local))


def judge(told: Told, payment: Stored | None, late: timedelta, *, elsewhere: bool = False) -> Judged:
    """What a stated movement is that no booking of these days matches.

    ``payment`` is the one that its names lead to; ``elsewhere``: the gateway states that payment under another
    reference too. What both sides have, further apart than ``late``, is a matter of timing.
    """
    if told.undone and (payment is None or not _booked(payment, paid=told.amount > 0)):
        # The money came and went without touching the books: nothing is owed to anybody.
        return Judged(None, CAME_AND_WENT, told.amount, told.currency)
    if payment is None:
        missing = Kind.MISSING_HERE if told.amount > 0 else Kind.STATUS
        return Judged(missing, UNKNOWN_HERE, exact=told.amount > 0 and told.named)
    if told.name.endswith(WON):
        return Judged(Kind.STATUS, payment.state)
    if elsewhere:
        return Judged(Kind.DUPLICATE, TOLD_TWICE)
    if told.amount < 0:
        return _judge_back(told, payment)
    money, currency = payment.money
    if not _booked(payment, paid=True):
        same = (told.amount, told.currency) == (payment.amount, payment.currency)
        return Judged(Kind.MISSING_HERE, payment.state, exact=same)
    kind = _compared(told, money, currency)
    if kind is None and payment.state == S.SETTLED and abs(payment.changed_at - told.at) > late:
        kind = Kind.TIMING
    return Judged(kind, payment.state, money, currency, payment.changed_at)


def _judge_back(told: Told, payment: Stored) -> Judged:
    """What money given back is, of which the books may have all, a part, or nothing.

    What they have covers what is stated in its order; what they have beyond is the last one's, unless more may come.
    """
    gone, rest = -told.amount, max(_given_back(payment) - told.earlier, 0)
    money, currency = payment.money
    ended = S(payment.state) in _BOOKED_BACK
    booked = rest if told.last and ended else min(rest, gone)
    fits = payment.state == S.SETTLED and told.currency == currency and told.earlier + gone <= money
    if not booked:
        beyond = told.earlier + gone > money and told.earlier > 0
        return Judged(Kind.DUPLICATE, TOLD_TWICE) if beyond else Judged(Kind.STATUS, payment.state, exact=fits)
    kind = _compared(told, -booked, currency)
    exact = kind is Kind.AMOUNT and fits
    return Judged(kind, payment.state, -booked, currency, payment.changed_at, exact)


def _given_back(payment: Stored) -> int:
    """How much of a payment stands in the books as given back, minor units."""
    return payment.money[0] if _booked(payment, paid=False) else payment.returned


def _booked(payment: Stored, *, paid: bool) -> bool:
    state = S(payment.state)
    if state in _BOOKED_BACK and payment.captured is None:
        return False  # given back before it was ever ours
    return state in (_BOOKED_IN if paid else _BOOKED_BACK)


def _compared(told: Told, booked: int, currency: str) -> Kind | None:
    if told.currency != currency:
        return Kind.CURRENCY
    return None if told.amount == booked else Kind.AMOUNT


def asked(payment: Stored, outcome: Outcome, late: timedelta) -> tuple[Told, Judged] | None:
    """What a gateway's answer about a payment means; None where it gave none that tells."""
    if outcome.state is G.UNKNOWN or outcome.provider_code == ASKED:
        return None
    outcome = in_part(payment, outcome)
    name = payment.gateway_ref or str(payment.payment_id)
    money, currency = payment.money
    amount = outcome.amount if outcome.amount is not None else money
    told = Told(name, payment.payment_id, amount, outcome.currency or currency, outcome.at or payment.changed_at)
    back_in_part = (outcome.returned or 0) + sum(one.amount for one in outcome.disputes if not one.won)
    if outcome.state is G.CAPTURED and back_in_part and _booked(payment, paid=True):
        told = told._replace(amount=-back_in_part)
    if outcome.state is G.CAPTURED:
        return told, judge(told, payment, late)
    back = outcome.state in (G.REFUNDED, G.CHARGEBACK)
    if back:
        told = told._replace(amount=-amount)
        if not _booked(payment, paid=True):
            return told, Judged(None, CAME_AND_WENT, -amount, told.currency)
        return told, judge(told, payment, late)
    nothing = told._replace(amount=0)
    if _booked(payment, paid=True) and not _booked(payment, paid=False):
        return nothing, Judged(Kind.MISSING_AT_GATEWAY, outcome.state.value, money, currency, payment.changed_at)
    return nothing, Judged(None, payment.state)


def likeliest(counted: Iterable[tuple[date, int]]) -> date | None:
    """The day that a statement is of: the one that most of its rows lie in; None of an empty one."""
    return max(counted, key=lambda one: (one[1], one[0]), default=(None, 0))[0]
