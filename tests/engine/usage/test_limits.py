"""Caps of a line, alerts at crossings, unusual use, and what a day is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.usage.meters import day_of, meter_now, month_of, set_cap
from engine.words import Code, Period, ResultCode, SetCap, Unit
from settings import LowBalance, Operator
from tests.engine.usage.desk import MB, Desk, group


def cap(desk: Desk, unit: Unit, period: Period, amount: int | None) -> None:
    asked = SetCap(
        account=desk.account, line_id=desk.line_id, key=desk.line_id, asked_at=desk.now, source="test",
        unit=unit, period=period, amount=amount,
    )  # fmt: skip
    assert desk.do(asked, lambda case: set_cap(case, asked)).ok


def topics(desk: Desk) -> list[str]:
    return [topic for topic, _ in desk.told]


def test_a_line_uses_no_more_in_a_day_than_it_set(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 50 * MB)
    cap(desk, Unit.OCTETS, Period.DAY, 3 * MB)
    assert desk.charge(3 * MB + 1).code == Code.CAP_REACHED
    (answer,) = desk.ask("create", group(asks=10 * MB))
    # Half of the room.
    assert answer.granted == 3 * MB // 2
    (answer,) = desk.ask("update", group(used=MB, asks=10 * MB))
    (answer,) = desk.ask("update", group(used=2 * MB, asks=10 * MB))
    assert answer.result is ResultCode.QUOTA_LIMIT_REACHED
    assert topics(desk) == ["alert.cap_reached"]
    desk.now += timedelta(days=1)
    assert desk.ask("update", group())[0].result is ResultCode.SUCCESS


def test_money_pays_up_to_the_cap_and_the_rest_is_the_operators(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 1_000)
    cap(desk, Unit.MONEY, Period.MONTH, 40)
    (answer,) = desk.ask("create", group())
    assert answer.granted is not None
    (answer,) = desk.ask("release", group(used=20 * MB, asks=None))
    assert (answer.money, answer.overrun, desk.left(Unit.MONEY)) == (40, 10 * MB, 960)


def _sessions(desk: Desk, number: int) -> tuple[int, int, int]:
    """So many sessions at once, each of which uses up what it gets: granted, paid with money, paid by nobody."""
    names = [f"s{one}" for one in range(number)]
    grants = [desk.ask("create", group(asks=10 * MB), session=name)[0].granted or 0 for name in names]
    ends = [
        desk.ask("release", group(used=granted, asks=None), session=name)[0]
        for name, granted in zip(names, grants, strict=True)
    ]
    return sum(grants), sum(end.money for end in ends), sum(end.overrun for end in ends)


def test_many_sessions_at_once_are_granted_no_more_than_the_cap(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 500 * MB)
    cap(desk, Unit.OCTETS, Period.DAY, 3 * MB)
    assert _sessions(desk, 10) == (3 * MB, 0, 0)
    assert desk.left(Unit.OCTETS) == 497 * MB


def test_money_up_to_the_cap_is_all_that_many_sessions_find(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 10_000)
    cap(desk, Unit.MONEY, Period.DAY, 40)
    granted, money, overrun = _sessions(desk, 10)
    assert (granted, money, overrun) == (10 * MB, 40, 0)


def test_groups_of_one_request_share_the_cap(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 500 * MB)
    cap(desk, Unit.OCTETS, Period.DAY, 3 * MB)
    first = desk.ask("create", *(group(number, asks=10 * MB) for number in (10, 20)))
    assert [one.granted for one in first] == [3 * MB // 2, MB]
    # What a group holds is let go before it asks again: it does not stand in its own way.
    again = desk.ask("update", *(group(number, used=0, asks=10 * MB) for number in (10, 20)))
    assert [one.granted for one in again] == [MB, MB]


def test_money_that_sessions_hold_is_not_there_for_others_within_the_cap(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 10_000)
    cap(desk, Unit.MONEY, Period.DAY, 40)
    desk.ask("create", group())
    held = desk.held(Unit.MONEY)
    assert 0 < held < 40
    refused = desk.charge(40 - held + 1, Unit.MONEY)
    assert (refused.code, refused.details["left"]) == (Code.CAP_REACHED, 40 - held)
    assert desk.charge(40 - held, Unit.MONEY).ok


def test_a_limit_can_be_lifted(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 5 * MB)
    cap(desk, Unit.OCTETS, Period.DAY, 0)
    assert desk.charge(1).code == Code.CAP_REACHED
    cap(desk, Unit.OCTETS, Period.DAY, None)
    assert desk.charge(1).ok


def test_each_share_is_told_once_and_the_highest_where_several_are_crossed(desk: Desk) -> None:
    product = next(one for one in desk.operator.products if one.grants[0].unit == "octets")
    desk.bucket(Unit.OCTETS, 100, product=product.code)
    for amount in (49, 1, 10, 39, 1):
        desk.charge(amount)
    assert [body["share"] for topic, body in desk.told if topic == "alert.used_share"] == [50, 80, 100]


def test_a_threshold_is_told_at_each_crossing_and_armed_again_by_a_recharge(rated: Operator) -> None:
    desk = Desk(rated.model_copy(update={"low_balance": (LowBalance(unit="octets", amount=50),)}))
    desk.bucket(Unit.OCTETS, 60)
    desk.charge(10)
    desk.charge(10)
    desk.charge(10)
    desk.bucket(Unit.OCTETS, 30)
    desk.charge(20)
    assert topics(desk) == ["alert.low_balance", "alert.low_balance"]


def test_a_quota_is_no_use_and_alarms_nobody(rated: Operator) -> None:
    desk = Desk(rated.model_copy(update={"low_balance": (LowBalance(unit="octets", amount=2 * MB),)}))
    desk.bucket(Unit.OCTETS, 2 * MB)
    desk.ask("create", group())
    assert not desk.told
    desk.ask("release", group(used=1, asks=None))
    assert topics(desk) == ["alert.low_balance"]


def test_unusual_use_is_measured_by_the_days_before(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 10**9)
    for _ in range(3):
        desk.charge(MB)
        desk.now += timedelta(days=1)
    desk.charge(4 * MB)
    assert "alert.unusual_use" not in topics(desk)
    desk.charge(MB)
    desk.charge(MB)
    assert topics(desk).count("alert.unusual_use") == 1


def test_idle_days_make_the_usual_day_smaller(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 10**9)
    desk.charge(700)
    later = meter_now(desk.meters[Unit.OCTETS], Unit.OCTETS, desk.now + timedelta(days=2), desk.operator.timezone)
    assert (later.today, later.usual) == (0, 600)


@pytest.mark.parametrize(
    ("now", "zone", "day", "month"),
    [
        ("2026-11-21T21:00+00:00", "Africa/Nairobi", "2026-11-21T21:00+00:00", "2026-10-31T21:00+00:00"),
        ("2026-11-21T20:59+00:00", "Africa/Nairobi", "2026-11-20T21:00+00:00", "2026-10-31T21:00+00:00"),
        # The day on which the clocks change began in the other time.
        ("2026-03-29T12:00+00:00", "Europe/Paris", "2026-03-28T23:00+00:00", "2026-02-28T23:00+00:00"),
        ("2028-02-29T12:00+00:00", "Europe/Paris", "2028-02-28T23:00+00:00", "2028-01-31T23:00+00:00"),
    ],
)
def test_days_and_months_are_local(now: str, zone: str, day: str, month: str) -> None:
    at = datetime.fromisoformat(now)
    assert day_of(at, zone) == datetime.fromisoformat(day).astimezone(UTC)
    assert month_of(at, zone) == datetime.fromisoformat(month).astimezone(UTC)


def test_a_cap_in_octets_counts_those_that_money_pays_for(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 10_000)
    cap(desk, Unit.OCTETS, Period.DAY, 3 * MB)
    desk.ask("create", group(asks=2 * MB))
    assert (desk.meters[Unit.OCTETS].today, desk.held(Unit.OCTETS)) == (0, 3 * MB // 2)
    # What the first session holds with money is not there for a second one.
    (second,) = desk.ask("create", group(asks=10 * MB), session="s2")
    assert second.granted == MB
    desk.ask("release", group(used=MB, asks=None), session="s2")
    desk.ask("release", group(used=2 * MB, asks=None))
    assert desk.meters[Unit.OCTETS].today == 3 * MB
    assert desk.charge(1).code == Code.CAP_REACHED
    assert "alert.cap_reached" in topics(desk)


def test_groups_that_money_holds_for_share_the_cap_and_do_not_stand_in_their_own_way(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 10_000)
    cap(desk, Unit.OCTETS, Period.DAY, 3 * MB)
    first = desk.ask("create", *(group(number, asks=10 * MB) for number in (10, 20)))
    assert sum(one.granted or 0 for one in first) <= 3 * MB
    again = desk.ask("update", *(group(number, used=0, asks=10 * MB) for number in (10, 20)))
    assert all(one.result is ResultCode.SUCCESS for one in again)
    assert sum(one.granted or 0 for one in again) <= 3 * MB
