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
    units = {moved.unit for moved in case.transfers if moved.debit is Ledger.BALANCE}
    if units:
        _low_balance(case, units)
        _shares(case)


def _low_balance(case: Case, units: set[Unit]) -> None:
    """Thresholds of those units that something was taken of: no other total has fallen."""
    for threshold in case.operator.low_balance:
        if threshold.unit not in units:
            continue
        before = left = 0
        for bucket in case.facts.buckets:
            if bucket.unit == threshold.unit and case.live(bucket):
                before += bucket.amount
                left += case.amount(bucket)
        left += sum(made.amount for made in case.opened.values() if made.unit == threshold.unit and case.live(made))
        if left < threshold.amount <= before:
            what = {"unit": Unit(threshold.unit), "left": left, "threshold": threshold.amount}
            case.messages.append(("alert.low_balance", what))


def _shares(case: Case) -> None:
    """The highest share of each product's bucket that this operation used up to."""
    for bucket in case.facts.buckets:
        after = case.amount(bucket)
        if after >= bucket.amount:
            continue
        crossed = [
            share
            for share in case.operator.policy.alert_shares
            if bucket.initial - after >= -(-bucket.initial * share // 100) > bucket.initial - bucket.amount
        ]
        if crossed and case.live(bucket) and any(one.code == bucket.product for one in case.operator.products):
            what = {"unit": bucket.unit, "product": bucket.product, "share": max(crossed), "left": after}
            case.messages.append(("alert.used_share", what))
