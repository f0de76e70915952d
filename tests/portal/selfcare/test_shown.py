"""How long what somebody has will last is told once for each unit, and never beyond its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine.words import AccountRef, Bucket, LineStatus, Outlook, Subscriber, Unit
from portal.selfcare.shown import gauges

NOW = datetime.now(UTC)
WEEK = Outlook(unit=Unit.OCTETS, left=700, usual=100, days_left=7)


def bucket(days: int, unit: Unit = Unit.OCTETS) -> Bucket:
    """Data that ends in so many days."""
    return Bucket(
        bucket_id=UUID(int=days),
        unit=unit,
        product=f"data_{days}",
        amount=700,
        reserved=0,
        initial=1_000,
        categories=(),
        priority=0,
        starts_at=NOW,
        expires_at=NOW + timedelta(days=days),
    )


def having(*buckets: Bucket) -> Subscriber:
    return Subscriber(
        account=AccountRef(0, UUID(int=0)),
        line_id=UUID(int=0),
        msisdn="+254712345001",
        status=LineStatus.ACTIVE,
        language="en",
        currency="KES",
        has_pin=False,
        frozen=False,
        buckets=buckets,
    )


def test_one_bucket_says_how_long_it_lasts_and_one_that_ends_before_says_so() -> None:
    (lasting,) = gauges(having(bucket(30)), [WEEK])
    (ending,) = gauges(having(bucket(2)), [WEEK])
    assert (lasting.days_left, lasting.together, lasting.outlasts) == (7, False, False)
    assert (ending.days_left, ending.together, ending.outlasts) == (7, False, True)


def test_several_buckets_of_a_unit_last_together_and_the_last_of_them_says_it() -> None:
    shown = gauges(having(bucket(2), bucket(30), bucket(9, Unit.SECONDS)), [WEEK])
    assert [(one.unit, one.days_left, one.together) for one in shown] == [
        (Unit.OCTETS, None, True),
        (Unit.OCTETS, 7, True),
        (Unit.SECONDS, None, False),
    ]
