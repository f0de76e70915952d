"""What balances and bookings look like on a page: plain values, made of what the engine tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from dialogs.names import product_name
from dialogs.values import Text, text
from engine.words import Bucket, Deduction, Outlook, Subscriber, Unit
from settings import Operator

#: catalogue code of the main money bucket
AIRTIME = "airtime"

#: a name for every kind of operation (``Answer.kind``) that a person can have had
KINDS: dict[str, Text] = {
    "recharge": text("Voucher"),
    "purchase": text("Bundle"),
    "charge": text("Use"),
    "usage": text("Use"),
    "session": text("Use"),
    "refund": text("Refund"),
    "adjust": text("Correction"),
    "expire": text("Expired"),
    "transfer": text("Gift sent"),
    "received": text("Gift received"),
    "undo": text("Gift taken back"),
    "taken_back": text("Gift returned"),
    "advance": text("Advance"),
    "auto_renew": text("Renewal switched"),
    "renew": text("Renewal"),
    "extend": text("Validity extended"),
    "out_of_bundle": text("Use beyond bundles switched"),
    "set_cap": text("Limit set"),
    "set_credit_limit": text("Credit limit set"),
    "make_bill": text("Bill"),
    "release_overdue": text("Reservation released"),
    "settle": text("Payment"),
    "set_aside": text("Payment set aside"),
    "return": text("Payment returned"),
    "reverse": text("Payment reversed"),
    "restore": text("Payment credited again"),
}


class Gauge(NamedTuple):
    """One bucket, or all main money, as a ring: ``share`` percent of what it was opened with is left."""

    unit: Unit
    product: str
    left: int
    initial: int
    share: int
    expires_at: datetime | None
    categories: tuple[str, ...]
    #: how long what is left of the unit lasts at the usual pace, told once for each unit, with its last bucket; None
    #: where nobody knows
    days_left: int | None
    #: that is of several buckets
    together: bool = False
    #: it ends before it is used up
    outlasts: bool = False

    @property
    def purse(self) -> bool:
        """Whether it is the main money, which is shown first and largest."""
        return self.product == AIRTIME


def gauges(subscriber: Subscriber, outlooks: Iterable[Outlook]) -> list[Gauge]:
    """The buckets as they are used: money first, then by unit, priority and end."""
    pace = {one.unit: one.days_left for one in outlooks}
    of_unit = Counter(one.unit for one in subscriber.buckets)
    waiting = dict(of_unit)
    order = list(Unit)

    def place(one: Bucket) -> tuple[object, ...]:
        """Where a bucket stands among the others."""
        return (order.index(one.unit), one.priority, one.expires_at is None, one.expires_at, one.starts_at)

    shown = []
    for bucket in sorted(subscriber.buckets, key=place):
        left = bucket.amount - bucket.reserved
        # Something that is left is seen; a bucket that grew is full.
        share = min(100, max(1 if left > 0 else 0, left * 100 // max(bucket.initial, 1)))
        waiting[bucket.unit] -= 1
        days = None if waiting[bucket.unit] else pace.get(bucket.unit)
        shown.append(
            Gauge(
                unit=bucket.unit,
                product=bucket.product,
                left=left,
                initial=bucket.initial,
                share=share,
                expires_at=bucket.expires_at,
                categories=bucket.categories,
                days_left=days,
                together=of_unit[bucket.unit] > 1,
                outlasts=days is not None and _ends_within(bucket, days),
            )
        )
    return shown


def _ends_within(bucket: Bucket, days: int) -> bool:
    return bucket.expires_at is not None and bucket.expires_at <= datetime.now(UTC) + timedelta(days=days)


class Taken(NamedTuple):
    """One deduction with its name and reason to say."""

    at: datetime
    name: str
    what: str
    product: str
    unit: Unit
    amount: int
    after: int


def taken(deductions: Sequence[Deduction], operator: Operator, write: Callable[[Any], str]) -> list[Taken]:
    """Deductions in a person's words; codes of products become their names."""
    codes = {one.code for one in operator.products}
    return [
        Taken(
            at=one.at,
            name=write(KINDS[one.kind]),
            what=write(product_name(operator, one.what)) if one.what in codes else one.what or "",
            product=one.product,
            unit=one.unit,
            amount=one.amount,
            after=one.after,
        )
        for one in deductions
    ]
