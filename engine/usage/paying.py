"""Who pays for use: what was reserved for it, then buckets in their order, then money if it may. Pure.

Units are paid one for one from buckets of their own kind. Money pays by the tariff: what is rounded up is the sum of a
session's units under one tariff, never each report of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.balances.rules import ORDINARY, payable
from engine.books.case import Case
from engine.books.facts import LineFacts
from engine.books.tables import Ledger
from engine.usage.meters import room
from engine.usage.tables import ReservationState
from engine.usage.tariffs import affordable, price_of, rate_for
from engine.words import Bucket, Unit
from settings import Rate

#: What a bucket is called that was opened to book use which nobody could pay.
OVERRUN = "overrun"

#: (bucket, amount) that is held for a quota
Leg = tuple[UUID, int]


@dataclass(slots=True)
class Holding:
    """One rating group of a session while a request of it is decided: its reservation, as it is to be stored."""

    session_id: UUID
    rating_group: int
    unit: Unit
    now: datetime
    state: ReservationState = ReservationState.RELEASED
    granted: int = 0
    legs: list[Leg] = field(default_factory=list)
    used: int = 0
    overrun: int = 0
    seen: int = 0
    tariff: str | None = None
    priced: int = 0
    paid: int = 0
    began_at: datetime = field(init=False)
    reported_at: datetime = field(init=False)
    expires_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        """A new one begins now."""
        self.began_at = self.reported_at = self.expires_at = self.now

    def under(self, rate: Rate) -> None:
        """Units are priced by this tariff from here on; its rounding begins anew if it is another one."""
        if self.tariff != rate.code:
            self.tariff, self.priced, self.paid = rate.code, 0, 0

    def cost(self, rate: Rate, units: int) -> int:
        """What ``units`` more cost, after those that were priced before."""
        return price_of(rate, self.priced + units) - self.paid

    def units_for(self, rate: Rate, money: int, most: int) -> int:
        """How many units more, up to ``most``, ``money`` pays for."""
        units = affordable(rate, money + self.paid)
        return most if units is None else max(0, min(most, units - self.priced))


class Paid(NamedTuple):
    """How a use was paid: units from buckets and with money, minor units that took, units that nobody paid."""

    units: int
    money: int
    overrun: int


def money_pays(case: Case, unit: Unit, line: LineFacts | None = None) -> bool:
    """Whether money may pay for use of a unit: where consent is asked for, only with it. Postpaid accounts gave it.

    Of another ``line`` than the operation's own, if that is said.
    """
    policy, line = case.operator.policy, line or case.line or case.facts.line
    if case.facts.postpaid or unit not in policy.opt_in_units:
        return True
    said = None if line is None else line.out_of_bundle
    return policy.out_of_bundle if said is None else said


def current_rate(case: Case, holding: Holding, category: str | None) -> Rate | None:
    """What money would pay by at the holding's time; None if it may not, or there is no rate."""
    return rate_for(case.operator, holding.unit, category, holding.now) if money_pays(case, holding.unit) else None


def granted_rate(case: Case, holding: Holding, category: str | None) -> Rate | None:
    """The tariff under which the last quota was granted: use of it is paid by that one, even if another holds now.

    If the operator's file has it no more, what holds now takes its place: money was held, so money pays.
    """
    known = next((rate for rate in case.operator.rates if rate.code == holding.tariff), None)
    return known or rate_for(case.operator, holding.unit, category, holding.now)


def let_go(case: Case, holding: Holding) -> list[Leg]:
    """Give back what was held for a quota. Returns what that was."""
    legs, holding.legs = holding.legs, []
    if legs:
        by_id = {bucket.bucket_id: bucket for bucket in case.facts.buckets}
        by_money = holding.granted
        for bucket_id, amount in legs:
            bucket = by_id[bucket_id]
            case.hold(bucket, -amount)
            by_money -= amount if bucket.unit is holding.unit else 0
        case.held_by_money[holding.unit] = case.held_by_money.get(holding.unit, 0) - by_money
    return legs


def spendable_money(case: Case, category: str | None) -> int:
    """What money may pay now: what is free, within the line's own limits."""
    free = sum(case.free(bucket) for bucket in payable(case, Unit.MONEY, category))
    cap = room(case, Unit.MONEY)
    return free if cap is None else min(free, cap)


def capacity(case: Case, holding: Holding, category: str | None, rate: Rate | None, most: int) -> int:
    """How many units, up to ``most``, could be paid now."""
    units = min(most, sum(case.free(bucket) for bucket in payable(case, holding.unit, category)))
    if units < most and rate is not None:
        units += holding.units_for(rate, spendable_money(case, category), most - units)
    return units


def pay(case: Case, holding: Holding, category: str | None, amount: int, legs: Sequence[Leg] = ()) -> Paid:
    """Charge ``amount`` units that were used. ``legs`` was held for them until a moment ago, and pays first.

    What was held pays even if its time is over meanwhile: it was granted while it was not.
    """
    left = amount
    for bucket, most in _order(case, holding.unit, category, legs):
        if left == 0:
            break
        part = min(left, most, case.free(bucket))
        if part:
            case.debit(bucket, part, Ledger.CONSUMED)
            left -= part
    money = 0
    if left:
        held_money = [leg for leg in legs if _unit_of(case, leg) is Unit.MONEY]
        rate = granted_rate(case, holding, category) if held_money else current_rate(case, holding, category)
        if rate is not None:
            holding.under(rate)
            units, money = _pay_money(case, holding, rate, left, _order(case, Unit.MONEY, category, held_money))
            left -= units
    if left:
        _book_overrun(case, holding.unit, left)
    holding.used += amount - left
    holding.overrun += left
    return Paid(amount - left, money, left)


def _unit_of(case: Case, leg: Leg) -> Unit | None:
    return next((bucket.unit for bucket in case.facts.buckets if bucket.bucket_id == leg[0]), None)


def _order(case: Case, unit: Unit, category: str | None, legs: Sequence[Leg]) -> list[tuple[Bucket, int]]:
    """Buckets with the most that each may pay: what was held, as it was held, then all that may pay, in their order."""
    all_that_may = [(bucket, case.amount(bucket)) for bucket in payable(case, unit, category)]
    if not legs:
        return all_that_may
    by_id = {bucket.bucket_id: bucket for bucket in case.facts.buckets}
    return [(by_id[held], amount) for held, amount in legs if by_id[held].unit is unit] + all_that_may


def _pay_money(
    case: Case, holding: Holding, rate: Rate, units: int, order: Sequence[tuple[Bucket, int]]
) -> tuple[int, int]:
    """Pay up to ``units`` with money, in ``order``. Returns the units that were paid, and minor units."""
    free: dict[UUID, int] = {}
    for bucket, most in order:
        free[bucket.bucket_id] = min(case.free(bucket), free.get(bucket.bucket_id, 0) + most)
    budget, cap = sum(free.values()), room(case, Unit.MONEY)
    paid_for = holding.units_for(rate, budget if cap is None else min(budget, cap), units)
    cost = holding.cost(rate, paid_for) if paid_for else 0
    left = cost
    for bucket, most in order:
        part = min(left, most, case.free(bucket))
        if part:
            case.debit(bucket, part, Ledger.USAGE)
            left -= part
    holding.priced += paid_for
    holding.paid += cost
    case.bought[holding.unit] = case.bought.get(holding.unit, 0) + paid_for
    return paid_for, cost


def _book_overrun(case: Case, unit: Unit, amount: int) -> None:
    """Use that nobody pays: the operator's loss goes through a bucket of the account, which ends as it was.

    One that was opened for this is found again, though it is empty: an account has at most one of a unit.
    """
    bucket = next((one for one in case.buckets() if one.unit is unit), None)
    if bucket is None:
        bucket = case.open(unit, amount, Ledger.OVERRUN, product=OVERRUN, expires_at=case.now, priority=ORDINARY)
    else:
        case.credit(bucket, amount, Ledger.OVERRUN)
    case.debit(bucket, amount, Ledger.CONSUMED)


def hold(case: Case, holding: Holding, category: str | None, size: int, rate: Rate | None) -> None:
    """Reserve what pays for a quota of ``size`` units, which the caller knows to be there."""
    left = size
    legs: list[Leg] = []
    for bucket in payable(case, holding.unit, category):
        part = min(left, case.free(bucket))
        if part:
            case.hold(bucket, part)
            legs.append((bucket.bucket_id, part))
            left -= part
    if left and rate is not None:
        holding.under(rate)
        case.held_by_money[holding.unit] = case.held_by_money.get(holding.unit, 0) + left
        cost = holding.cost(rate, left)
        for bucket in payable(case, Unit.MONEY, category):
            part = min(cost, case.free(bucket))
            if part:
                case.hold(bucket, part)
                legs.append((bucket.bucket_id, part))
                cost -= part
    holding.legs, holding.granted = legs, size
