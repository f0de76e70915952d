"""Usage files through the whole engine: charged once, whatever comes twice, late, or is broken off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

import pytest

from engine.api import Engine
from engine.mediation import charging as charging_module, service
from engine.words import EngineUnavailable, OutOfBundle, Unit
from tests.engine.mediation.files import MB, THEN, left, record, usage_file, with_octets
from tests.engine.shop import asking, open_line


class Killed(BaseException):
    """The process is gone."""


async def test_what_a_file_tells_is_charged(charging: Engine) -> None:
    one, other = await with_octets(charging, 10 * MB), await with_octets(charging, 10 * MB)
    rows = [record(one, "a"), record(one, "a", 2 * MB, minute=5), record(other, "b", 4 * MB)]
    file = await charging.mediation.import_usage(usage_file(rows))
    assert (file.lines, file.records, file.duplicates, file.set_aside) == (3, 3, 0, 0)
    assert file.finished_at is not None
    assert (await left(charging, one), await left(charging, other)) == (7 * MB, 6 * MB)


async def test_the_same_file_twice_is_charged_once(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    first = await charging.mediation.import_usage(usage_file([record(line, "a")]))
    assert await charging.mediation.import_usage(usage_file([record(line, "a")])) == first
    assert await left(charging, line) == 9 * MB


async def test_the_same_record_twice_is_charged_once(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    rows = [record(line, "a"), record(line, "a")]
    within = await charging.mediation.import_usage(usage_file(rows, name="a.csv"))
    across = await charging.mediation.import_usage(usage_file(rows[:1], name="b.csv"))
    assert (within.records, within.duplicates, across.records, across.duplicates) == (1, 1, 0, 1)
    assert await left(charging, line) == 9 * MB


async def test_records_in_any_order_and_late_ones_are_charged(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    await charging.mediation.import_usage(usage_file([record(line, "a", minute=10), record(line, "a", minute=0)]))
    late = await charging.mediation.import_usage(usage_file([record(line, "a", minute=5)], name="late.csv"))
    assert late.records == 1
    assert await left(charging, line) == 7 * MB


async def test_money_pays_by_the_tariff_of_the_time_of_use_and_the_rest_is_overrun(charging: Engine) -> None:
    line = await open_line(charging, money=1_000)
    assert (await charging.post(asking(OutOfBundle, line, allowed=True))).ok
    night = (THEN - timedelta(days=1)).replace(hour=20, minute=0)  # 23:00 in Nairobi
    day = night.replace(hour=9)
    rows = [
        record(line, name, 10 * MB, start=at.isoformat(), end=at.isoformat()) for name, at in (("n", night), ("d", day))
    ]
    await charging.mediation.import_usage(usage_file(rows))
    per_mb = 2 if (day + timedelta(hours=3)).weekday() == 6 else 4
    assert await left(charging, line, Unit.MONEY) == 1_000 - 10 * 1 - 10 * per_mb
    poor = await open_line(charging)
    await charging.mediation.import_usage(usage_file([record(poor, "p")], name="b.csv"))
    days = await charging.usage.usage_history(poor)
    assert [(one.used, one.overrun) for one in days] == [(0, MB)]


async def test_what_is_zero_rated_costs_nothing(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    await charging.mediation.import_usage(usage_file([record(line, "a", rating_group=99)]))
    assert await left(charging, line) == 10 * MB


async def test_a_killed_import_goes_on_where_it_was(charging: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BLOCK", 3)
    monkeypatch.setattr(service, "BATCH", 6)
    lines = [await with_octets(charging, 20 * MB) for _ in range(4)]
    rows = [record(line, "a", minute=5 * nth) for nth in range(5) for line in lines]
    whole = usage_file(rows)
    for stop in (4, 10, 17):

        def dying(skip: int, stop: int = stop) -> Iterator[dict[str, object]]:
            for nth, row in enumerate(islice(rows, skip, None), skip):
                if nth == stop:
                    raise Killed
                yield row

        with pytest.raises(Killed):
            await charging.mediation.import_usage(whole._replace(read=dying))
    file = await charging.mediation.import_usage(whole)
    assert (file.lines, file.records, file.duplicates) == (20, 20, 0)
    assert [await left(charging, line) for line in lines] == [15 * MB] * 4


async def test_charging_that_was_interrupted_charges_nothing_twice(
    charging: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [await with_octets(charging, 5 * MB) for _ in range(6)]
    opened = usage_file([record(line, "a") for line in lines])
    post, posted = charging.mediation._door.post, 0

    async def failing(operation: object) -> object:
        nonlocal posted
        posted += 1
        if posted > 3:
            raise EngineUnavailable("gone")
        return await post(operation)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(charging.mediation._door, "post", failing)
        with pytest.raises(EngineUnavailable):
            await charging.mediation.import_usage(opened)
    file = await charging.mediation.import_usage(opened)
    assert file.finished_at is not None
    assert [await left(charging, line) for line in lines] == [4 * MB] * 6


async def test_windows_and_pages_lose_no_record(charging: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charging_module, "WINDOW", 3)
    monkeypatch.setattr(charging_module, "PAGE", 4)
    monkeypatch.setattr(charging_module, "MOST_ITEMS", 2)
    lines = [await with_octets(charging, 20 * MB) for _ in range(5)]
    await charging.mediation.import_usage(
        usage_file([record(line, "a", minute=5 * nth) for line in lines for nth in range(7)])
    )
    assert [await left(charging, line) for line in lines] == [13 * MB] * 5


async def test_what_stands_before_the_place_where_a_file_breaks_off_is_charged_once(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    rows = [record(line, "a", minute=5 * nth) for nth in range(3)]

    def breaking_off(skip: int) -> Iterator[dict[str, object]]:
        yield from rows[skip:2]
        raise EOFError("the stream ends too early")

    broken = usage_file(rows, name="half.csv")._replace(read=breaking_off)
    for _ in range(2):
        with pytest.raises(EOFError, match="too early"):
            await charging.mediation.import_usage(broken)
        assert await left(charging, line) == 8 * MB
    whole = await charging.mediation.import_usage(usage_file(rows, name="whole.csv"))
    assert (whole.records, whole.duplicates) == (1, 2)
    assert await left(charging, line) == 7 * MB


async def test_whoever_watches_an_import_hears_how_much_is_read_and_of_that_charged(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    rows = [record(line, "a"), record(line, "a"), "broken", record("+254799999999", "b"), record(line, "c", 0)]
    told = Counter[str]()

    def watch(what: str, more: int) -> None:
        told[what] += more

    await charging.mediation.import_usage(usage_file(rows), watch)
    assert told == {"read": 5, "due": 1, "charged": 1}
