"""What money pays for use: with consent, by the tariff of its time, rounded over the session."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.usage import rules
from engine.words import Code, ResultCode, SessionAct, SessionRequest, Unit, granted
from tests.engine.usage.desk import MB, Desk, group

LIMIT, SUCCESS = ResultCode.QUOTA_LIMIT_REACHED, ResultCode.SUCCESS


def test_money_pays_for_data_only_with_consent(desk: Desk) -> None:
    desk.bucket(Unit.MONEY, 100)
    assert desk.ask("create", group())[0].result is LIMIT
    desk.out_of_bundle = True
    (answer,) = desk.ask("update", group(asks=2 * MB))
    assert (answer.granted, desk.held(Unit.MONEY)) == (2 * MB, 8)
    (answer,) = desk.ask("release", group(used=MB + 1, asks=None))
    # Two begun megabytes at 4.
    assert (answer.money, answer.tariff, desk.left(Unit.MONEY), desk.held(Unit.MONEY)) == (8, "data", 92, 0)


def test_units_pay_before_money(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 100, priority=1)
    desk.bucket(Unit.OCTETS, MB)
    desk.ask("create", group(asks=3 * MB))
    desk.ask("release", group(used=3 * MB, asks=None))
    assert (desk.left(Unit.OCTETS), desk.left(Unit.MONEY)) == (0, 92)


def test_rounding_is_of_the_session_not_of_each_report(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 1_000)
    desk.ask("create", group())
    for _ in range(10):
        desk.ask("update", group(used=100_000))
    desk.ask("release")
    assert desk.left(Unit.MONEY) == 1_000 - 4


def test_calls_need_no_consent_and_are_rounded_to_their_step(desk: Desk) -> None:
    desk.bucket(Unit.MONEY, 100)
    (answer,) = desk.ask("create", group(1, unit=Unit.SECONDS))
    assert answer.result is SUCCESS
    desk.ask("release", group(1, used=61, asks=None, unit=Unit.SECONDS))
    # 61 s are 90 s: 4.5, rounded up once.
    assert desk.left(Unit.MONEY) == 95


@pytest.mark.parametrize(
    ("local", "tariff", "cost"),
    [("2026-11-21T21:59", "data", 4), ("2026-11-21T22:00", "night", 1), ("2026-11-22T05:59", "night", 1),
     ("2026-11-22T06:00", "weekend", 2), ("2026-11-23T06:00", "data", 4)],
)  # fmt: skip
def test_the_tariff_is_that_of_local_time_and_day(desk: Desk, local: str, tariff: str, cost: int) -> None:
    desk.now = desk.now.fromisoformat(f"{local}+03:00")
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 100)
    (answer,) = desk.ask("event", group(asks=1))
    assert (answer.tariff, answer.money) == (tariff, cost)


def test_a_quota_paid_with_money_ends_where_the_tariff_changes(desk: Desk) -> None:
    desk.now = desk.now.fromisoformat("2026-11-21T21:59:00+03:00")
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 100)
    (answer,) = desk.ask("create", group(asks=MB))
    assert answer.validity_seconds == 60
    desk.now += timedelta(seconds=61)
    # What was granted by day is paid by day, what is granted now by night.
    (answer,) = desk.ask("update", group(used=MB, asks=MB))
    assert (answer.money, answer.tariff) == (4, "data")
    (answer,) = desk.ask("release", group(used=MB, asks=None))
    assert (answer.money, answer.tariff) == (1, "night")


def test_a_single_charge_is_all_or_nothing_over_units_and_money(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.OCTETS, MB)
    desk.bucket(Unit.MONEY, 4)
    refused = desk.charge(3 * MB)
    assert (refused.code, refused.details) == (Code.BALANCE_TOO_LOW, {"missing": MB})
    assert (desk.left(Unit.OCTETS), desk.left(Unit.MONEY)) == (MB, 4)
    assert desk.charge(2 * MB).ok
    assert (desk.left(Unit.OCTETS), desk.left(Unit.MONEY)) == (0, 0)


def test_a_use_that_is_told_afterwards_costs_what_it_cost_at_its_own_time(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 1_000)
    asked = SessionRequest(
        account=desk.account, line_id=desk.line_id, key=desk.line_id, asked_at=desk.now - timedelta(hours=12),
        source="test", act=SessionAct.RELEASE, interface="tmf635", session_id="use", sequence=0,
        reports=(group(used=10 * MB, asks=None, final=True),),
    )  # fmt: skip
    answer = desk.do(asked, lambda case: rules.session(case, asked))
    (told,) = granted(answer)
    # At noon it would have been 40.
    assert (told.tariff, told.money) == ("night", 10)
    assert answer.details["used_at"] == asked.asked_at.isoformat()
