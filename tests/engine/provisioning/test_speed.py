"""Fair use: how fast a line is served follows from what it has used, and comes back with the next day or month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from engine.books.case import Case
from engine.books.facts import Facts, LineFacts
from engine.provisioning.rules import provision
from engine.usage import meters
from engine.usage.meters import day_of, month_of
from engine.words import AccountRef, Adjust, Bucket, Charge, LineStatus, Operation, Unit
from settings import FairUse, Operator

GB = 10**9
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
MONTH_ENDS = "2026-11-30T21:00:00Z"
DAY_ENDS = "2026-11-21T21:00:00Z"


@pytest.fixture
def fair(rated: Operator) -> Operator:
    """Slower beyond 50 GB in a month, slower still beyond 80; and for the day beyond 10."""
    steps = [("5mbps", 50 * GB, "month"), ("3mbps", 10 * GB, "day"), ("1mbps", 80 * GB, "month")]
    made = tuple(FairUse.model_validate({"speed": name, "above": above, "period": of}) for name, above, of in steps)
    return rated.model_copy(update={"fair_use": made})


def case_of(  # noqa: PLR0917 - a line in a line
    operator: Operator, today: int, month: int, used: int, now: datetime, told: tuple[str, ...] = ()
) -> Case:
    """A line that has used so much before, and uses more."""
    account, line_id = AccountRef(0, UUID(int=1)), UUID(int=2)
    asked = Charge(
        account=account, line_id=line_id, key=UUID(int=3), asked_at=now, source="test", unit=Unit.OCTETS, amount=used
    )
    facts = Facts(currency="KES", frozen=False, line=LineFacts(line_id, LineStatus.ACTIVE, 0, None, None, told))
    facts.buckets = [
        Bucket(
            bucket_id=UUID(int=4), unit=Unit.OCTETS, product="any", amount=900 * GB, reserved=0, initial=900 * GB,
            categories=(), priority=1, starts_at=NOW - timedelta(days=60), expires_at=None,
        )
    ]  # fmt: skip
    zone = operator.timezone
    known = meters.MeterFacts(Unit.OCTETS, day_of(NOW, zone), today, None, month_of(NOW, zone), month, None, None)
    facts.meters[Unit.OCTETS] = known
    case = Case(asked, facts, operator, now, "REF")
    if used:
        case.debit(facts.buckets[0], used, meters.Ledger.CONSUMED)
        meters.count(case)
    return case


def speed_of(case: Case) -> str:
    provision(case)
    line = case.line or case.facts.line
    assert line is not None
    return next(said for said in line.policy if said.startswith("speed"))


@pytest.mark.parametrize(
    ("today", "month", "used", "said"),
    [
        (0, 0, GB, "speed full"),
        (0, 49 * GB, GB, "speed full"),
        (9 * GB, 9 * GB, GB, "speed full"),
        (9 * GB, 9 * GB, GB + 1, f"speed 3mbps {DAY_ENDS}"),
        (0, 49 * GB, GB + 1, f"speed 5mbps {MONTH_ENDS}"),
        (9 * GB, 55 * GB, 2 * GB, f"speed 3mbps {DAY_ENDS}"),
        (9 * GB, 79 * GB, 2 * GB, f"speed 1mbps {MONTH_ENDS}"),
    ],
)
def test_the_last_step_that_holds_counts_from_the_commit_that_goes_beyond_it(
    fair: Operator, today: int, month: int, used: int, said: str
) -> None:
    assert speed_of(case_of(fair, today, month, used, NOW)) == said


def test_the_network_is_told_once_and_with_the_end(fair: Operator) -> None:
    case = case_of(fair, 0, 50 * GB, 1, NOW)
    assert speed_of(case) == f"speed 5mbps {MONTH_ENDS}"
    assert case.line is not None
    (row,) = case.rows["provisioned"]
    assert row[1] == case.line.policy and row[1][-1] == f"speed 5mbps {MONTH_ENDS}"
    again = case_of(fair, 0, 50 * GB + 1, 1, NOW, case.line.policy)
    provision(again)
    assert "provisioned" not in again.rows


def test_a_new_day_and_a_new_month_are_served_at_full_speed(fair: Operator) -> None:
    assert speed_of(case_of(fair, 11 * GB, 20 * GB, 1, NOW + timedelta(days=1))) == "speed full"
    assert speed_of(case_of(fair, 11 * GB, 60 * GB, 1, NOW + timedelta(days=1))) == f"speed 5mbps {MONTH_ENDS}"
    assert speed_of(case_of(fair, 11 * GB, 60 * GB, 1, NOW + timedelta(days=10))) == "speed full"


def test_what_counts_nothing_leaves_the_speed_as_it_was_told_until_its_end(fair: Operator) -> None:
    told = ("voice exhausted", "messages exhausted", "data active", f"speed 5mbps {MONTH_ENDS}")
    for now, said in ((NOW, told[3]), (NOW + timedelta(days=10), "speed full")):
        case = case_of(fair, 0, 0, 0, now, told)
        case.facts.meters = {}
        asked: Operation = Adjust(
            account=case.operation.account, line_id=case.operation.line_id, key=UUID(int=5), asked_at=now,
            source="test", unit=Unit.MONEY, amount=1, reason="test",
        )  # fmt: skip
        case.operation = asked
        assert speed_of(case) == said


NOTHING_LEFT = ("voice active", "messages exhausted", "data exhausted")


def announced(case: Case) -> dict[str, Any]:
    """What the network hears, without the ends."""
    provision(case)
    body: dict[str, Any] = msgspec.json.decode(case.rows["announced"][0][-1])
    return body | {"rules": {rule["counter"]: rule["status"] for rule in body["rules"]}}


def without_data(operator: Operator, now: datetime, told: tuple[str, ...], *, left: int = 0) -> Case:
    """A line whose data was used up before, at most with some again."""
    case = case_of(operator, 0, 0, 0, now, told)
    case.facts.buckets = [msgspec.structs.replace(one, amount=left) for one in case.facts.buckets]
    return case


def test_no_speed_is_told_of_data_that_is_used_up(fair: Operator) -> None:
    voice_out = without_data(fair, NOW, (*NOTHING_LEFT, "speed full"))
    assert announced(voice_out) == {"rules": {"voice": "exhausted"}}
    midnight = without_data(fair, NOW, ("voice exhausted", *NOTHING_LEFT[1:], f"speed 5mbps {DAY_ENDS}"))
    provision(midnight)
    # It stands in the rules, and nobody is told.
    assert midnight.line is not None and "speed full" in midnight.line.policy
    assert "announced" not in midnight.rows
    paid = without_data(fair, NOW, (*NOTHING_LEFT, "speed full"), left=GB)
    assert announced(paid)["rules"] == {"voice": "exhausted", "data": "active", "speed": "full"}


def test_that_a_line_is_barred_is_told_once_though_nothing_was_left(fair: Operator) -> None:
    def barred(told: tuple[str, ...]) -> Case:
        case = without_data(fair, NOW, told)
        assert case.facts.line is not None
        case.facts.line = case.facts.line._replace(status=LineStatus.BARRED)
        return case

    told = ("voice exhausted", *NOTHING_LEFT[1:], "speed full")
    case = barred(told)
    assert announced(case) == {"rules": {}, "served": False}
    assert case.line is not None and case.line.policy == (*told, "line ended")
    assert [row[1] for row in case.rows["provisioned"]] == [case.line.policy]
    again = barred(case.line.policy)
    provision(again)
    assert not again.rows
    freed = without_data(fair, NOW, case.line.policy, left=GB)
    assert announced(freed) == {"rules": {"data": "active", "speed": "full"}}
    assert freed.line is not None and "line active" in freed.line.policy


def test_without_fair_use_nothing_is_said_of_speed(rated: Operator) -> None:
    case = case_of(rated, 0, 500 * GB, GB, NOW)
    provision(case)
    assert case.line is not None
    assert not any(said.startswith("speed") for said in case.line.policy)
