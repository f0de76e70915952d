"""Use by day and category: bars that are drawn here, and the same as a table for who cannot see them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import NamedTuple

from aiohttp import web

from dialogs.values import Text, text
from engine.words import Meter, Unit, UsageDay
from portal.base.words import RIGHT_TO_LEFT
from portal.selfcare.person import Desk, Person

#: what is drawn, and what a person calls it
UNITS: dict[Unit, Text] = {Unit.OCTETS: text("Data"), Unit.SECONDS: text("Calls"), Unit.MESSAGES: text("Texts")}
#: days that can be looked back at, the usual number first
SPANS = (14, 30)
#: categories that have a colour of their own; the rest share the last
SHADES = 6
#: the drawing in its own units: its width, the height of a full bar, and what is written above and below it
WIDTH, HEIGHT, ABOVE, BELOW = 640, 220, 28, 30
#: share of a day's room that its bar takes
BAR = 0.7
#: days are written below the bars at most so often
LABELS = 5


class Part(NamedTuple):
    """One category of one day, as a piece of its bar."""

    shade: int
    y: float
    height: float


class Day(NamedTuple):
    """One day: what was used in all, and its bar."""

    day: date
    total: int
    #: category's place → used
    used: dict[int, int]
    x: float
    width: float
    parts: tuple[Part, ...]
    #: whether the day is written below it
    labelled: bool


class Chart(NamedTuple):
    """The use of one unit over some days."""

    #: codes of categories, the most used first; "" for use of none
    categories: tuple[str, ...]
    totals: tuple[int, ...]
    days: tuple[Day, ...]
    most: int

    @property
    def total(self) -> int:
        """All that was used."""
        return sum(self.totals)


def chart(rows: Sequence[UsageDay], unit: Unit, first: date, days: int, *, mirrored: bool = False) -> Chart:
    """The chart of ``days`` days from ``first`` on; ``mirrored``: the first day stands on the right."""
    last = first + timedelta(days=days - 1)
    fitting = [one for one in rows if one.unit is unit and first <= one.day <= last]
    sums: dict[str, int] = {}
    for one in fitting:
        sums[one.category or ""] = sums.get(one.category or "", 0) + one.used + one.overrun
    categories = tuple(sorted(sums, key=lambda name: (-sums[name], name)))
    used: dict[date, dict[int, int]] = {}
    for one in fitting:
        place = categories.index(one.category or "")
        day = used.setdefault(one.day, {})
        day[place] = day.get(place, 0) + one.used + one.overrun
    most = max((sum(day.values()) for day in used.values()), default=0)
    room = WIDTH / days
    drawn = []
    for number in range(days):
        at = first + timedelta(days=number)
        place = days - 1 - number if mirrored else number
        parts = _parts(used.get(at, {}), most)
        left = place * room + room * (1 - BAR) / 2
        labelled = (days - 1 - number) % -(-days // LABELS) == 0
        day_used = used.get(at, {})
        drawn.append(Day(at, sum(day_used.values()), day_used, round(left, 1), round(room * BAR, 1), parts, labelled))
    return Chart(categories, tuple(sums[name] for name in categories), tuple(drawn), most)


def _parts(used: dict[int, int], most: int) -> tuple[Part, ...]:
    parts, floor = [], float(ABOVE + HEIGHT)
    for place, amount in sorted(used.items()):
        # What was used is seen, however little it was.
        height = max(1.0, HEIGHT * amount / most)
        floor -= height
        parts.append(Part(min(place, SHADES - 1), round(floor, 1), round(height, 1)))
    return tuple(parts)


class UsagePages:
    """The page of what was used."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What it answers to."""
        return [web.get("/usage", self._desk.signed_in(self._show))]

    async def _show(self, request: web.Request, person: Person) -> web.Response:
        days = next((one for one in SPANS if str(one) == request.query.get("days")), SPANS[0])
        usage, line = self._desk.engine.usage, person.subscriber
        rows, rules = await asyncio.gather(usage.usage_history(line, days=days), usage.spending_rules(line))
        used = {one.unit for one in rows}
        units = [unit for unit in UNITS if unit in used] or [Unit.OCTETS]
        unit = next((one for one in units if one == request.query.get("unit")), units[0])
        first = datetime.now(UTC).astimezone(self._desk.zone).date() - timedelta(days=days - 1)
        mirrored = person.language in RIGHT_TO_LEFT
        return self._desk.page(
            request,
            person,
            "usage.html",
            here="/usage",
            chart=chart(rows, unit, first, days, mirrored=mirrored),
            unit=unit,
            units={one: UNITS[one] for one in units},
            days=days,
            spans=SPANS,
            meters=[one for one in rules.meters if _limited(one)],
            category=partial(self._category, person),
            size=(WIDTH, HEIGHT, ABOVE, BELOW),
            shades=SHADES,
        )

    def _category(self, person: Person, code: str) -> str:
        """A category as a person reads it; the operator's file names it by its code alone."""
        return code[:1].upper() + code[1:] if code else self._desk.say(person, text("Other"))


def _limited(meter: Meter) -> bool:
    return meter.day_cap is not None or meter.month_cap is not None
