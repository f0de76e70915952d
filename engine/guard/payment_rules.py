"""The four layers that stand before a payment is asked for, each a pure decision over one case.

Account authentication, payment-method authorisation, fraud detection, balance and limit verification, in this order.
The facts of all cases of a batch are fetched at once (``engine.guard.payment_store``, ``engine.guard.velocity``); a
layer looks at nothing else. The first refusal stands; a review stands unless a later layer refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from engine.words import LineStatus, Listed, ListKind, PaymentMethod, Refused, Ruled
from settings import FraudRules, Operator

#: (kind, minutes) → how many payments there were in that window, this one among them
Windows = Mapping[tuple[str, int], int]


class History(NamedTuple):
    """What an account's own payments of the last while say."""

    #: how many were credited, and the middle one of their amounts
    settled: int = 0
    usual: int = 0
    #: minor units paid or asked for by this method on this local day
    today: int = 0
    #: how many wait for an answer
    waiting: int = 0


@dataclass(slots=True, kw_only=True)
class PaymentCase:
    """A payment that somebody wants to make, and all that is known about it."""

    method: PaymentMethod
    #: minor units
    amount: int
    operator: Operator
    now: datetime
    source: str
    #: None: the account has no such line
    status: LineStatus | None
    postpaid: bool = False
    opened_at: datetime | None = None
    sim_changed_at: datetime | None = None
    #: when the card ends that was saved, if one is to pay
    card_ends: datetime | None = None
    #: the line pays for itself with its own number
    own_number: bool = True
    #: money of the account, minor units
    balance: int = 0
    history: History = field(default_factory=History)
    #: None: nobody knows
    windows: Windows | None = field(default_factory=dict)
    listed: frozenset[tuple[ListKind, Listed]] = frozenset()

    def inputs(self) -> dict[str, Any]:
        """The facts as they are stored with the decision: codes, counts, ages and amounts."""
        return {
            "method": self.method.value,
            "amount": self.amount,
            "source": self.source,
            "status": self.status,
            "line_hours": _hours(self.opened_at, self.now),
            "sim_hours": _hours(self.sim_changed_at, self.now),
            "card_ends": None if self.card_ends is None else self.card_ends.isoformat(),
            "own_number": self.own_number,
            "balance": self.balance,
            **self.history._asdict(),
            "windows": None
            if self.windows is None
            else {f"{kind}/{minutes}": count for (kind, minutes), count in self.windows.items()},
            "listed": sorted(f"{kind}:{listed}" for kind, listed in self.listed),
        }


class Ruling(NamedTuple):
    """What the layers come to. ``code`` and ``layer`` say why it is refused, ``reasons`` what made up the score."""

    verdict: Ruled = Ruled.ALLOW
    layer: str | None = None
    code: Refused | None = None
    #: what the broken limit allows, minor units
    limit: int | None = None
    score: int = 0
    reasons: tuple[str, ...] = ()


def refuse(code: Refused, limit: int | None = None) -> Ruling:
    """A refusal; the layer's name is filled in by ``rule``."""
    return Ruling(Ruled.REFUSE, code=code, limit=limit)


def authenticate_account(case: PaymentCase) -> Ruling | None:
    """Whether there is a line that can be credited. A barred one can where it is billed: the bill is what it lacks."""
    barred = case.status is LineStatus.BARRED and not case.postpaid
    return refuse(Refused.LINE) if barred or case.status in (None, LineStatus.TERMINATED) else None


def authorise_method(case: PaymentCase) -> Ruling | None:
    """Whether the operator takes this way to pay, for this amount, today; and whether the card is still valid."""
    if case.card_ends is not None and case.card_ends <= case.now:
        return refuse(Refused.CARD_EXPIRED)
    methods = case.operator.payments.methods
    if not methods:
        return None
    rules = methods.get(case.method.value)
    if rules is None:
        return refuse(Refused.METHOD)
    if case.amount < rules.least:
        return refuse(Refused.AMOUNT_TOO_LOW, rules.least)
    if case.amount > rules.most:
        return refuse(Refused.AMOUNT_TOO_HIGH, rules.most)
    if case.history.today + case.amount > rules.per_day:
        return refuse(Refused.DAILY_LIMIT, rules.per_day)
    return None


def detect_fraud(case: PaymentCase) -> Ruling | None:
    """The score of what is suspicious, with a name for each reason. Unknown risk is refused: somebody's money leaves.

    Lists come first: whom staff blocks is refused whatever the score, whom it trusts is not scored.
    """
    rules = case.operator.fraud
    if any(listed is Listed.BLOCK for _, listed in case.listed):
        return refuse(Refused.BLOCKED)
    if case.listed:
        return Ruling(reasons=("trusted",))
    if rules.velocity and case.windows is None:
        return refuse(Refused.RISK_UNKNOWN)
    found = {**_velocity(case, rules), **_unusual(case, rules)}
    score = sum(found.values())
    ruling = Ruling(score=score, reasons=tuple(found))
    if score >= rules.refuse_at:
        return ruling._replace(verdict=Ruled.REFUSE, code=Refused.RISK)
    return ruling._replace(verdict=Ruled.REVIEW if score >= rules.review_at else Ruled.ALLOW)


def _velocity(case: PaymentCase, rules: FraudRules) -> dict[str, int]:
    windows = case.windows or {}
    return {
        f"velocity_{one.of}_{one.minutes}min": one.weight
        for one in rules.velocity
        if windows.get((one.of, one.minutes), 0) > one.most
    }


def _unusual(case: PaymentCase, rules: FraudRules) -> dict[str, int]:
    found = {}
    known = rules.outlier_times > 0 and case.history.settled >= rules.outlier_history
    if known and case.amount > rules.outlier_times * case.history.usual:
        found["amount_unusual"] = rules.outlier_weight
    if _within(case.opened_at, rules.new_line_hours, case.now):
        found["line_new"] = rules.new_line_weight
    if _within(case.sim_changed_at, rules.sim_change_hours, case.now):
        found["sim_changed"] = rules.sim_change_weight
    if not case.own_number:
        found["other_payer"] = rules.other_payer_weight
    return {reason: weight for reason, weight in found.items() if weight}


def verify_limits(case: PaymentCase) -> Ruling | None:
    """Whether the account may hold that much, and wait for one more payment."""
    rules = case.operator.payments
    if rules.balance_most and case.balance + case.amount > rules.balance_most:
        return refuse(Refused.BALANCE_LIMIT, rules.balance_most)
    if rules.waiting_most and case.history.waiting >= rules.waiting_most:
        return refuse(Refused.TOO_MANY_WAITING)
    return None


#: Name in the metrics → layer, in the order in which they stand.
PAYMENT_LAYERS: dict[str, Callable[[PaymentCase], Ruling | None]] = {
    "account": authenticate_account,
    "method": authorise_method,
    "fraud": detect_fraud,
    "limits": verify_limits,
}


def combined(before: Ruling, layer: str, said: Ruling | None) -> Ruling:
    """What stands after one more layer. What was refused stays refused for its first reason."""
    if said is None or before.verdict is Ruled.REFUSE:
        return before
    both = said._replace(score=before.score + said.score, reasons=before.reasons + said.reasons)
    if said.verdict is Ruled.REFUSE:
        return both._replace(layer=layer)
    held = Ruled.REVIEW if Ruled.REVIEW in (before.verdict, said.verdict) else Ruled.ALLOW
    return both._replace(verdict=held, layer=layer if said.verdict is Ruled.REVIEW else before.layer)


def rule(case: PaymentCase) -> Ruling:
    """One case through all layers."""
    ruling = Ruling()
    for name, layer in PAYMENT_LAYERS.items():
        ruling = combined(ruling, name, layer(case))
    return ruling


def _within(since: datetime | None, hours: int, now: datetime) -> bool:
    return hours > 0 and since is not None and now - since < timedelta(hours=hours)


def _hours(since: datetime | None, now: datetime) -> int | None:
    return None if since is None else int((now - since).total_seconds()) // 3600
