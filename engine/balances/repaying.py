"""Paying back what was advanced, out of the next money that comes: a pure decision over one case."""

from __future__ import annotations

from engine.books.case import Case
from engine.books.tables import Ledger
from engine.words import Bucket


def recover(case: Case, bucket: Bucket, most: int) -> int:
    """Pay back what is owed out of ``most`` that just came into ``bucket``. Returns minor units taken."""
    left, owed = most, 0
    for one in case.facts.advances:
        amount = min(left, one.open_amount)
        fee = min(left - amount, one.open_fee)
        left -= amount + fee
        owed += one.open_amount + one.open_fee - amount - fee
        if amount:
            case.debit(bucket, amount, Ledger.ADVANCES)
        if fee:
            case.debit(bucket, fee, Ledger.FEES)
        if amount or fee:
            after = one._replace(open_amount=one.open_amount - amount, open_fee=one.open_fee - fee)
            case.write("advances", *after)
    if left < most:
        case.messages.append(("advance.recovered", {"amount": most - left, "owed": owed}))
    return most - left
