"""When value ends: expiry into breakage, roll-over of what a policy lets live on, extension. Pure decisions."""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.balances.rules import find_product, promised_end
from engine.books.case import Case, Verdict
from engine.books.tables import Ledger
from engine.words import Bucket, Code, Extend, Unit


def expire(case: Case) -> Verdict:
    """Take what is left in buckets whose time is over into breakage, or let it live on as often as the policy says.

    Reserved amounts wait for their session.
    """
    lost, kept = [], []
    for bucket in case.facts.buckets:
        amount = case.free(bucket)
        if bucket.expires_at is None or bucket.expires_at > case.now or amount == 0:
            continue
        end = _rolls_until(case, bucket)
        if end is None:
            case.debit(bucket, amount, Ledger.BREAKAGE)
            lost.append({"unit": bucket.unit, "amount": amount, "product": bucket.product})
        else:
            _roll(case, bucket, amount, end)
            kept.append(
                {"unit": bucket.unit, "amount": amount, "product": bucket.product, "expires_at": end.isoformat()}
            )
    case.messages += [("alert.expired", loss) for loss in lost]
    case.messages += [("alert.rolled_over", rest) for rest in kept]
    return Verdict(Code.OK, {"expired": lost, "rolled_over": kept})


def _rolls_until(case: Case, bucket: Bucket) -> datetime | None:
    """The new end of what is left of a product's bucket; None if it is lost."""
    policy, product = case.operator.policy, find_product(case, bucket.product)
    if bucket.unit is Unit.MONEY or product is None or product.days <= policy.roll_over_above_days:
        return None
    if bucket.rolled >= policy.roll_over_times or bucket.expires_at is None:
        return None
    # Counted from the promised end, not from when the schedule came by. If that is over too, it is over.
    end = promised_end(bucket.expires_at - timedelta(microseconds=1), product.days, case.operator.timezone)
    return end if end > case.now else None


def _roll(case: Case, bucket: Bucket, amount: int, end: datetime) -> None:
    """The rest into a bucket of its own, over the clearing account."""
    case.debit(bucket, amount, Ledger.CLEARING)
    case.open(
        bucket.unit,
        amount,
        Ledger.CLEARING,
        product=bucket.product,
        expires_at=end,
        categories=bucket.categories,
        priority=bucket.priority,
        rolled_from=bucket,
    )


def extend(case: Case, operation: Extend) -> Verdict:
    """Let everything that is not over yet, and will be, live longer by whole days of the wall clock."""
    if not 0 < operation.days <= 3660:
        return Verdict(Code.AMOUNT_INVALID)
    extended = []
    for bucket in case.facts.buckets:
        if bucket.expires_at is None or not case.live(bucket) or case.amount(bucket) == 0:
            continue
        end = promised_end(bucket.expires_at - timedelta(microseconds=1), operation.days, case.operator.timezone)
        case.extend(bucket, end)
        extended.append({"unit": bucket.unit, "product": bucket.product, "expires_at": end.isoformat()})
    return Verdict(Code.OK, {"extended": extended, "reason": operation.reason})
