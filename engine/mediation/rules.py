"""What a row of a usage file says, and what is charged for records: pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from engine.balances.rules import draw
from engine.books.case import Case, Verdict
from engine.books.tables import Ledger
from engine.usage.paying import Holding, pay
from engine.usage.tariffs import UnknownRatingGroup, category_of
from engine.words import ChargeUsage, Code, SetAsideReason, Unit, UsageItem, UsageRow
from settings import Category, Operator

#: Interfaces whose sessions are charged while they last.
ONLINE = frozenset({"nchf", "diameter", "radius"})
#: Those of them whose sessions usage records call by another name than the books (``SessionRequest.called``).
CALLED = frozenset({"nchf", "radius"})
#: How long a session that was charged online is surely remembered (``engine.usage.service.REMEMBERED``, less a day).
COMPARED_FOR = timedelta(days=6)
#: How far a clock of the network may run ahead.
CLOCK_SKEW = timedelta(hours=1)
#: No network of today wrote a record before. A year that few calendars have would stop all that is charged with it.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
#: A record covers no more: whoever counts longer writes several.
LONGEST = timedelta(days=31)
#: What a bigint holds, with room for sums.
MOST = 2**53
#: A session's name is hashed, so this only keeps nonsense out.
LONGEST_NAME = 255

#: Seconds: since 1972 every zone's clocks are off UTC by whole quarters of an hour, so no day begins within one.
_QUARTER = 900
_AMOUNTS = (("seconds", Unit.SECONDS), ("messages", Unit.MESSAGES))


class RowRefused(Exception):
    """A row is set aside: ``args[0]`` is the ``SetAsideReason``, ``args[1]`` names the field and what is wrong."""


def usage_row(fields: Mapping[str, Any], operator: Operator, now: datetime) -> UsageRow:
    """A row as it was written, normalised. Raises ``RowRefused``.

    Fields: ``msisdn`` or ``imsi``; ``session``; ``rating_group`` or ``category``; ``uplink`` and ``downlink`` (octets)
    or ``seconds`` or ``messages``; ``start`` and ``end`` (ISO 8601 with a zone).
    """
    session = _text(fields, "session")
    started_at, ended_at = _moment(fields, "start"), _moment(fields, "end")
    if ended_at < started_at:
        raise RowRefused(SetAsideReason.MALFORMED, "end: lies before start")
    if ended_at - started_at > LONGEST:
        raise RowRefused(SetAsideReason.MALFORMED, f"end: more than {LONGEST.days} days after start")
    if started_at < EARLIEST:
        raise RowRefused(SetAsideReason.MALFORMED, f"start: lies before {EARLIEST.year}")
    for name, moment in (("start", started_at), ("end", ended_at)):
        if moment > now + CLOCK_SKEW:
            raise RowRefused(SetAsideReason.FUTURE, f"{name}: lies in the future")
    group = _rating_group(fields, operator)
    for name, unit in _AMOUNTS:
        if fields.get(name) not in (None, ""):
            amount = _number(fields, name)
            return UsageRow(_subject(fields), session, group, unit, 0, 0, amount, started_at, ended_at)
    up, down = _number(fields, "uplink"), _number(fields, "downlink")
    return UsageRow(_subject(fields), session, group, Unit.OCTETS, up, down, up + down, started_at, ended_at)


def _subject(fields: Mapping[str, Any]) -> str:
    for kind in ("msisdn", "imsi"):
        said = fields.get(kind)
        if said not in (None, ""):
            return f"{kind}-{said}"
    raise RowRefused(SetAsideReason.MALFORMED, "msisdn: missing, and imsi too")


def _text(fields: Mapping[str, Any], name: str) -> str:
    said = fields.get(name)
    if said is None or said == "":
        raise RowRefused(SetAsideReason.MALFORMED, f"{name}: missing")
    text = str(said)
    if len(text) > LONGEST_NAME:
        raise RowRefused(SetAsideReason.MALFORMED, f"{name}: longer than {LONGEST_NAME} characters")
    return text


def _moment(fields: Mapping[str, Any], name: str) -> datetime:
    text = _text(fields, name)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RowRefused(SetAsideReason.MALFORMED, f"{name}: no time in ISO 8601") from None
    if moment.tzinfo is None:
        raise RowRefused(SetAsideReason.MALFORMED, f"{name}: says no time zone")
    return moment


def _number(fields: Mapping[str, Any], name: str) -> int:
    said = fields.get(name)
    if said is None or said == "":
        raise RowRefused(SetAsideReason.MALFORMED, f"{name}: missing")
    try:
        # "1_000", " 7" and 1.5 are numbers to int(): not here.
        number = said if type(said) is int else int(said) if type(said) is str and said.isdecimal() else -1
    except ValueError:
        number = -1
    if not 0 <= number <= MOST:
        raise RowRefused(SetAsideReason.MALFORMED, f"{name}: no whole number from 0 to {MOST}")
    return number


def _rating_group(fields: Mapping[str, Any], operator: Operator) -> int:
    if fields.get("rating_group") in (None, ""):
        named = fields.get("category")
        if named in (None, ""):
            raise RowRefused(SetAsideReason.MALFORMED, "rating_group: missing, and category too")
        for one in operator.categories:
            if one.code == named and one.rating_groups:
                return one.rating_groups[0]
        raise RowRefused(SetAsideReason.UNKNOWN_RATING_GROUP, "category: the operator has none of this name")
    group = _number(fields, "rating_group")
    try:
        category_of(operator, group)
    except UnknownRatingGroup:
        raise RowRefused(SetAsideReason.UNKNOWN_RATING_GROUP, "rating_group: belongs to no category") from None
    if group >= 2**32:
        raise RowRefused(SetAsideReason.MALFORMED, "rating_group: more than 32 bits")
    return group


def too_late(row: UsageRow, interface: str, now: datetime) -> bool:
    """Whether nobody may remember any more that the session was charged online."""
    return interface in ONLINE and row.ended_at < now - COMPARED_FOR


@dataclass(slots=True)
class _Total:
    """What one local day's use of one rating group came to."""

    charged: int = 0
    money: int = 0
    overrun: int = 0
    tariff: str | None = None


_Totals = dict[tuple[str, int, Unit], _Total]


def charge_usage(case: Case, operation: ChargeUsage) -> Verdict:
    """Charge usage records: from buckets in one go where these hold enough, else record by record as they came."""
    by_group: dict[tuple[int, Unit], list[UsageItem]] = {}
    for item in operation.items:
        by_group.setdefault((item.rating_group, item.unit), []).append(item)
    totals: _Totals = {}
    groups = []
    for (rating_group, unit), items in by_group.items():
        category = _category(case.operator, rating_group)
        _charge_group(case, category, items, totals)
        code = None if category is None else category.code
        days = [(day, one) for (day, group, of), one in totals.items() if (group, of) == (rating_group, unit)]
        groups += [_plain(day, rating_group, unit, code, one) for day, one in days]
    return Verdict(Code.OK, {"groups": groups})


def _category(operator: Operator, rating_group: int) -> Category | None:
    try:
        return category_of(operator, rating_group)
    except UnknownRatingGroup:
        # The file was read when the operator still had it: it is used up, and anything may pay.
        return None


def _charge_group(case: Case, category: Category | None, items: list[UsageItem], totals: _Totals) -> None:
    zone = case.operator.timezone
    unit, code = items[0].unit, None if category is None else category.code

    def total(day: str) -> _Total:
        """What this day's usage of this rating group adds up to so far."""
        return totals.setdefault((day, items[0].rating_group, unit), _Total())

    if category is not None and category.zero_rated:
        for item in items:
            total(_local_day(item.started_at, zone))
        return
    by_day: dict[str, int] = {}
    for item in items:
        day = _local_day(item.started_at, zone)
        by_day[day] = by_day.get(day, 0) + item.amount
    if draw(case, unit, sum(by_day.values()), code, Ledger.CONSUMED) == 0:
        for day, amount in by_day.items():
            total(day).charged += amount
        return
    # Money will pay: by the tariff of each record's own time, rounded over each session's sum.
    holdings: dict[UUID, Holding] = {}
    for item in sorted(items, key=lambda one: one.started_at):
        holding = holdings.get(item.session_key)
        if holding is None:
            holding = holdings[item.session_key] = Holding(item.session_key, item.rating_group, unit, item.started_at)
        holding.now = item.started_at
        paid = pay(case, holding, code, item.amount)
        one = total(_local_day(item.started_at, zone))
        one.charged += paid.units
        one.money += paid.money
        one.overrun += paid.overrun
        one.tariff = holding.tariff if paid.money else one.tariff


def _local_day(moment: datetime, zone: str) -> str:
    return _day_of_quarter(int(moment.timestamp()) // _QUARTER, zone)


@lru_cache(maxsize=4096)
def _day_of_quarter(quarter: int, zone: str) -> str:
    return datetime.fromtimestamp(quarter * _QUARTER, ZoneInfo(zone)).date().isoformat()


def _plain(day: str, rating_group: int, unit: Unit, category: str | None, total: _Total) -> dict[str, Any]:
    said = {"day": day, "rating_group": rating_group, "unit": unit.value, "category": category}
    said |= {"charged": total.charged, "money": total.money, "overrun": total.overrun, "tariff": total.tariff}
    return {name: value for name, value in said.items() if value is not None}
