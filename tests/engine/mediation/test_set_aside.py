"""Lines of usage files that cannot be charged: set aside with the reason, tried again, sealed."""

from __future__ import annotations

from datetime import timedelta

from engine.api import Engine
from engine.words import SetAsideReason, Unit
from tests.engine.mediation.files import MB, THEN, left, record, usage_file, with_octets
from tests.engine.shop import credit


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


async def test_nothing_of_a_number_is_kept_in_the_clear(charging: Engine) -> None:
    await charging.mediation.import_usage(usage_file([record("+254711999888", "a")]))
    async with charging.mediation._connected() as connection:
        rows = await (
            await connection.execute("SELECT t::text, encode(sealed, 'escape') FROM usage_set_aside t")
        ).fetchall()
    assert rows and all("711999888" not in text for row in rows for text in row)


async def test_a_record_of_more_than_a_month_is_set_aside_with_the_reason(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    long = record(line, "a", start=(THEN - timedelta(days=32)).isoformat())
    file = await charging.mediation.import_usage(usage_file([long]))
    (waiting,) = await charging.mediation.waiting(file.file_id)
    assert waiting.reason is SetAsideReason.MALFORMED
    assert waiting.detail.startswith("end: ")


async def test_a_year_that_no_network_has_is_set_aside_and_hinders_nobody(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    first = "0001-01-01T00:00:00+14:00"
    rows = [record(line, "a", start=first, end=first), record(line, "b")]
    file = await charging.mediation.import_usage(usage_file(rows))
    (waiting,) = await charging.mediation.waiting(file.file_id)
    assert (waiting.reason, waiting.detail.partition(":")[0]) == (SetAsideReason.MALFORMED, "start")
    assert await left(charging, line) == 9 * MB


async def test_a_record_that_ends_in_the_future_is_set_aside_and_hinders_no_other_of_its_session(
    charging: Engine,
) -> None:
    line = await with_octets(charging, 10 * MB)
    wrong = record(line, "a", end=(THEN + timedelta(days=3)).isoformat())
    file = await charging.mediation.import_usage(usage_file([wrong, record(line, "a"), record(line, "a", minute=5)]))
    (waiting,) = await charging.mediation.waiting(file.file_id)
    assert (waiting.line, waiting.reason, waiting.detail.partition(":")[0]) == (1, SetAsideReason.FUTURE, "end")
    assert await left(charging, line) == 8 * MB
