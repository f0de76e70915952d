"""What the network may serve a line, and until when, follows from what is left that pays for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.books.case import Case
from engine.books.facts import LineFacts
from engine.provisioning.rules import provision
from engine.words import Adjust, Bucket, LineStatus, Unit
from settings import Operator
from tests.engine.deciding import LINE, MOMENT, NOW, asked, held, known

LATER = {days: NOW + timedelta(days=days) for days in (1, 3, 5)}


def served(
    operator: Operator, *buckets: Bucket, consent: bool | None = None, status: LineStatus = LineStatus.ACTIVE
) -> dict[str, str]:
    """Counter → its status, and until when."""
    line = LineFacts(LINE, status, 0, None, None, out_of_bundle=consent)
    correction = asked(Adjust, unit=Unit.MONEY, amount=1, reason="test")
    case = Case(correction, known(*buckets, line=line), operator, NOW, "REF")
    provision(case)
    assert case.line is not None
    return {counter: status for counter, _, status in (said.partition(" ") for said in case.line.policy)}


def until(days: int) -> str:
    return f"active {LATER[days]:%Y-%m-%dT%H:%M:%SZ}"


NOTHING = {"voice": "exhausted", "messages": "exhausted", "data": "exhausted"}


def test_a_counter_is_served_until_the_last_that_pays_for_it_ends(rated: Operator) -> None:
    ending = [held(Unit.OCTETS, 5, expires_at=LATER[days]) for days in (1, 3)]
    assert served(rated, *ending) == NOTHING | {"data": until(3)}
    assert served(rated, *ending, held(Unit.OCTETS, 5)) == NOTHING | {"data": "active"}


@pytest.mark.parametrize("more", [{"expires_at": NOW}, {"starts_at": NOW + MOMENT}])
def test_what_is_over_or_has_not_begun_serves_nobody(rated: Operator, more: dict[str, object]) -> None:
    assert served(rated, held(Unit.OCTETS, 5, **more)) == NOTHING


@pytest.mark.parametrize("status", [LineStatus.SUSPENDED, LineStatus.BARRED, LineStatus.TERMINATED])
def test_a_line_that_may_use_nothing_is_served_nothing_whatever_is_left(rated: Operator, status: LineStatus) -> None:
    left = (held(Unit.OCTETS, 5), held(Unit.MONEY, 5))
    assert served(rated, *left, consent=True, status=status) == NOTHING | {"line": "ended"}
    assert served(rated, *left, consent=True, status=LineStatus.PREACTIVE)["data"] == "active"


def test_what_a_session_holds_is_still_there(rated: Operator) -> None:
    assert served(rated, held(Unit.OCTETS, 5, reserved=5)) == NOTHING | {"data": "active"}
    assert served(rated, held(Unit.OCTETS, 0)) == NOTHING


def test_money_serves_what_it_has_a_rate_for_and_the_persons_consent(rated: Operator) -> None:
    money = held(Unit.MONEY, 5, expires_at=LATER[3])
    assert served(rated, money) == NOTHING | {"voice": until(3)}
    assert served(rated, money, consent=True) == NOTHING | {"voice": until(3), "data": until(3)}


@pytest.mark.parametrize("days", [1, 5])
def test_where_units_and_money_pay_the_later_end_counts(rated: Operator, days: int) -> None:
    calls, money = held(Unit.SECONDS, 5, expires_at=LATER[days]), held(Unit.MONEY, 5, expires_at=LATER[3])
    assert served(rated, calls, money)["voice"] == until(max(days, 3))


def test_who_rates_elsewhere_serves_all_with_money(rated: Operator) -> None:
    elsewhere = rated.model_copy(update={"rates": ()})
    assert set(served(elsewhere, held(Unit.MONEY, 5)).values()) == {"active"}
