"""Drawdown and promised ends: rules held against a plain model and against awkward days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from configuration.catalogue import OWN_CODES
from engine.balances import ends, rules
from engine.balances.tables import AIRTIME
from engine.balances.transfers import GIFT
from engine.books.case import Case
from engine.books.facts import Facts
from engine.books.tables import Ledger
from engine.receivables.rules import CREDIT_LINE
from engine.usage import rules as usage
from engine.usage.paying import OVERRUN
from engine.words import AccountRef, Bucket, Charge, Code, Unit
from settings import Operator

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CATEGORIES = ("video", "social")


@st.composite
def buckets(draw: st.DrawFn) -> Bucket:
    """Any octet bucket: started or not, over or not, limited or not, partly reserved."""
    amount = draw(st.integers(0, 1_000))
    starts = NOW + timedelta(hours=draw(st.sampled_from([-48, -1, 1])))
    return Bucket(
        bucket_id=UUID(int=draw(st.integers(1, 2**64))),
        unit=draw(st.sampled_from([Unit.OCTETS, Unit.MONEY])),
        product="any",
        amount=amount,
        reserved=draw(st.integers(0, amount)),
        initial=1_000,
        categories=tuple(draw(st.sets(st.sampled_from(CATEGORIES)))),
        priority=draw(st.integers(1, 3)),
        starts_at=starts,
        expires_at=draw(
            st.sampled_from([None, NOW - timedelta(hours=1), NOW, NOW + timedelta(hours=1), NOW + timedelta(days=9)])
        ),
    )


def case_of(held: list[Bucket], operator: Operator, amount: int = 1, category: str | None = None) -> Case:
    """A charge of octets to be decided."""
    charge = Charge(
        account=AccountRef(0, uuid4()),
        key=uuid4(),
        asked_at=NOW,
        source="test",
        unit=Unit.OCTETS,
        amount=amount,
        category=category,
    )
    return Case(charge, Facts(currency="KES", frozen=False, buckets=held), operator, NOW, "REF")


@given(
    st.lists(buckets(), max_size=8, unique_by=lambda b: b.bucket_id),
    st.integers(1, 4_000),
    st.sampled_from([None, *CATEGORIES]),
)
def test_a_charge_takes_all_or_nothing_in_order_and_leaves_the_rest_alone(
    operator: Operator, held: list[Bucket], amount: int, category: str | None
) -> None:
    case = case_of(held, operator, amount, category)
    assert isinstance(case.operation, Charge)
    verdict = usage.charge(case, case.operation)

    # The model: one octet at a time from whichever bucket is first in line.
    usable = {
        b.bucket_id: b.amount - b.reserved
        for b in held
        if b.unit is Unit.OCTETS
        and b.starts_at <= NOW
        and (b.expires_at is None or b.expires_at > NOW)
        and (not b.categories or category in b.categories)
    }
    far = datetime.max.replace(tzinfo=UTC)
    order = sorted(
        (b for b in held if b.bucket_id in usable), key=lambda b: (b.priority, b.expires_at or far, b.bucket_id.int)
    )
    if sum(usable.values()) < amount:
        assert verdict.code is Code.BALANCE_TOO_LOW
        assert verdict.details["missing"] == amount - sum(usable.values())
        assert not case.amounts and not case.transfers
        return
    expected, left = {}, amount
    for bucket in order:
        part = min(left, usable[bucket.bucket_id])
        left -= part
        if part:
            expected[bucket.bucket_id] = bucket.amount - part
    assert verdict.code is Code.OK
    assert _changed(case) == expected
    assert sum(moved.amount for moved in case.transfers) == amount
    assert all((moved.debit, moved.credit) == (Ledger.BALANCE, Ledger.CONSUMED) for moved in case.transfers)


def _changed(case: Case) -> dict[UUID, int]:
    """Bucket → what it holds now, of those that hold something else than before."""
    return {b.bucket_id: case.amount(b) for b in case.facts.buckets if case.amount(b) != b.amount}


@given(st.lists(buckets(), max_size=8, unique_by=lambda b: b.bucket_id))
def test_expiry_takes_exactly_what_is_over_and_not_reserved(operator: Operator, held: list[Bucket]) -> None:
    case = case_of(held, operator)
    ends.expire(case)
    over = {
        b.bucket_id: b.reserved
        for b in held
        if b.expires_at is not None and b.expires_at <= NOW and b.amount > b.reserved
    }
    assert _changed(case) == over
    assert all(moved.credit is Ledger.BREAKAGE for moved in case.transfers)


def test_no_product_may_be_called_what_the_engine_calls_buckets_of_its_own() -> None:
    assert {rules.ADJUSTMENT, AIRTIME, CREDIT_LINE, GIFT, OVERRUN} == OWN_CODES


def test_a_case_never_debits_more_than_is_free(operator: Operator) -> None:
    bucket = Bucket(
        bucket_id=uuid4(), unit=Unit.OCTETS, product="any", amount=100, reserved=40, initial=100, categories=(),
        priority=1, starts_at=NOW, expires_at=None,
    )  # fmt: skip
    case = case_of([bucket], operator)
    with pytest.raises(ValueError, match="60 free"):
        case.debit(bucket, 61, Ledger.CONSUMED)


@given(
    st.integers(1_700_000_000, 1_900_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.integers(1, 400),
    st.sampled_from(["Africa/Nairobi", "Asia/Qatar", "Africa/Cairo", "Europe/Paris", "America/New_York"]),
)
def test_value_ends_at_a_local_midnight_the_promised_number_of_days_later(now: datetime, days: int, zone: str) -> None:
    end = rules.promised_end(now, days, zone)
    # Wall clocks may jump at that very midnight (Cairo's do): step back in absolute time.
    last = (end - timedelta(microseconds=1)).astimezone(ZoneInfo(zone))
    assert (last.date() - now.astimezone(ZoneInfo(zone)).date()).days in (days, days - 1)
    assert end - now >= timedelta(days=days) - timedelta(hours=1)


@pytest.mark.parametrize(
    ("now", "days", "zone", "end"),
    [
        # Nairobi keeps one time all year.
        ("2026-11-21T21:30+00:00", 1, "Africa/Nairobi", "2026-11-23T21:00+00:00"),
        # Paris: the night of 29 March 2026 has 23 hours, that of 25 October 25.
        ("2026-03-28T12:00+00:00", 1, "Europe/Paris", "2026-03-29T22:00+00:00"),
        ("2026-10-24T12:00+00:00", 1, "Europe/Paris", "2026-10-25T23:00+00:00"),
        # A leap day is a day.
        ("2028-02-28T12:00+00:00", 1, "Africa/Nairobi", "2028-02-29T21:00+00:00"),
    ],
)
def test_days_with_other_lengths_are_days(now: str, days: int, zone: str, end: str) -> None:
    assert rules.promised_end(datetime.fromisoformat(now), days, zone) == datetime.fromisoformat(end)


@pytest.mark.parametrize(
    ("times", "rolled", "lives"), [(0, 0, False), (1, 0, True), (1, 1, False), (3, 2, True), (3, 3, False)]
)
def test_what_is_left_lives_on_as_often_as_the_policy_says(
    operator: Operator, times: int, rolled: int, *, lives: bool
) -> None:
    product = next(one for one in operator.products if one.days > 7 and len(one.grants) == 1)
    policy = operator.policy.model_copy(update={"roll_over_times": times, "roll_over_above_days": 7})
    bucket = Bucket(
        bucket_id=UUID(int=1), unit=Unit(product.grants[0].unit), product=product.code, amount=70, reserved=0,
        initial=100, categories=(), priority=1, starts_at=NOW - timedelta(days=30),
        expires_at=NOW - timedelta(minutes=1), rolled_from=UUID(int=2) if rolled else None, rolled=rolled,
    )  # fmt: skip
    case = case_of([bucket], operator.model_copy(update={"policy": policy}))
    details = ends.expire(case).details
    assert bool(details["rolled_over"]) is lives and bool(details["expired"]) is not lives
    assert [(made.amount, made.rolled, made.rolled_from) for made in case.opened.values()] == (
        [(70, rolled + 1, bucket.bucket_id)] if lives else []
    )
