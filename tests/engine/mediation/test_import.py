"""Usage files through the whole engine: charged once, whatever comes twice, late, broken or from two sides."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

import pytest

from engine.api import Engine
from engine.mediation import charging as charging_module, service
from engine.words import (
    EngineUnavailable,
    GroupReport,
    OutOfBundle,
    SessionAct,
    SessionRequest,
    SetAsideReason,
    Subscriber,
    Unit,
    Used,
    session_key,
)
from tests.engine.mediation.files import THEN, record, usage_file
from tests.engine.shop import asking, credit, open_line

MB = 1_000_000


async def left(engine: Engine, line: Subscriber, unit: Unit = Unit.OCTETS) -> int:
    return (await engine.subscriber(line.msisdn)).total(unit)


async def with_octets(engine: Engine, octets: int) -> Subscriber:
    line = await open_line(engine)
    await credit(engine, line, octets, Unit.OCTETS)
    return line


async def online(engine: Engine, line: Subscriber, name: str, octets: int, sequence: int = 1) -> None:
    """A session of Nchf that used ``octets`` so far."""
    answer = await engine.post(
        asking(
            SessionRequest, line, key=session_key("nchf", name, sequence), act=SessionAct.UPDATE, interface="nchf",
            session_id=name, sequence=sequence,
            reports=(GroupReport(rating_group=10, used=Used(octets_down=octets)),),
        )
    )  # fmt: skip
    assert answer.ok


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


async def test_a_time_that_is_told_twice_is_set_aside(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    first = usage_file([record(line, "a"), record(line, "a", minute=3)])
    file = await charging.mediation.import_usage(first)
    again = usage_file([record(line, "a", minute=2), record(line, "a", 7 * MB)], name="b.csv")
    await charging.mediation.import_usage(again)
    waiting = {(one.line, one.reason) for one in await charging.mediation.waiting()}
    assert waiting == {(2, SetAsideReason.OVERLAP), (1, SetAsideReason.OVERLAP)} | {(2, SetAsideReason.CONFLICT)}
    assert file.set_aside == 1
    assert await left(charging, line) == 9 * MB


async def test_what_is_broken_is_set_aside_with_line_and_reason_and_hinders_nobody(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    soon = (THEN + timedelta(days=2)).isoformat()
    rows = [
        record(line, "a"),
        "3 columns, where the header has 7",
        record(line, "b", rating_group=77),
        record(line, "c", end=THEN.replace(tzinfo=None).isoformat()),
        record(line, "d", downlink="-5"),
        record(line, "e", start=soon, end=soon),
        record("+254799999999", "f"),
    ]
    file = await charging.mediation.import_usage(usage_file(rows))
    told = [(one.line, one.reason, one.detail.partition(":")[0]) for one in await charging.mediation.waiting()]
    assert told == [
        (2, SetAsideReason.MALFORMED, "3 columns, where the header has 7"),
        (3, SetAsideReason.UNKNOWN_RATING_GROUP, "rating_group"),
        (4, SetAsideReason.MALFORMED, "end"),
        (5, SetAsideReason.MALFORMED, "downlink"),
        (6, SetAsideReason.FUTURE, "start"),
        (7, SetAsideReason.UNKNOWN_LINE, "msisdn or imsi"),
    ]
    assert (file.lines, file.records, file.set_aside) == (7, 1, 6)
    assert await left(charging, line) == 9 * MB


async def test_what_was_set_aside_is_charged_once_its_line_exists(charging: Engine) -> None:
    rows = [record("+254711222333", "a"), record("+254711222334", "b")]
    file = await charging.mediation.import_usage(usage_file(rows))
    assert (file.records, file.set_aside) == (0, 2)
    line = await charging.create_line("+254711222333")
    await credit(charging, line, 3 * MB, Unit.OCTETS)
    again = await charging.mediation.retry(file.file_id)
    assert (again.records, again.set_aside, again.lines) == (1, 1, 2)
    assert [one.line for one in await charging.mediation.waiting(file.file_id)] == [2]
    await charging.mediation.retry(file.file_id)
    assert await left(charging, line) == 2 * MB


async def test_a_session_that_was_charged_online_is_compared_and_not_charged_again(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    await online(charging, line, "s1", 2 * MB)
    await online(charging, line, "s2", 2 * MB)
    rows = [record(line, "s1", 2 * MB), record(line, "s2", 3 * MB), record(line, "s3", MB)]
    await charging.mediation.import_usage(usage_file(rows, interface="nchf"))
    assert await left(charging, line) == 5 * MB
    (one,) = await charging.mediation.differences()
    assert (one.stated, one.charged, one.source) == (3 * MB, 2 * MB, "ggsn")
    # What is reported online after the file was read may settle it.
    await online(charging, line, "s2", MB, sequence=2)
    assert await charging.mediation.differences() == []


async def test_a_session_that_two_collection_points_tell_of_is_charged_once(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    await charging.mediation.import_usage(usage_file([record(line, "a", 2 * MB), record(line, "b")], source="ggsn"))
    other = usage_file([record(line, "a", 4 * MB), record(line, "b")], source="probe")
    await charging.mediation.import_usage(other)
    assert await left(charging, line) == 7 * MB
    (one,) = await charging.mediation.differences()
    assert (one.source, one.stated, one.charged) == ("probe", 4 * MB, 2 * MB)


async def test_an_online_session_that_nobody_remembers_is_set_aside(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    then = THEN - timedelta(days=7)
    old = record(line, "a", start=then.isoformat(), end=then.isoformat())
    await charging.mediation.import_usage(usage_file([old], interface="nchf"))
    assert [one.reason for one in await charging.mediation.waiting()] == [SetAsideReason.TOO_LATE]
    assert await left(charging, line) == 10 * MB


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


class Killed(BaseException):
    """The process is gone."""


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


async def test_history_tells_day_and_category_of_files_and_of_the_network(charging: Engine) -> None:
    line = await with_octets(charging, 20 * MB)
    await online(charging, line, "s", 2 * MB)
    await charging.mediation.import_usage(usage_file([record(line, "a", 3 * MB), record(line, "b", rating_group=20)]))
    days = await charging.usage.usage_history(line)
    total: dict[str | None, int] = {}
    for one in days:
        total[one.category] = total.get(one.category, 0) + one.used
    assert total == {"internet": 5 * MB, "social": MB}


async def test_nothing_of_a_number_is_kept_in_the_clear(charging: Engine) -> None:
    await charging.mediation.import_usage(usage_file([record("+254711999888", "a")]))
    async with charging.mediation._connected() as connection:
        rows = await (
            await connection.execute("SELECT t::text, encode(sealed, 'escape') FROM usage_set_aside t")
        ).fetchall()
    assert rows and all("711999888" not in text for row in rows for text in row)


async def _reported(engine: Engine, line: Subscriber, octets: int, sequence: int, *, cumulative: bool) -> None:
    answer = await engine.post(
        asking(
            SessionRequest, line, key=session_key("nchf", "late", sequence), act=SessionAct.UPDATE, interface="nchf",
            session_id="late", sequence=sequence, cumulative=cumulative,
            reports=(GroupReport(rating_group=10, unit=Unit.OCTETS, used=Used(octets_down=octets)),),
        )
    )  # fmt: skip
    assert answer.ok


@pytest.mark.parametrize("named", [(), (20,), (10,)])
async def test_a_session_that_is_opened_after_its_file_knows_of_the_groups_that_its_opening_does_not_name(
    charging: Engine, named: tuple[int, ...]
) -> None:
    line = await with_octets(charging, 20 * MB)
    await charging.mediation.import_usage(usage_file([record(line, "late", 3 * MB)], interface="nchf"))
    opening = asking(
        SessionRequest, line, key=session_key("nchf", "late", 0), act=SessionAct.CREATE, interface="nchf",
        session_id="late", sequence=0, reports=tuple(GroupReport(rating_group=group) for group in named),
    )  # fmt: skip
    assert (await charging.post(opening)).ok
    await _reported(charging, line, 4 * MB, 1, cumulative=False)
    assert await left(charging, line) == 16 * MB


@pytest.mark.parametrize("cumulative", [True, False])
async def test_a_session_that_is_opened_after_its_file_was_charged_pays_only_for_more(
    charging: Engine, *, cumulative: bool
) -> None:
    line = await with_octets(charging, 10 * MB)
    await charging.mediation.import_usage(usage_file([record(line, "late", 3 * MB)], interface="nchf"))
    assert await left(charging, line) == 7 * MB
    told = (2 * MB, 3 * MB, 5 * MB) if cumulative else (2 * MB, MB, 2 * MB)
    for sequence, (octets, remains) in enumerate(zip(told, (7, 7, 5), strict=True)):
        await _reported(charging, line, octets, sequence, cumulative=cumulative)
        assert await left(charging, line) == remains * MB


async def test_a_record_of_more_than_a_month_is_set_aside_with_the_reason(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    long = record(line, "a", start=(THEN - timedelta(days=32)).isoformat())
    file = await charging.mediation.import_usage(usage_file([long]))
    (waiting,) = await charging.mediation.waiting(file.file_id)
    assert waiting.reason is SetAsideReason.MALFORMED
    assert waiting.detail.startswith("end: ")


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


async def test_a_year_that_no_network_has_is_set_aside_and_hinders_nobody(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    first = "0001-01-01T00:00:00+14:00"
    rows = [record(line, "a", start=first, end=first), record(line, "b")]
    file = await charging.mediation.import_usage(usage_file(rows))
    (waiting,) = await charging.mediation.waiting(file.file_id)
    assert (waiting.reason, waiting.detail.partition(":")[0]) == (SetAsideReason.MALFORMED, "start")
    assert await left(charging, line) == 9 * MB
