"""A session that is opened once more under its old name: the same one sent again, or another one."""

from __future__ import annotations

from datetime import timedelta

from engine.words import GroupReport, Unit, Used
from tests.engine.usage.desk import MB, Desk


def total(octets: int) -> GroupReport:
    return GroupReport(rating_group=10, used=Used(octets_down=octets))


def later(desk: Desk, **time: int) -> None:
    desk.now += timedelta(**time)


def test_totals_go_on_when_an_opening_is_sent_again_soon(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 100 * MB)
    desk.ask("create", cumulative=True)
    later(desk, seconds=20)
    desk.ask("update", total(3 * MB), cumulative=True)
    desk.ask("create", cumulative=True)
    desk.ask("update", total(4 * MB), cumulative=True)
    assert desk.left(Unit.OCTETS) == 96 * MB


def test_totals_begin_again_when_a_network_element_opens_anew_what_it_never_ended(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 100 * MB)
    desk.ask("create", cumulative=True)
    later(desk, minutes=10)
    desk.ask("update", total(3 * MB), cumulative=True)
    later(desk, minutes=10)
    desk.ask("create", cumulative=True)
    later(desk, minutes=1)
    desk.ask("update", total(2 * MB), cumulative=True)
    assert desk.left(Unit.OCTETS) == 95 * MB


def test_what_is_held_stays_held_where_no_totals_are_told(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 100 * MB)
    desk.ask("create", GroupReport(rating_group=10, requested=0))
    held = desk.held(Unit.OCTETS)
    later(desk, minutes=10)
    desk.ask("create")
    assert desk.held(Unit.OCTETS) == held > 0


def test_an_opening_from_before_the_end_does_not_open_it_again(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 100 * MB)
    desk.ask("release", total(3 * MB), cumulative=True)
    later(desk, seconds=-5)
    desk.ask("create", cumulative=True)
    (session,) = desk.sessions.values()
    assert session.closed_at is not None
