"""Sessions through the one door: retransmissions, sweeping, finding, and what people are told of their use."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import (
    Answer,
    BadNumber,
    Charge,
    Code,
    GroupReport,
    OutOfBundle,
    Period,
    ResultCode,
    SessionAct,
    SessionRequest,
    SetCap,
    Subscriber,
    Unit,
    UnknownLine,
    granted,
    session_key,
)
from tests.engine.shop import asking, credit, open_line
from tests.engine.usage.desk import MB, group


def request(line: Subscriber, act: str, sequence: int, *reports: GroupReport, session: str = "s1", **more: Any) -> Any:
    return asking(
        SessionRequest, line, key=session_key("nchf", session, sequence), act=SessionAct(act), interface="nchf",
        session_id=session, sequence=sequence, reports=reports, **more,
    )  # fmt: skip


async def test_a_retransmission_gets_the_stored_answer_and_moves_nothing(charging: Engine) -> None:
    line = await open_line(charging)
    await credit(charging, line, 10 * MB, Unit.OCTETS)
    await charging.post(request(line, "create", 0, group()))
    update = request(line, "update", 1, group(used=MB))
    answers: list[Answer] = await asyncio.gather(*(charging.post(update) for _ in range(5)))
    assert len({answer.booked_at for answer in answers}) == 1
    again = await charging.post(request(line, "update", 1, group(used=MB)))
    assert again == answers[0]
    assert (await charging.post(request(line, "update", 1, group(used=2 * MB)))).code == Code.KEY_CONFLICT
    await charging.post(request(line, "release", 2))
    now = await charging.subscriber(line.msisdn)
    assert now.total(Unit.OCTETS) == 9 * MB
    assert await check_all(charging._database) == []


async def test_a_session_is_found_by_its_name_its_account_and_its_node(charging: Engine) -> None:
    line = await open_line(charging)
    await credit(charging, line, 10 * MB, Unit.OCTETS)
    await charging.post(request(line, "create", 0, group(), group(20), node="smf-1", notify="http://smf/notify"))
    found = await charging.sessions.find_session("nchf", "s1")
    assert found is not None
    assert (found.line.account, found.line.line_id) == (line.account, line.line_id)
    assert (found.notify, found.rating_groups, found.closed_at) == ("http://smf/notify", (10, 20), None)
    assert await charging.sessions.open_sessions(line.account) == [found]
    soon = datetime.now(UTC) + timedelta(seconds=5)
    assert await charging.sessions.sessions_of_node("nchf", "smf-1", soon) == [found]
    assert await charging.sessions.find_session("radius", "s1") is None
    await charging.post(request(line, "release", 1))
    ended = await charging.sessions.find_session("nchf", "s1")
    assert ended is not None
    assert (ended.rating_groups, ended.closed_at is None) == ((), False)
    assert await charging.sessions.open_sessions(line.account) == []


async def test_what_nobody_reports_is_swept_once_after_its_grace(charging: Engine, database_url: str) -> None:
    lines = [await open_line(charging) for _ in range(3)]
    for line in lines:
        await credit(charging, line, 10 * MB, Unit.OCTETS)
        await charging.post(request(line, "create", 0, group(), session=str(line.line_id)))
    assert await charging.sessions.expire_sessions() == 0
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE reservation SET expires_at = now() - interval '1 hour'")
    assert sum(await asyncio.gather(*(charging.sessions.expire_sessions(2) for _ in range(2)))) >= 2
    while await charging.sessions.expire_sessions(2):
        pass
    for line in lines:
        assert (await charging.subscriber(line.msisdn)).total(Unit.OCTETS) == 10 * MB
    late = request(lines[0], "release", 1, group(used=MB, asks=None), session=str(lines[0].line_id))
    assert granted(await charging.post(late))[0].charged == MB
    assert await check_all(charging._database) == []


async def test_sessions_that_are_long_over_are_forgotten_and_their_bookings_stay(
    charging: Engine, database_url: str
) -> None:
    line = await open_line(charging)
    await credit(charging, line, 10 * MB, Unit.OCTETS)
    await charging.post(request(line, "release", 0, group(used=MB, asks=None), session="old"))
    await charging.post(request(line, "create", 0, group(), session="new"))
    assert await charging.sessions.forget_sessions() == 0
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE session SET closed_at = now() - interval '8 days' WHERE name = 'old'")
    assert await charging.sessions.forget_sessions() == 1
    assert await charging.sessions.find_session("nchf", "old") is None
    assert await charging.sessions.find_session("nchf", "new") is not None
    assert await check_all(charging._database) == []


async def test_a_line_is_found_as_the_network_names_it(charging: Engine) -> None:
    line = await open_line(charging, imsi="639020000000777")
    for name in ("imsi-639020000000777", f"msisdn-{line.msisdn.removeprefix('+')}"):
        found = await charging.line_of(name)
        assert (found.account, found.line_id) == (line.account, line.line_id)
    with pytest.raises(UnknownLine):
        await charging.line_of("imsi-639020000000778")
    for wrong in ("nai-x", "imsi-abc", ""):
        with pytest.raises(BadNumber):
            await charging.line_of(wrong)


async def test_consent_is_kept_and_lets_the_network_serve(charging: Engine) -> None:
    line = await open_line(charging, money=1_000)
    assert granted(await charging.post(request(line, "create", 0, group())))[0].result is ResultCode.QUOTA_LIMIT_REACHED
    said = await charging.post(asking(OutOfBundle, line, allowed=True))
    assert said.ok
    assert granted(await charging.post(request(line, "update", 1, group())))[0].granted
    rules = await charging.usage.spending_rules(line)
    assert rules.out_of_bundle
    assert await check_all(charging._database) == []


async def test_why_a_balance_went_down_is_told_use_by_use(charging: Engine) -> None:
    line = await open_line(charging, money=1_000)
    await credit(charging, line, MB, Unit.OCTETS)
    await charging.post(asking(OutOfBundle, line, allowed=True))
    await charging.post(request(line, "create", 0, group()))
    await charging.post(request(line, "release", 1, group(used=2 * MB, asks=None)))
    told = await charging.explain_usage(await charging.subscriber(line.msisdn))
    assert len(told) == 2
    by_unit = {one.unit: one for one in told}
    money, data = by_unit[Unit.MONEY], by_unit[Unit.OCTETS]
    assert (data.kind, data.what, data.amount, data.before, data.after, data.tariff) == (
        "session", "internet", MB, MB, 0, None,
    )  # fmt: skip
    # One begun megabyte, by whichever tariff holds while this test runs.
    prices = {"data": 4, "weekend": 2, "night": 1}
    assert (money.what, money.before - money.after, money.before) == ("internet", prices[str(money.tariff)], 1_000)


async def test_meters_tell_caps_and_the_outlook_tells_how_long_it_lasts(charging: Engine, database_url: str) -> None:
    line = await open_line(charging)
    await credit(charging, line, 10 * MB, Unit.OCTETS)
    await charging.post(asking(SetCap, line, unit=Unit.OCTETS, period=Period.DAY, amount=5 * MB))
    assert (await charging.post(asking(Charge, line, unit=Unit.OCTETS, amount=2 * MB))).ok
    refused = await charging.post(asking(Charge, line, unit=Unit.OCTETS, amount=4 * MB))
    assert refused.code == Code.CAP_REACHED
    (meter,) = (await charging.usage.spending_rules(line)).meters
    assert (meter.unit, meter.today, meter.day_cap, meter.month_cap) == (Unit.OCTETS, 2 * MB, 5 * MB, None)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE meter SET usual = 4000000")
    (outlook,) = await charging.usage.outlook(await charging.subscriber(line.msisdn))
    # 4 MB a day cost 16 by tariff; no product of the catalogue is cheaper for so little.
    assert (outlook.left, outlook.usual, outlook.days_left, outlook.cheaper) == (8 * MB, 4 * MB, 2, None)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE meter SET usual = 2000000000")
    (outlook,) = await charging.usage.outlook(await charging.subscriber(line.msisdn))
    assert outlook.days_left == 0


async def test_a_cap_counts_what_the_lines_own_sessions_hold_and_no_other_lines(charging: Engine) -> None:
    line = await open_line(charging, money=1_000)
    other = await open_line(charging, account=line.account)
    await credit(charging, line, 500 * MB, Unit.OCTETS)
    await charging.post(asking(SetCap, line, unit=Unit.OCTETS, period=Period.DAY, amount=3 * MB))
    await charging.post(request(other, "create", 0, group(asks=10 * MB), session="other"))
    names = [f"s{one}" for one in range(6)]
    grants = []
    for name in names:
        (got,) = granted(await charging.post(request(line, "create", 0, group(asks=10 * MB), session=name)))
        grants.append(got.granted or 0)
    assert sum(grants) == 3 * MB
    refused = await charging.post(asking(Charge, line, unit=Unit.OCTETS, amount=1))
    assert (refused.code, refused.details["left"]) == (Code.CAP_REACHED, 0)
    # Lifted, and set again while something is held: what is stored of the meter are its own columns.
    await charging.post(asking(SetCap, line, unit=Unit.OCTETS, period=Period.DAY, amount=4 * MB))
    assert (await charging.post(asking(Charge, line, unit=Unit.OCTETS, amount=MB))).ok
    for name, used in zip(names, grants, strict=True):
        await charging.post(request(line, "release", 1, group(used=used, asks=None), session=name))
    assert (await charging.subscriber(line.msisdn)).total(Unit.OCTETS) < 496 * MB
    assert await check_all(charging._database) == []


async def test_use_that_nobody_pays_is_booked_through_one_bucket_of_the_account(
    charging: Engine, database_url: str
) -> None:
    line = await open_line(charging)
    for number in range(3):
        answer = await charging.post(request(line, "release", 1, group(used=MB, asks=None), session=f"s{number}"))
        assert granted(answer)[0].overrun == MB
    with psycopg.connect(database_url) as owner:
        found = owner.execute("SELECT product, amount FROM bucket WHERE unit = 'octets'").fetchall()
    assert found == [("overrun", 0)]
    assert await check_all(charging._database) == []
