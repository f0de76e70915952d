"""What a session is granted, and what becomes of it: each a small story of one account."""

from __future__ import annotations

from datetime import timedelta

from engine.books.tables import Ledger
from engine.usage import rules
from engine.usage.tables import ReservationState
from engine.words import FinalUnit, ReleaseOverdue, ResultCode, Unit
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
