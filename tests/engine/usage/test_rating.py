"""The rating cases that charging systems are known to get wrong, each as a small story of one account."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.books.tables import Ledger
from engine.usage import rules
from engine.usage.tables import ReservationState
from engine.words import (
    Code,
    FinalUnit,
    LineStatus,
    ReleaseOverdue,
    ResultCode,
    SessionAct,
    SessionRequest,
    Unit,
    granted,
)
from tests.engine.usage.desk import MB, Desk, group

LIMIT, SUCCESS = ResultCode.QUOTA_LIMIT_REACHED, ResultCode.SUCCESS


def test_an_exact_fit_is_granted_whole_and_marked_as_the_last(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, MB)
    (answer,) = desk.ask("create", group(asks=MB))
    assert (answer.result, answer.granted, answer.final_unit) == (SUCCESS, MB, FinalUnit.TERMINATE)
    (answer,) = desk.ask("release", group(used=MB, asks=None))
    assert (answer.charged, answer.overrun, desk.left(Unit.OCTETS), desk.held(Unit.OCTETS)) == (MB, 0, 0, 0)


def test_less_than_is_asked_for_is_granted_as_the_last(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 300)
    (answer,) = desk.ask("create", group(asks=5 * MB))
    assert (answer.granted, answer.final_unit, answer.threshold) == (300, FinalUnit.TERMINATE, None)


def test_a_second_session_gets_what_the_first_does_not_hold(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 3 * MB)
    (first,) = desk.ask("create", group(asks=MB))
    (second,) = desk.ask("create", group(asks=MB), session="s2")
    (third,) = desk.ask("create", group(asks=9 * MB), session="s3")
    assert (first.granted, second.granted, third.granted) == (MB, MB, MB)
    assert desk.ask("create", group(), session="s4")[0].result is LIMIT


def test_several_buckets_pay_by_priority_then_expiry_then_age(desk: Desk) -> None:
    late = desk.bucket(Unit.OCTETS, 100, expires_at=desk.now + timedelta(days=9))
    soon = desk.bucket(Unit.OCTETS, 100, expires_at=desk.now + timedelta(days=1))
    first = desk.bucket(Unit.OCTETS, 100, priority=1, categories=("internet",))
    other = desk.bucket(Unit.OCTETS, 100, priority=1, categories=("social",))
    desk.ask("create", group())
    desk.ask("release", group(used=250, asks=None))
    left = {bucket.bucket_id: bucket.amount for bucket in desk.buckets}
    assert [left[one.bucket_id] for one in (first, soon, late, other)] == [0, 0, 50, 100]


def test_what_is_over_is_not_granted(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, MB, expires_at=desk.now)
    assert desk.ask("create", group())[0].result is LIMIT


def test_a_quota_granted_before_midnight_is_paid_by_its_bucket_after_it(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, MB, expires_at=desk.now + timedelta(seconds=30))
    (answer,) = desk.ask("create", group())
    assert answer.validity_seconds == 30
    desk.now += timedelta(seconds=31)
    (answer,) = desk.ask("update", group(used=400_000))
    assert (answer.charged, answer.overrun, answer.result) == (400_000, 0, LIMIT)
    assert (desk.left(Unit.OCTETS), desk.held(Unit.OCTETS)) == (600_000, 0)


def test_use_beyond_the_grant_is_paid_from_what_else_is_there(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 3 * MB)
    desk.ask("create", group(asks=MB))
    (answer,) = desk.ask("release", group(used=2 * MB, asks=None))
    assert (answer.charged, answer.overrun, desk.left(Unit.OCTETS)) == (2 * MB, 0, MB)


def test_use_that_nobody_can_pay_is_the_operators_and_nothing_goes_below_zero(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, MB)
    desk.ask("create", group())
    (answer,) = desk.ask("update", group(used=MB + 700))
    assert (answer.charged, answer.overrun, answer.result) == (MB, 700, LIMIT)
    assert desk.ledgers[Ledger.OVERRUN, Unit.OCTETS] == -700
    assert desk.ledgers[Ledger.CONSUMED, Unit.OCTETS] == MB + 700
    assert desk.left(Unit.OCTETS) == 0


def test_use_without_any_bucket_is_booked_as_overrun_too(desk: Desk) -> None:
    (answer,) = desk.ask("update", group(used=500, asks=None))
    assert (answer.charged, answer.overrun) == (0, 500)
    assert desk.ledgers[Ledger.OVERRUN, Unit.OCTETS] == -500


def test_a_final_report_without_use_gives_everything_back(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 10 * MB)
    desk.ask("create", group(), group(20))
    assert desk.held(Unit.OCTETS) > 0
    assert desk.ask("release") == ()
    assert (desk.held(Unit.OCTETS), desk.left(Unit.OCTETS)) == (0, 10 * MB)
    assert {kept.state for kept in desk.reservations.values()} == {ReservationState.RELEASED}


def test_a_final_report_of_one_group_leaves_the_others(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 10 * MB)
    desk.ask("create", group(asks=MB), group(20, asks=MB))
    desk.ask("update", group(used=200, final=True))
    assert desk.held(Unit.OCTETS) == MB


def test_what_was_not_used_comes_back(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 5 * MB)
    desk.ask("create", group(asks=MB))
    desk.ask("release", group(used=1, asks=None))
    assert (desk.left(Unit.OCTETS), desk.held(Unit.OCTETS)) == (5 * MB - 1, 0)


def test_an_event_that_cannot_be_paid_whole_leaves_the_balance(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 100)
    (answer,) = desk.ask("event", group(asks=101))
    assert (answer.result, desk.left(Unit.OCTETS)) == (LIMIT, 100)
    (answer,) = desk.ask("event", group(asks=100))
    assert (answer.result, answer.charged, desk.left(Unit.OCTETS)) == (SUCCESS, 100, 0)
    assert not desk.reservations


def test_totals_are_charged_once_however_they_arrive(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 10 * MB)
    for total in (100, 300, 300, 200, 1_000, 0):
        desk.ask("update", group(used=total, asks=None), cumulative=True)
    desk.ask("release", group(used=1_500, asks=None), cumulative=True)
    # A late interim after the stop.
    desk.ask("update", group(used=1_200, asks=None), cumulative=True)
    assert desk.left(Unit.OCTETS) == 10 * MB - 1_500


def test_a_session_that_begins_again_under_its_old_name_counts_from_nothing(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 10 * MB)
    desk.ask("release", group(used=900, asks=None), cumulative=True)
    desk.now += timedelta(hours=1)
    desk.ask("create", cumulative=True)
    desk.ask("release", group(used=100, asks=None), cumulative=True)
    assert desk.left(Unit.OCTETS) == 10 * MB - 1_000


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


def test_zero_rated_use_costs_nothing_and_needs_no_quota(desk: Desk) -> None:
    (answer,) = desk.ask("create", group(99))
    assert (answer.result, answer.granted) == (ResultCode.QUOTA_MANAGEMENT_NOT_APPLICABLE, None)
    (answer,) = desk.ask("release", group(99, used=MB, asks=None))
    assert (answer.charged, answer.overrun, desk.ledgers) == (0, 0, {})
    assert desk.charge(MB, category="help").ok


def test_an_unknown_rating_group_is_not_rated(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, MB)
    assert desk.ask("create", group(77))[0].result is ResultCode.RATING_FAILED


def test_a_suspended_line_pays_what_it_used_and_gets_nothing_more(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 5 * MB)
    desk.ask("create", group(asks=MB))
    desk.status = LineStatus.SUSPENDED
    (answer,) = desk.ask("update", group(used=500))
    assert (answer.charged, answer.result) == (500, ResultCode.END_USER_SERVICE_DENIED)
    assert desk.held(Unit.OCTETS) == 0


def test_a_suspended_line_is_denied_what_costs_nothing_too(desk: Desk) -> None:
    desk.ask("create", group(99))
    desk.status = LineStatus.SUSPENDED
    denied, told = (desk.ask("update", group(99, used=500, asks=asks))[0].result for asks in (0, None))
    assert denied is ResultCode.END_USER_SERVICE_DENIED
    assert told is ResultCode.QUOTA_MANAGEMENT_NOT_APPLICABLE


def test_quotas_get_smaller_towards_the_end_and_follow_the_pace(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 30 * MB)
    sizes = []
    (answer,) = desk.ask("create", group())
    while answer.granted:
        sizes.append(answer.granted)
        desk.now += timedelta(seconds=10)
        (answer,) = desk.ask("update", group(used=answer.granted))
    assert sum(sizes) == 30 * MB
    assert max(sizes) > sizes[0]
    assert sizes[-1] <= MB
    assert answer.result is LIMIT


def test_what_nobody_reports_is_let_go_once_and_late_use_is_still_charged(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 5 * MB)
    desk.ask("create", group(asks=MB))
    sweep = ReleaseOverdue(account=desk.account, key=desk.line_id, asked_at=desk.now, source="test")
    assert desk.do(sweep, rules.release_overdue).details["released"] == [
        {"unit": "octets", "granted": MB, "rating_group": 10}
    ]
    assert desk.held(Unit.OCTETS) == 0
    assert {kept.state for kept in desk.reservations.values()} == {ReservationState.EXPIRED}
    assert desk.do(sweep, rules.release_overdue).details["released"] == []
    (answer,) = desk.ask("release", group(used=MB, asks=None))
    assert (answer.charged, desk.left(Unit.OCTETS)) == (MB, 4 * MB)


def test_a_network_that_reports_late_gets_no_more_than_was_granted(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 2 * MB)
    asked = [desk.ask("create", group(asks=MB), session=f"s{n}")[0].granted for n in range(5)]
    assert asked == [MB, MB, None, None, None]
    for n in range(5):
        desk.ask("release", group(used=MB, asks=None), session=f"s{n}")
    assert desk.left(Unit.OCTETS) == 0
    assert desk.ledgers[Ledger.OVERRUN, Unit.OCTETS] == -3 * MB


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


@pytest.mark.parametrize(("used", "asks"), [(None, 0), (None, None), (0, 0)])
def test_an_event_that_does_not_say_how_much_cannot_be_rated(desk: Desk, used: int | None, asks: int | None) -> None:
    desk.bucket(Unit.MESSAGES, 3)
    (answer,) = desk.ask("event", group(used=used, asks=asks, unit=Unit.MESSAGES))
    assert (answer.result, answer.granted, desk.left(Unit.MESSAGES)) == (ResultCode.RATING_FAILED, None, 3)


def test_an_event_that_reports_no_use_yet_is_charged_what_it_asks_for(desk: Desk) -> None:
    desk.bucket(Unit.MESSAGES, 3)
    (answer,) = desk.ask("event", group(used=0, asks=1, unit=Unit.MESSAGES))
    assert (answer.result, answer.charged, desk.left(Unit.MESSAGES)) == (SUCCESS, 1, 2)


def test_a_suspended_line_is_served_no_event_beside_one_that_was_used(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 5 * MB)
    desk.bucket(Unit.MESSAGES, 3)
    desk.status = LineStatus.SUSPENDED
    told, asked = desk.ask("event", group(used=MB, asks=None), group(20, asks=1, unit=Unit.MESSAGES))
    assert (told.result, asked.result) == (SUCCESS, ResultCode.END_USER_SERVICE_DENIED)
    assert (desk.left(Unit.OCTETS), desk.left(Unit.MESSAGES)) == (4 * MB, 3)
