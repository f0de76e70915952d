"""Requests of charging sessions, single charges, and quotas that nobody reported: pure decisions over one case."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from engine.balances.rules import draw
from engine.books.case import Case, Verdict
from engine.books.tables import Ledger
from engine.usage.keeping import end, holding_of, holdings as kept_holdings, write, write_session
from engine.usage.meters import over_cap, room
from engine.usage.paying import Holding, capacity, current_rate, hold, let_go, pay
from engine.usage.quota import bounds, quota_size, validity
from engine.usage.tables import ReservationState
from engine.usage.tariffs import UnknownRatingGroup, category_of, next_change, zero_rated
from engine.words import (
    SERVED,
    Charge,
    Code,
    FinalUnit,
    GroupAnswer,
    GroupReport,
    ResultCode,
    SessionAct,
    SessionRequest,
    Unit,
)
from settings import Category, Rate

#: What use is measured in; the first of it is meant where nothing else says so.
_MEASURED = (Unit.OCTETS, Unit.SECONDS, Unit.MESSAGES)

#: What is told within so short a time is told as it happens.
ONLINE = timedelta(minutes=1)


def served(case: Case) -> bool:
    """Whether this line may use anything more."""
    line = case.facts.line
    return not case.facts.frozen and (line is None or line.status in SERVED)


def session(case: Case, asked: SessionRequest) -> Verdict:
    """One request of a session: charge what was used, let go what was held, grant what is asked for."""
    if asked.act is SessionAct.EVENT:
        return _verdict([_event(case, asked, report) for report in asked.reports])
    holdings = kept_holdings(case, asked)
    ended = _ended(case, asked)
    if ended:
        # Use that is told late is charged; there is nothing left to be used under this name.
        reports = tuple(msgspec.structs.replace(report, requested=None) for report in asked.reports)
        asked = msgspec.structs.replace(asked, reports=reports)
    groups = [_report(case, asked, holdings, report) for report in asked.reports]
    for group, unit in sorted(case.facts.recorded):
        # Asked about only while nobody opened the session: the groups that are heard of later have to know it then.
        holdings.setdefault(group, _opened(case, asked, group, unit))
    if asked.act is SessionAct.RELEASE:
        for holding in holdings.values():
            end(case, holding, ReservationState.RELEASED)
    known = {found.rating_group: found for found in case.facts.reservations}
    for holding in holdings.values():
        write(case, holding, known.get(holding.rating_group))
    write_session(case, asked)
    verdict = _verdict(groups, ended=ended)
    if told_afterwards(case, asked) and case.now - asked.asked_at > ONLINE:
        return verdict._replace(details={**verdict.details, "used_at": asked.asked_at.isoformat()})
    return verdict


def _ended(case: Case, asked: SessionRequest) -> bool:
    """Whether an update comes after the session's end."""
    known = case.facts.session
    return asked.act is SessionAct.UPDATE and known is not None and known.closed_at is not None


def _verdict(groups: list[GroupAnswer], *, ended: bool = False) -> Verdict:
    details: dict[str, object] = {"groups": [_plain(group) for group in groups]}
    return Verdict(Code.OK, details | {"ended": True} if ended else details)


def _plain(group: GroupAnswer) -> dict[str, object]:
    said: dict[str, object] = msgspec.to_builtins(group)
    return {name: value for name, value in said.items() if value is not None}


# -- one rating group -------------------------------------------------------------------------------------------------


def _report(case: Case, asked: SessionRequest, holdings: dict[int, Holding], report: GroupReport) -> GroupAnswer:
    holding = holdings.get(report.rating_group)
    unit = _unit(report, holding)
    if unit is Unit.MONEY:
        return _answer(report, unit, ResultCode.RATING_FAILED)
    try:
        category = category_of(case.operator, report.rating_group)
    except UnknownRatingGroup:
        return _answer(report, unit, ResultCode.RATING_FAILED)
    if holding is None or holding.unit is not unit:
        if holding is not None:
            if asked.cumulative and (holding.used or holding.overrun):
                # A holding keeps one unit's total: that of the old one, told again later, would be charged again.
                return _answer(report, unit, ResultCode.RATING_FAILED)
            # The network counts this group in something else from now on: what was held in the old unit goes back.
            end(case, holding, ReservationState.RELEASED)
        holding = holdings[report.rating_group] = _opened(case, asked, report.rating_group, unit)
    code = None if category is None else category.code
    used = _newly_used(asked, report, holding)
    before, legs = holding.granted, let_go(case, holding)
    holding.reported_at = case.now
    if category is not None and category.zero_rated:
        holding.used += used
        holding.state, holding.granted = ReservationState.RELEASED, 0
        goes_on = served(case) or not _asks(asked, report)
        result = ResultCode.QUOTA_MANAGEMENT_NOT_APPLICABLE if goes_on else ResultCode.END_USER_SERVICE_DENIED
        return _answer(report, unit, result, category=code)
    paid = pay(case, holding, code, used, legs)
    holding.state = ReservationState.USED if before and used >= before else ReservationState.RELEASED
    holding.granted = 0
    answer = _answer(
        report, unit, ResultCode.SUCCESS, category=code, charged=paid.units, money=paid.money, overrun=paid.overrun
    )
    if paid.money:
        answer = msgspec.structs.replace(answer, tariff=holding.tariff)
    return _grant(case, holding, category, report, answer) if _asks(asked, report) else answer


def _asks(asked: SessionRequest, report: GroupReport) -> bool:
    """Whether a group wants to be served on."""
    return not report.final and report.requested is not None and asked.act is not SessionAct.RELEASE


def _opened(case: Case, asked: SessionRequest, group: int, unit: Unit) -> Holding:
    """A group that is heard of for the first time. What a file told of it before is charged already.

    Of totals that is the part not to be charged again; where each report is added, so much of them is owed for.
    """
    holding = Holding(asked.session_key, group, unit, case.now)
    recorded = case.facts.recorded.get((group, unit), 0)
    holding.seen = recorded if asked.cumulative else -recorded
    if told_afterwards(case, asked):
        holding.now = asked.asked_at
    return holding


def told_afterwards(case: Case, asked: SessionRequest) -> bool:
    """Whether a use is told whole when it is over: then it is rated as of its own time."""
    return asked.act is SessionAct.RELEASE and case.facts.session is None and asked.asked_at < case.now


def _unit(report: GroupReport, holding: Holding | None) -> Unit:
    """What a group is counted in: what its quota is, unless one is asked for in something else.

    A network element may measure more than it was granted: a report that asks for nothing does not say what is meant.
    """
    if holding is not None and (report.unit is None or report.requested is None):
        return holding.unit
    if report.unit is not None:
        return report.unit
    # Of a group without a quota nothing is known but what it measured: volume first.
    measured = (unit for unit in _MEASURED if report.used is not None and report.used.of(unit) > 0)
    return next(measured, Unit.OCTETS)


def _answer(report: GroupReport, unit: Unit, result: ResultCode, **more: object) -> GroupAnswer:
    return GroupAnswer(rating_group=report.rating_group, unit=unit, result=result, **more)  # type: ignore[arg-type]


def _newly_used(asked: SessionRequest, report: GroupReport, holding: Holding) -> int:
    """What this report adds to all earlier ones. Totals that came before, in whatever order, add nothing."""
    said = 0 if report.used is None else max(0, report.used.of(holding.unit))
    if not asked.cumulative:
        before = holding.seen
        holding.seen += said
        return max(0, holding.seen) - max(0, before)
    used = max(0, said - holding.seen)
    holding.seen += used
    return used


def _grant(
    case: Case, holding: Holding, category: Category | None, report: GroupReport, answer: GroupAnswer
) -> GroupAnswer:
    """The next quota of a group, or why there is none."""
    if not served(case):
        return msgspec.structs.replace(answer, result=ResultCode.END_USER_SERVICE_DENIED)
    rules, code = case.operator.quota, None if category is None else category.code
    rate = current_rate(case, holding, code)
    if rate is not None:
        holding.under(rate)
    # More than this is never granted at once, so more than twice of it need not be looked for.
    enough = 2 * bounds(rules, holding.unit)[1] + 1
    left = capacity(case, holding, code, rate, enough)
    cap = room(case, holding.unit)
    left = left if cap is None else min(left, cap)
    if left <= 0:
        return msgspec.structs.replace(answer, result=ResultCode.QUOTA_LIMIT_REACHED)
    size = quota_size(
        rules,
        holding.unit,
        left=left,
        used=holding.used,
        seconds=(case.now - holding.began_at).total_seconds(),
        wanted=report.requested or 0,
    )
    hold(case, holding, code, size, rate)
    holding.state = ReservationState.OPEN
    seconds = validity(rules, case.now, _ends(case, holding, rate, code))
    holding.expires_at = case.now + timedelta(seconds=seconds)
    last = size == left
    return msgspec.structs.replace(
        answer,
        granted=size,
        validity_seconds=seconds,
        threshold=None if last else size * rules.threshold_percent // 100,
        holding_seconds=rules.holding_seconds or None,
        final_unit=FinalUnit(rules.final_unit) if last else None,
        redirect_to=(rules.redirect_to or None) if last else None,
    )


def _ends(case: Case, holding: Holding, rate: Rate | None, category: str | None) -> list[datetime]:
    """When what pays for a quota ends: its buckets, and the tariff if money pays."""
    by_id = {bucket.bucket_id: bucket for bucket in case.facts.buckets}
    held = [by_id[bucket_id] for bucket_id, _ in holding.legs]
    ends = [bucket.expires_at for bucket in held if bucket.expires_at is not None]
    if rate is not None and any(bucket.unit is Unit.MONEY for bucket in held):
        change = next_change(case.operator, holding.unit, category, case.now)
        ends += [] if change is None else [change]
    return ends


def _event(case: Case, asked: SessionRequest, report: GroupReport) -> GroupAnswer:
    """Charge at once what was used, or what is asked for: all of it or nothing. Who says neither cannot be rated."""
    unit = _unit(report, None)
    if unit is Unit.MONEY:
        return _answer(report, unit, ResultCode.RATING_FAILED)
    try:
        category = category_of(case.operator, report.rating_group)
    except UnknownRatingGroup:
        return _answer(report, unit, ResultCode.RATING_FAILED)
    code = None if category is None else category.code
    used = 0 if report.used is None else report.used.of(unit)
    if not used and not served(case):
        return _answer(report, unit, ResultCode.END_USER_SERVICE_DENIED, category=code)
    amount = used or report.requested or 0
    if category is not None and category.zero_rated:
        return _answer(report, unit, ResultCode.SUCCESS, category=code, granted=amount)
    if not amount and (report.used is None or report.requested is not None):
        return _answer(report, unit, ResultCode.RATING_FAILED, category=code)
    holding = Holding(asked.session_key, report.rating_group, unit, case.now)
    able, cap = capacity(case, holding, code, current_rate(case, holding, code), amount), room(case, unit)
    if able < amount or (cap is not None and amount > cap):
        return _answer(report, unit, ResultCode.QUOTA_LIMIT_REACHED, category=code)
    paid = pay(case, holding, code, amount)
    cost = {"charged": paid.units, "money": paid.money, "tariff": holding.tariff if paid.money else None}
    return _answer(report, unit, ResultCode.SUCCESS, category=code, granted=amount, **cost)


# -- the other operations ---------------------------------------------------------------------------------------------


def charge(case: Case, operation: Charge) -> Verdict:
    """Deduct a single use: all of it or nothing."""
    if operation.amount <= 0:
        return Verdict(Code.AMOUNT_INVALID)
    unit, category, amount = operation.unit, operation.category, operation.amount
    if zero_rated(case.operator, category):
        return Verdict(Code.OK, {"amount": amount, "left": case.total(unit), "zero_rated": True})
    refused = over_cap(case, unit, amount)
    if refused is not None:
        return refused
    details: dict[str, object] = {"amount": amount}
    if category is not None:
        details["category"] = category
    missing = draw(case, unit, amount, category, Ledger.USAGE if unit is Unit.MONEY else Ledger.CONSUMED)
    if missing and unit is not Unit.MONEY:
        # Money may pay what the buckets of this unit do not hold.
        holding = Holding(operation.key, 0, unit, case.now)
        rate = current_rate(case, holding, category)
        missing = amount - capacity(case, holding, category, rate, amount)
        if not missing:
            paid = pay(case, holding, category, amount)
            details |= {"money": paid.money, "tariff": holding.tariff} if paid.money else {}
    if missing:
        return Verdict(Code.BALANCE_TOO_LOW, {"missing": missing})
    return Verdict(Code.OK, details | {"left": case.total(unit)})


def release_overdue(case: Case) -> Verdict:
    """Let go what sessions hold although nobody reported in time. What they used meanwhile may still be reported."""
    let = []
    for found in case.facts.reservations:
        holding = holding_of(case, found)
        end(case, holding, ReservationState.EXPIRED)
        write(case, holding)
        let.append({"unit": found.unit, "granted": found.granted, "rating_group": found.rating_group})
    return Verdict(Code.OK, {"released": let})
