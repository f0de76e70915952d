"""What use costs: traffic categories and the operator's rates. Pure; all arithmetic is in integers."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.words import Unit
from settings import Category, Operator, Rate

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

#: A tariff changes at most a week after it began to hold, or never.
_AHEAD = timedelta(days=8)


class UnknownRatingGroup(Exception):
    """The operator's file has categories, and none of them has this rating group."""


def category_of(operator: Operator, rating_group: int) -> Category | None:
    """The category of a rating group; None where the operator tells none apart. Raises ``UnknownRatingGroup``."""
    for category in operator.categories:
        if rating_group in category.rating_groups:
            return category
    if operator.categories:
        raise UnknownRatingGroup(rating_group)
    return None


def zero_rated(operator: Operator, category: str | None) -> bool:
    """Whether a category costs nothing."""
    return category is not None and any(one.code == category and one.zero_rated for one in operator.categories)


def rate_for(operator: Operator, unit: Unit, category: str | None, now: datetime) -> Rate | None:
    """The first rate of the operator's file that fits, at local time; None where money cannot pay."""
    local = now.astimezone(ZoneInfo(operator.timezone))
    return next((rate for rate in operator.rates if _fits(rate, unit, category) and _holds(rate, local)), None)


def _fits(rate: Rate, unit: Unit, category: str | None) -> bool:
    return rate.unit == unit and rate.category in (None, category)


def _holds(rate: Rate, local: datetime) -> bool:
    if rate.time_from is None or rate.time_to is None:
        return not rate.days or _DAYS[local.weekday()] in rate.days
    at, start, end = local.time(), rate.time_from, rate.time_to
    if start < end:
        return start <= at < end and (not rate.days or _DAYS[local.weekday()] in rate.days)
    # Over midnight: the hours before it belong to this day, those after it to the day before.
    day = local.weekday() if at >= start else (local.weekday() - 1) % 7
    return (at >= start or at < end) and (not rate.days or _DAYS[day] in rate.days)


def price_of(rate: Rate, units: int) -> int:
    """Minor units for ``units``: begun steps count whole, and so does the last fraction of a minor unit."""
    steps = -(-units // rate.step)
    return -(-steps * rate.step * rate.price // rate.per)


def affordable(rate: Rate, money: int) -> int | None:
    """How many units ``money`` pays for; None if they cost nothing."""
    if rate.price == 0:
        return None
    return money * rate.per // (rate.step * rate.price) * rate.step


def next_change(operator: Operator, unit: Unit, category: str | None, now: datetime) -> datetime | None:
    """When another rate will hold than now, in UTC; None if that is never."""
    now_holds = rate_for(operator, unit, category, now)
    for moment in _boundaries(operator, now):
        if rate_for(operator, unit, category, moment) is not now_holds:
            return moment
    return None


def _boundaries(operator: Operator, now: datetime) -> list[datetime]:
    times = {at for rate in operator.rates for at in (rate.time_from, rate.time_to) if at is not None}
    if any(rate.days for rate in operator.rates):
        times.add(time())
    return [] if not times else _moments(frozenset(times), operator.timezone, now)


def _moments(times: frozenset[time], zone: str, now: datetime) -> list[datetime]:
    today = now.astimezone(ZoneInfo(zone)).date()
    days = [today + timedelta(days=ahead) for ahead in range(_AHEAD.days + 1)]
    moments = (_at(day.toordinal(), at, zone) for day in days for at in times)
    return sorted(moment for moment in moments if moment > now)


@lru_cache(maxsize=4096)
def _at(day: int, at: time, zone: str) -> datetime:
    local = datetime.combine(datetime.fromordinal(day).date(), at, ZoneInfo(zone))
    return local.astimezone(UTC)
