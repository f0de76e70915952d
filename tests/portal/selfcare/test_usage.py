"""Use by day, drawn and as a table."""

from __future__ import annotations

from datetime import date

import pytest

from engine.words import Charge, Unit, UsageDay
from portal.selfcare.usage import ABOVE, HEIGHT, WIDTH, chart
from tests.portal.selfcare.conftest import Caller, Running, spend

DAY = date(2026, 3, 10)


def used(day: date, category: str | None, octets: int) -> UsageDay:
    return UsageDay(day=day, category=category, unit=Unit.OCTETS, used=octets, money=0, overrun=0)


def test_bars_stand_on_each_other_and_none_is_higher_than_the_drawing() -> None:
    rows = [used(DAY, "video", 300), used(DAY, None, 100), used(date(2026, 3, 9), "video", 200)]
    drawn = chart(rows, Unit.OCTETS, date(2026, 3, 1), 10)
    assert (drawn.categories, drawn.totals, drawn.most, drawn.total) == (("video", ""), (500, 100), 400, 600)
    last = drawn.days[-1]
    assert last.total == 400 and sum(part.height for part in last.parts) == HEIGHT
    assert min(part.y for part in last.parts) == ABOVE
    assert all(one.x >= 0 and one.x + one.width <= WIDTH for one in drawn.days)
    assert drawn.days[0].parts == ()


def test_where_people_read_from_the_right_the_first_day_stands_there() -> None:
    plain, mirrored = (chart([used(DAY, None, 1)], Unit.OCTETS, DAY, 3, mirrored=one) for one in (False, True))
    assert [one.x for one in plain.days] == [one.x for one in reversed(mirrored.days)]


def test_what_was_used_before_or_of_another_unit_is_not_drawn() -> None:
    rows = [used(date(2026, 2, 1), None, 5)]
    assert chart(rows, Unit.OCTETS, DAY, 3).total == 0
    assert chart([used(DAY, None, 5)], Unit.SECONDS, DAY, 3).total == 0


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_says_what_was_used_in_a_picture_and_in_a_table(server: Running, caller: Caller) -> None:
    assert "Nothing was used in this time." in (await caller.get("/usage"))[1]
    await spend(server, Charge, unit=Unit.OCTETS, amount=5_000_000)
    _, page = await caller.get("/usage?days=30")
    assert "Data: 5 MB" in page and page.count("<rect") == 1 and "<table>" in page
    assert (await caller.get("/usage?days=9999&unit=x"))[0] == 200
