"""Sessions that the network told of online as well: compared, and paid for once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.api import Engine
from engine.words import (
    GroupReport,
    SessionAct,
    SessionRequest,
    SetAsideReason,
    Subscriber,
    Unit,
    Used,
    session_key,
)
from tests.engine.mediation.files import MB, THEN, left, record, usage_file, with_octets
from tests.engine.shop import asking


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


async def _reported(engine: Engine, line: Subscriber, octets: int, sequence: int, *, cumulative: bool) -> None:
    answer = await engine.post(
        asking(
            SessionRequest, line, key=session_key("nchf", "late", sequence), act=SessionAct.UPDATE, interface="nchf",
            session_id="late", sequence=sequence, cumulative=cumulative,
            reports=(GroupReport(rating_group=10, unit=Unit.OCTETS, used=Used(octets_down=octets)),),
        )
    )  # fmt: skip
    assert answer.ok


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


async def test_history_tells_day_and_category_of_files_and_of_the_network(charging: Engine) -> None:
    line = await with_octets(charging, 20 * MB)
    await online(charging, line, "s", 2 * MB)
    await charging.mediation.import_usage(usage_file([record(line, "a", 3 * MB), record(line, "b", rating_group=20)]))
    days = await charging.usage.usage_history(line)
    total: dict[str | None, int] = {}
    for one in days:
        total[one.category] = total.get(one.category, 0) + one.used
    assert total == {"internet": 5 * MB, "social": MB}


async def _opened(engine: Engine, line: Subscriber, called: str, octets: int = 0) -> None:
    """A session that the network and its records call by different names, and what it used."""
    requests = ((SessionAct.CREATE, ()), (SessionAct.UPDATE, (Used(octets_down=octets),)))
    for sequence, (act, used) in enumerate(requests):
        answer = await engine.post(
            asking(
                SessionRequest, line, key=session_key("nchf", f"ours of {called}", sequence), act=act,
                interface="nchf", session_id=f"ours of {called}", sequence=sequence, called=called,
                reports=tuple(GroupReport(rating_group=10, unit=Unit.OCTETS, used=one) for one in used),
            )
        )  # fmt: skip
        assert answer.ok


async def test_a_session_that_its_records_call_otherwise_is_compared_and_not_charged_again(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    for called in ("4711", "4712"):
        await _opened(charging, line, called, 2 * MB)
    now = datetime.now(UTC).isoformat()
    rows = [record(line, called, octets, end=now) for called, octets in (("4711", 2 * MB), ("4712", 3 * MB))]
    for name in ("a.csv", "b.csv"):
        await charging.mediation.import_usage(usage_file(rows, interface="nchf", name=name))
    assert await left(charging, line) == 6 * MB
    (one,) = await charging.mediation.differences()
    assert (one.stated, one.charged) == (3 * MB, 2 * MB)
    found = await charging.sessions.find_session("nchf", "ours of 4711")
    assert found is not None and found.session_id == "ours of 4711"


async def test_a_name_that_was_another_sessions_before_is_charged_for_that_one(charging: Engine) -> None:
    line = await with_octets(charging, 10 * MB)
    await _opened(charging, line, "4711")
    await charging.mediation.import_usage(usage_file([record(line, "4711")], interface="nchf"))
    assert await left(charging, line) == 9 * MB


async def test_a_session_that_opens_after_its_records_were_charged_pays_only_for_more_whatever_they_call_it(
    charging: Engine,
) -> None:
    line = await with_octets(charging, 10 * MB)
    await charging.mediation.import_usage(usage_file([record(line, "4711", 3 * MB)], interface="nchf"))
    await _opened(charging, line, "4711", 4 * MB)
    assert await left(charging, line) == 6 * MB
