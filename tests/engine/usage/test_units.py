"""What a group is counted in when more is measured, and by what held money pays if its tariff is gone."""

from __future__ import annotations

import pytest

from engine.words import GroupReport, ResultCode, Unit, Used
from tests.engine.usage.desk import MB, Desk, group


def _call(*, unit: Unit | None, requested: int | None = None) -> GroupReport:
    """A minute of a call that also measured its octets."""
    return GroupReport(rating_group=1, unit=unit, used=Used(seconds=60, octets_down=5_000), requested=requested)


@pytest.mark.parametrize("unit", [None, Unit.OCTETS])
def test_a_report_that_asks_for_nothing_is_counted_in_what_was_granted(desk: Desk, unit: Unit | None) -> None:
    desk.bucket(Unit.SECONDS, 600)
    desk.bucket(Unit.OCTETS, MB)
    desk.ask("create", group(1, unit=Unit.SECONDS))
    (end,) = desk.ask("release", _call(unit=unit))
    assert (end.unit, end.charged, end.overrun) == (Unit.SECONDS, 60, 0)
    assert (desk.left(Unit.SECONDS), desk.left(Unit.OCTETS)) == (540, MB)


def test_another_unit_takes_its_place_only_with_a_request_in_it(desk: Desk) -> None:
    desk.bucket(Unit.SECONDS, 600)
    desk.bucket(Unit.OCTETS, 5 * MB)
    desk.ask("create", group(1, unit=Unit.SECONDS))
    (same,) = desk.ask("update", _call(unit=None, requested=0))
    assert (same.unit, same.charged) == (Unit.SECONDS, 60)
    (other,) = desk.ask("update", _call(unit=Unit.OCTETS, requested=0))
    assert (other.unit, other.charged) == (Unit.OCTETS, 5_000)


def test_totals_are_charged_once_whatever_unit_is_asked_for_between(desk: Desk) -> None:
    desk.bucket(Unit.SECONDS, 600)
    desk.bucket(Unit.OCTETS, MB)
    desk.ask("create", _call(unit=Unit.OCTETS, requested=0), cumulative=True)
    for unit in (Unit.SECONDS, Unit.OCTETS):
        (answer,) = desk.ask("update", _call(unit=unit, requested=0), cumulative=True)
        assert (answer.result is ResultCode.SUCCESS) == (unit is Unit.OCTETS)
    assert (desk.left(Unit.SECONDS), desk.left(Unit.OCTETS)) == (600, MB - 5_000)


def test_of_a_group_without_a_quota_volume_is_meant_first_and_otherwise_what_it_measured(desk: Desk) -> None:
    desk.bucket(Unit.SECONDS, 600)
    desk.bucket(Unit.OCTETS, MB)
    assert desk.ask("release", _call(unit=None), session="a")[0].unit is Unit.OCTETS
    seconds = GroupReport(rating_group=1, used=Used(seconds=60))
    assert desk.ask("event", seconds, session="b")[0].unit is Unit.SECONDS


def test_money_held_under_a_tariff_that_is_gone_pays_by_the_one_that_holds(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 1_000)
    (answer,) = desk.ask("create", group())
    assert answer.granted == 2 * MB
    assert desk.held(Unit.MONEY) == 8
    dearer = [
        rate.model_copy(update={"code": "new", "price": 5}) for rate in desk.operator.rates if rate.code == "data"
    ]
    desk.operator = desk.operator.model_copy(update={"rates": tuple(dearer)})
    (end,) = desk.ask("release", group(used=2 * MB, asks=None))
    assert (end.money, end.overrun, end.tariff) == (10, 0, "new")
    assert (desk.held(Unit.MONEY), desk.left(Unit.MONEY)) == (0, 990)


def test_money_held_where_no_tariff_is_left_is_let_go_and_nobody_pays(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 1_000)
    desk.ask("create", group())
    desk.operator = desk.operator.model_copy(update={"rates": ()})
    (end,) = desk.ask("release", group(used=MB, asks=None))
    assert (end.money, end.overrun) == (0, MB)
    assert (desk.held(Unit.MONEY), desk.left(Unit.MONEY)) == (0, 1_000)
