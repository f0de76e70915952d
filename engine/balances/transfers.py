"""Gifts from line to line and their undoing: pure decisions over one case and the receiver's.

What is given goes through the clearing account, which nets to zero in the commit. It keeps its end, and lies in buckets
of its own: only so can it be told whether it is still unspent.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.balances.rules import ORDINARY, payable, promised_end
from engine.books.case import Case, Verdict
from engine.books.facts import Transfer as Moved
from engine.books.tables import Ledger
from engine.receivables.rules import CREDIT_LINE
from engine.usage.meters import day_of, over_cap
from engine.words import Bucket, Code, LineStatus, Transfer, Unit
from settings import Operator, TransferRules

#: What a bucket is called that somebody else gave.
GIFT = "gift"


def rules_of(operator: Operator, unit: Unit) -> TransferRules | None:
    """The rules for gifts of a unit; None where there are none to be had."""
    if not operator.policy.transfers:
        return None
    return next((rules for rules in operator.transfers if rules.unit == unit), None)


def transfer(case: Case, operation: Transfer) -> Verdict:
    """Give: the amount leaves the sender's buckets in their order for buckets of the receiver's; the fee is ours."""
    if operation.receiver == operation.account:
        return Verdict(Code.RECEIVER_SAME)
    rules = rules_of(case.operator, operation.unit)
    if rules is None:
        return Verdict(Code.TRANSFER_NOT_ALLOWED)
    if not rules.least <= operation.amount <= rules.most:
        return Verdict(Code.AMOUNT_INVALID, {"least": rules.least, "most": rules.most})
    fee = rules.fee_for(operation.amount)
    if fee != operation.fee:
        return Verdict(Code.FEE_CHANGED, {"fee": fee})
    receiver = case.other
    if receiver is None or not _may_receive(receiver) or receiver.facts.currency != case.facts.currency:
        return Verdict(Code.RECEIVER_UNKNOWN)
    refused = _limits(case, operation, rules, fee)
    if refused is not None:
        return refused
    for bucket, part in _take(case, operation.unit, operation.amount, Ledger.CLEARING):
        _give(receiver, bucket, part)
    _take(case, Unit.MONEY, fee, Ledger.FEES)
    return _told(case, receiver, operation, fee)


def _may_receive(receiver: Case) -> bool:
    line = receiver.facts.line
    return line is not None and line.status in (LineStatus.ACTIVE, LineStatus.PREACTIVE, LineStatus.SUSPENDED)


def _limits(case: Case, operation: Transfer, rules: TransferRules, fee: int) -> Verdict | None:
    """Whether the day's limits, the line's own, and the balance allow it."""
    today = day_of(case.now, case.operator.timezone)
    given = [gift.amount for gift in case.facts.given if gift.given_at >= today]
    if len(given) >= rules.per_day or sum(given) + operation.amount > rules.most_per_day:
        return Verdict(Code.TRANSFER_LIMIT, {"given": sum(given), "gifts": len(given)})
    money = fee + (operation.amount if operation.unit is Unit.MONEY else 0)
    refused = over_cap(case, Unit.MONEY, money)
    if refused is not None:
        return refused
    if operation.unit is not Unit.MONEY:
        left = sum(case.free(bucket) for bucket in _giveable(case, operation.unit))
        if left < operation.amount:
            return Verdict(Code.BALANCE_TOO_LOW, {"left": left})
    free = sum(case.free(bucket) for bucket in _giveable(case, Unit.MONEY))
    if operation.unit is Unit.MONEY:
        free = max(0, free - _borrowed(case))
    return Verdict(Code.BALANCE_TOO_LOW, {"missing": money - free}) if free < money else None


def _borrowed(case: Case) -> int:
    """What was advanced and not paid back: who lends it on would leave us with the claim."""
    return sum(one.open_amount for one in case.facts.advances)


def _giveable(case: Case, unit: Unit) -> list[Bucket]:
    # A limit that was extended is no money of one's own; what is tied to categories is not worth the same to others.
    return [bucket for bucket in payable(case, unit, None) if bucket.product != CREDIT_LINE]


def _take(case: Case, unit: Unit, amount: int, to: Ledger) -> list[tuple[Bucket, int]]:
    taken = []
    for bucket in _giveable(case, unit):
        part = min(amount, case.free(bucket))
        if part:
            case.debit(bucket, part, to)
            taken.append((bucket, part))
            amount -= part
    return taken


def _give(receiver: Case, source: Bucket, amount: int) -> None:
    # Money too: given to and fro it would live for ever.
    receiver.open(
        source.unit,
        amount,
        Ledger.CLEARING,
        product=GIFT,
        expires_at=source.expires_at,
        priority=source.priority if source.unit is not Unit.MONEY else ORDINARY,
    )


def _told(case: Case, receiver: Case, operation: Transfer, fee: int) -> Verdict:
    details = {
        "unit": operation.unit,
        "amount": operation.amount,
        "fee": fee,
        "balance": case.total(operation.unit),
        "receiver": operation.receiver_shown,
        "receiver_shard": operation.receiver.shard,
        "receiver_account": str(operation.receiver.account_id),
        "receiver_line": str(operation.receiver_line),
    }
    common = {"unit": operation.unit, "amount": operation.amount, "reference": case.reference}
    sent = {"number": operation.receiver_shown, "balance": case.total(operation.unit)}
    got = {"number": operation.sender_shown, "balance": receiver.total(operation.unit)}
    case.messages.append(("gift.sent", common | sent))
    receiver.messages.append(("gift.received", common | got))
    return Verdict(Code.OK, details)


def undo(case: Case) -> Verdict:
    """Take a gift back while it is fresh and whole: every leg of both sides goes the other way."""
    original, receiver = case.facts.original, case.other
    if original is None or original.kind != "transfer" or original.code != Code.OK or original.already_reversed:
        return Verdict(Code.NOTHING_TO_UNDO)
    given = next(moved for moved in original.transfers if moved.credit is Ledger.CLEARING)
    rules = rules_of(case.operator, given.unit)
    if rules is None or case.now > original.booked_at + timedelta(minutes=rules.undo_minutes):
        return Verdict(Code.UNDO_TOO_LATE)
    if receiver is None or receiver.facts.frozen or receiver.facts.original is None:
        return Verdict(Code.NOTHING_TO_UNDO)
    theirs = {bucket.bucket_id: bucket for bucket in receiver.facts.buckets}
    got = receiver.facts.original.transfers
    if any(receiver.free(theirs[moved.bucket_id]) < moved.amount for moved in got):
        return Verdict(Code.GRANT_USED)
    for moved in got:
        receiver.debit(theirs[moved.bucket_id], moved.amount, Ledger.CLEARING)
    for moved in original.transfers:
        _return(case, moved)
    amount = sum(moved.amount for moved in got)
    details = {"unit": given.unit, "amount": amount, "balance": case.total(given.unit)}
    case.messages.append(("gift.undone", details | {"reference": case.reference}))
    taken = {"unit": given.unit, "amount": amount, "balance": receiver.total(given.unit)}
    receiver.messages.append(("gift.taken_back", taken | {"reference": case.reference}))
    return Verdict(Code.OK, details)


def _return(case: Case, moved: Moved) -> None:
    """One leg back into the bucket that it came from; if that has ended since, it lives until the day is over."""
    bucket = next(one for one in case.facts.buckets if one.bucket_id == moved.bucket_id)
    case.credit(bucket, moved.amount, moved.credit)
    if not case.live(bucket):
        case.extend(bucket, _tonight(case))


def _tonight(case: Case) -> datetime:
    return promised_end(case.now, 0, case.operator.timezone)
