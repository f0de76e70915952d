"""What a line uses in a day and a month, its own limits, and what is usual for it. Pure decisions over one case.

Days and months are the operator's local ones. Money counts whatever a line spends: use, products, gifts and fees.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.books.case import Case, Verdict
from engine.books.tables import Ledger
from engine.usage.facts import BoundFacts, MeterFacts
from engine.usage.questions import METERED
from engine.words import Code, Period, SetCap, Unit

#: Where a line's own use and spending goes.
SPENT = frozenset({Ledger.USAGE, Ledger.CONSUMED, Ledger.SALES, Ledger.CLEARING, Ledger.FEES})

#: The usual day is a moving mean over about so many.
MEAN_DAYS = 7


@lru_cache(maxsize=64)
def _beginnings(now: datetime, zone: str) -> tuple[datetime, datetime]:
    """Of the local day and of the local month. All operations of a batch have the same ``now``."""
    return day_of(now, zone), month_of(now, zone)


@lru_cache(maxsize=1024)
def _beginning(ordinal: int, zone: str) -> datetime:
    return datetime.combine(datetime.fromordinal(ordinal).date(), datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)


def day_of(now: datetime, zone: str) -> datetime:
    """When the local day began, in UTC."""
    return _beginning(now.astimezone(ZoneInfo(zone)).toordinal(), zone)


def month_of(now: datetime, zone: str) -> datetime:
    """When the local month began, in UTC."""
    return _beginning(now.astimezone(ZoneInfo(zone)).replace(day=1).toordinal(), zone)


def month_end(begins: datetime, zone: str) -> datetime:
    """When the local month ends that began then, in UTC."""
    local = begins.astimezone(ZoneInfo(zone))
    # Any day of the next one.
    return month_of(local + timedelta(days=32), zone)


def meter_now(known: MeterFacts | None, unit: Unit, now: datetime, zone: str) -> MeterFacts:
    """A meter as it stands on the day of ``now``: a new day and a new month begin with nothing."""
    day, month = _beginnings(now, zone)
    if known is None:
        return MeterFacts(unit, day, 0, None, month, 0, None, None)
    if known.day_from < day:
        known = known._replace(day_from=day, today=0, usual=_usual(known, day, zone))
    if known.month_from < month:
        known = known._replace(month_from=month, this_month=0)
    return known


def _usual(meter: MeterFacts, day: datetime, zone: str) -> int:
    """The mean with the day that is over, and with the days without use that followed it."""
    usual = meter.today if meter.usual is None else (meter.usual * (MEAN_DAYS - 1) + meter.today) // MEAN_DAYS
    local = ZoneInfo(zone)
    idle = (day.astimezone(local).date() - meter.day_from.astimezone(local).date()).days - 1
    # After some months nothing is left of it.
    for _ in range(min(idle, 100)):
        usual = usual * (MEAN_DAYS - 1) // MEAN_DAYS
    return usual


def spent(case: Case, unit: Unit) -> int:
    """What this case has taken for the line so far, what money has paid for included."""
    return case.bought.get(unit, 0) + sum(
        moved.amount
        for moved in case.transfers
        if moved.unit is unit and moved.debit is Ledger.BALANCE and moved.credit in SPENT
    )


def room(case: Case, unit: Unit) -> int | None:
    """How much more the line's own limits allow; None if it has none.

    What is granted to sessions is as good as used: without it, many sessions at once would use a limit many times.
    """
    known = case.facts.meters.get(unit)
    if known is None or (known.day_cap is None and known.month_cap is None):
        return None
    meter = meter_now(known, unit, case.now, case.operator.timezone)
    rooms = [cap - used for cap, used in _caps(meter) if cap is not None]
    return max(0, min(rooms) - spent(case, unit) - meter.held - _newly_held(case, unit))


def _newly_held(case: Case, unit: Unit) -> int:
    """What this case has reserved for the line's sessions so far, less what it let go."""
    if not case.reserved:
        return 0
    return case.held_by_money.get(unit, 0) + sum(
        case.held(bucket) - bucket.reserved for bucket in case.buckets() if bucket.unit is unit
    )


def _caps(meter: MeterFacts) -> tuple[tuple[int | None, int], tuple[int | None, int]]:
    return (meter.day_cap, meter.today), (meter.month_cap, meter.this_month)


def over_cap(case: Case, unit: Unit, amount: int) -> Verdict | None:
    """A refusal if ``amount`` more would go beyond the line's own limits."""
    left = room(case, unit)
    return None if left is None or amount <= left else Verdict(Code.CAP_REACHED, {"unit": unit, "left": left})


def count(case: Case) -> None:
    """Add what this operation used to the line's meters, and tell of limits reached and of unusual use.

    What an undone gift or a refund gives back leaves the day and the month in which it was spent, if they still go on.
    """
    if case.facts.line is None or not isinstance(case.operation, METERED):
        return
    used: dict[Unit, int] = {}
    for moved in case.transfers:
        if moved.debit is Ledger.BALANCE and moved.credit in SPENT:
            used[moved.unit] = used.get(moved.unit, 0) + moved.amount
        elif moved.credit is Ledger.BALANCE and moved.debit in SPENT:
            used[moved.unit] = used.get(moved.unit, 0) - moved.amount
    for unit, amount in case.bought.items():
        used[unit] = used.get(unit, 0) + amount
    original = case.facts.original
    spent_at = case.now if original is None else original.booked_at
    for unit, amount in used.items():
        known = case.facts.meters.get(unit)
        before = meter_now(known, unit, case.now, case.operator.timezone)
        today = max(0, before.today + amount) if spent_at >= before.day_from else before.today
        month = max(0, before.this_month + amount) if spent_at >= before.month_from else before.this_month
        case.metered[unit] = today, month
        if before is known:
            # The day goes on: nothing else of the row changes.
            case.write("metered", case.facts.line.line_id, unit, today, month)
        else:
            case.write("meters", case.facts.line.line_id, *before._replace(today=today, this_month=month).row())
        _tell(case, before, today, month)


def _tell(case: Case, before: MeterFacts, today: int, month: int) -> None:
    unit = before.unit
    for cap, was, is_now in (
        (before.day_cap, before.today, today),
        (before.month_cap, before.this_month, month),
    ):
        if cap is not None and was < cap <= is_now:
            case.messages.append(("alert.cap_reached", {"unit": unit, "cap": cap}))
    usual, times = before.usual, case.operator.policy.unusual_times
    if usual and times and before.today < usual * times <= today:
        case.messages.append(("alert.unusual_use", {"unit": unit, "used": today, "usual": usual}))


def set_cap(case: Case, operation: SetCap) -> Verdict:
    """Limit what a line uses in a day or a month, or lift the limit.

    What the owner of the account sets for another line binds that one, whichever way it asks for more.
    """
    if case.facts.line is None:
        return Verdict(Code.ACCOUNT_UNKNOWN)
    if operation.amount is not None and operation.amount < 0:
        return Verdict(Code.AMOUNT_INVALID)
    line_id, owner = case.facts.line.line_id, case.facts.owner
    asker = operation.by or line_id
    if asker not in {line_id, owner}:
        return Verdict(Code.CAP_OF_OWNER)
    daily = operation.period is Period.DAY
    bounds = case.facts.bounds.get(operation.unit, BoundFacts())
    if asker == owner:
        bound = None if line_id == owner else operation.amount
        bounds = bounds._replace(day=bound) if daily else bounds._replace(month=bound)
    else:
        bound = bounds.day if daily else bounds.month
        if bound is not None and (operation.amount is None or operation.amount > bound):
            return Verdict(Code.CAP_OF_OWNER, {"unit": operation.unit, "cap": bound})
    meter = meter_now(case.facts.meters.get(operation.unit), operation.unit, case.now, case.operator.timezone)
    meter = meter._replace(day_cap=operation.amount) if daily else meter._replace(month_cap=operation.amount)
    case.write("capped", line_id, *meter.row(), *bounds)
    return Verdict(Code.OK, {"unit": operation.unit, "period": operation.period, "cap": operation.amount})
