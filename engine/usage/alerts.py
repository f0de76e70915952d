"""What an operation lets people know of what is left: each threshold once for each time that it is crossed.

Nothing is remembered: a threshold is crossed where it lies between what was there before and what is there after, so a
recharge above it arms it again. What sessions hold counts as still there, or a quota would look like use.
"""

from __future__ import annotations

from engine.books.case import Case
from engine.books.tables import Ledger
from engine.words import Unit


def alerts(case: Case) -> None:
    """Write the alerts of this operation."""
    if not any(moved.debit is Ledger.BALANCE for moved in case.transfers):
        return
    _low_balance(case)
    _shares(case)


def _low_balance(case: Case) -> None:
    for threshold in case.operator.low_balance:
        unit = Unit(threshold.unit)
        left = sum(case.amount(bucket) for bucket in case.buckets() if bucket.unit is unit and case.live(bucket))
        before = sum(b.amount for b in case.facts.buckets if b.unit is unit and case.live(b))
        if left < threshold.amount <= before:
            case.messages.append(("alert.low_balance", {"unit": unit, "left": left, "threshold": threshold.amount}))


def _shares(case: Case) -> None:
    """The highest share of each product's bucket that this operation used up to."""
    codes = {product.code for product in case.operator.products}
    for bucket in case.facts.buckets:
        after = case.amounts.get(bucket.bucket_id, bucket.amount)
        if after >= bucket.amount or bucket.product not in codes or not case.live(bucket):
            continue
        crossed = [
            share
            for share in case.operator.policy.alert_shares
            if bucket.initial - after >= -(-bucket.initial * share // 100) > bucket.initial - bucket.amount
        ]
        if crossed:
            what = {"unit": bucket.unit, "product": bucket.product, "share": max(crossed), "left": after}
            case.messages.append(("alert.used_share", what))
