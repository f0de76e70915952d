"""Tariffs and quotas at their edges: which rate holds when, until when, and how much is granted for how long."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.books.tables import Ledger
from engine.usage.quota import validity
from engine.usage.tables import ReservationState
from engine.usage.tariffs import next_change, rate_for
from engine.words import ResultCode, Unit
from settings import Operator, QuotaRules, Rate
from tests.engine.usage.desk import MB, Desk, group

RATES = [
    {"code": "friday night", "time_from": "22:00", "time_to": "06:00", "days": ["fri"]},
    {"code": "office", "time_from": "08:00", "time_to": "20:00", "days": ["fri", "sat"]},
    {"code": "sunday", "days": ["sun"]},
    {"code": "else"},
]


@pytest.fixture
def rated_by_day(rated: Operator) -> Operator:
    common = {"unit": "octets", "price": 1}
    made = tuple(Rate.model_validate(one | common | {"code": one["code"].replace(" ", "_")}) for one in RATES)
    return rated.model_copy(update={"rates": made})


def at(operator: Operator, local: str) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(operator.timezone))


@pytest.mark.parametrize(
    ("local", "code"),
    [
        ("2026-11-20T07:59:59", "else"),  # a Friday
        ("2026-11-20T08:00", "office"),
        ("2026-11-20T19:59:59", "office"),
        ("2026-11-20T20:00", "else"),
        ("2026-11-20T22:00", "friday_night"),
        ("2026-11-21T05:59:59", "friday_night"),  # what began on Friday lasts into Saturday
        ("2026-11-21T06:00", "else"),
        ("2026-11-21T22:00", "else"),
        ("2026-11-20T05:59", "else"),  # Thursday's night is none
        ("2026-11-22T12:00", "sunday"),
    ],
)
def test_a_rate_holds_from_its_first_moment_to_before_its_last_on_the_day_on_which_it_begins(
    rated_by_day: Operator, local: str, code: str
) -> None:
    found = rate_for(rated_by_day, Unit.OCTETS, None, at(rated_by_day, local))
    assert found is not None and found.code == code


@pytest.mark.parametrize(
    ("local", "changes"),
    [
        ("2026-11-20T12:00", "2026-11-20T20:00"),
        ("2026-11-20T20:00", "2026-11-20T22:00"),
        ("2026-11-20T23:00", "2026-11-21T06:00"),
        # By the day alone: at midnight.
        ("2026-11-21T21:00", "2026-11-22T00:00"),
        ("2026-11-22T12:00", "2026-11-23T00:00"),
        # Days ahead: nothing else holds before Friday.
        ("2026-11-23T12:00", "2026-11-27T08:00"),
    ],
)
def test_a_rate_ends_where_another_one_begins_to_hold(rated_by_day: Operator, local: str, changes: str) -> None:
    assert next_change(rated_by_day, Unit.OCTETS, None, at(rated_by_day, local)) == at(rated_by_day, changes)


def test_a_rate_that_always_holds_never_ends(rated: Operator) -> None:
    always = rated.model_copy(update={"rates": (Rate(code="flat", unit="octets", price=1),)})
    assert next_change(always, Unit.OCTETS, None, at(rated, "2026-11-20T12:00")) is None


def test_a_rate_of_a_category_is_for_that_category(rated: Operator) -> None:
    of_social = Rate(code="social", unit="octets", category="social", price=9)
    operator = rated.model_copy(update={"rates": (of_social, Rate(code="data", unit="octets", price=1))})
    now = at(rated, "2026-11-20T12:00")
    found = [rate_for(operator, Unit.OCTETS, category, now) for category in ("social", "internet", None)]
    assert [rate.code for rate in found if rate is not None] == ["social", "data", "data"]


def test_money_that_was_held_is_not_counted_twice(desk: Desk) -> None:
    desk.out_of_bundle = True
    desk.bucket(Unit.MONEY, 12)
    desk.ask("create", group(asks=2 * MB))
    assert desk.held(Unit.MONEY) == 8
    (answer,) = desk.ask("release", group(used=5 * MB, asks=None))
    # 12 pay for three megabytes at 4.
    assert (answer.charged, answer.money, answer.overrun, desk.left(Unit.MONEY)) == (3 * MB, 12, 2 * MB, 0)
    assert desk.ledgers[Ledger.USAGE, Unit.MONEY] == 12


@pytest.mark.parametrize(("left", "seconds"), [(0.4, 1), (59.9, 59), (600.0, 600), (9_999.0, 600)])
def test_a_quota_holds_as_long_as_what_pays_for_it_but_a_second_at_least(left: float, seconds: int) -> None:
    now = datetime.fromisoformat("2026-11-20T12:00+00:00")
    assert validity(QuotaRules(validity_seconds=600), now, [now + timedelta(seconds=left)]) == seconds


@pytest.mark.parametrize(("used", "state"), [(MB, ReservationState.USED), (MB - 1, ReservationState.RELEASED)])
def test_a_quota_that_was_used_up_is_told_from_one_that_was_given_back(
    desk: Desk, used: int, state: ReservationState
) -> None:
    desk.bucket(Unit.OCTETS, 5 * MB)
    desk.ask("create", group(asks=MB))
    desk.ask("release", group(used=used, asks=None))
    assert [kept.state for kept in desk.reservations.values()] == [state]


def test_the_network_asks_again_while_a_fifth_is_left_and_the_most_is_not_the_last(desk: Desk) -> None:
    desk.bucket(Unit.OCTETS, 10**12)
    desk.ask("create", group())
    desk.now += timedelta(seconds=10)
    # As fast as that the rules would grant far more than their most.
    (answer,) = desk.ask("update", group(used=100 * MB))
    assert (answer.result, answer.granted, answer.threshold) == (ResultCode.SUCCESS, 20 * MB, 4 * MB)
    assert answer.final_unit is None
