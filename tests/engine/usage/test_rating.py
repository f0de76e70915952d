"""The rating cases that charging systems are known to get wrong, each as a small story of one account."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.books.tables import Ledger
from engine.words import LineStatus, ResultCode, Unit
from tests.engine.usage.desk import MB, Desk, group

LIMIT, SUCCESS = ResultCode.QUOTA_LIMIT_REACHED, ResultCode.SUCCESS


def test_several_buckets_pay_by_priority_then_expiry_then_age(desk: Desk) -> None:
    late = desk.bucket(Unit.OCTETS, 100, expires_at=desk.now + timedelta(days=9))
    soon = desk.bucket(Unit.OCTETS, 100, expires_at=desk.now + timedelta(days=1))
    first = desk.bucket(Unit.OCTETS, 100, priority=1, categories=("internet",))
    other = desk.bucket(Unit.OCTETS, 100, priority=1, categories=("social",))
    desk.ask("create", group())
    desk.ask("release", group(used=250, asks=None))
    left = {bucket.bucket_id: bucket.amount for bucket in desk.buckets}
    assert [left[one.bucket_id] for one in (first, soon, late, other)] == [0, 0, 50, 100]


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
