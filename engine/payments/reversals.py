"""Taking a settlement back, whole or in part, and giving it again: pure decisions over one case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.balances.rules import credit_main, promised_end
from engine.books.case import Case, Verdict
from engine.books.facts import PaymentFacts
from engine.books.tables import Ledger
from engine.payments.course import CHARGEBACK, WON_BACK
from engine.payments.rules import CLOSED, STANDS, note
from engine.receivables.rules import CREDIT_LINE, owe, pay_bills, reopen_bills
from engine.receivables.tables import Owing
from engine.words import Bucket, Code, LineStatus, PaymentState, Restore, Reverse, Unit


def reverse(case: Case, operation: Reverse) -> Verdict:
    """Take a settled payment's credit back: all that is left of it for a refund, what is there if it has gone back."""
    payment = case.facts.payment
    if payment is None:
        return Verdict(Code.PAYMENT_UNKNOWN)
    if payment.state is not PaymentState.SETTLED:
        return Verdict(Code.PAYMENT_CLOSED if payment.state in CLOSED else Code.PAYMENT_NOT_SETTLED)
    if operation.chargeback and payment.reason == WON_BACK:
        return Verdict(Code.PAYMENT_CLOSED)
    if payment.reason == CHARGEBACK and not (operation.chargeback and operation.returned is None):
        # Of a chargeback that will take the rest has been heard: it does, and nothing is given back beside it.
        return Verdict(Code.PAYMENT_CLOSED)
    if case.facts.original is not None and case.facts.original.already_reversed:
        # It was taken back and won back: whoever wants it once more adjusts by hand.
        return Verdict(Code.PAYMENT_CLOSED)
    if operation.returned is not None:
        return _reverse_part(case, operation, payment, operation.returned)
    left = payment.amount - payment.returned
    credited = list(_credited(case, payment.returned, left))
    taken = sum(min(case.free(bucket), amount) for bucket, amount in credited)
    if taken < left and not operation.chargeback:
        return Verdict(Code.BALANCE_TOO_LOW, {"missing": left - taken, "balance": case.total(Unit.MONEY)})
    # What a bank took back is gone; what we give back is owed to the payer until the gateway has done so.
    _take(case, payment, credited, left, Owing.GATEWAY if operation.chargeback else Owing.UNAPPLIED)
    event, state = (
        ("charged_back", PaymentState.CHARGED_BACK) if operation.chargeback else ("reversed", PaymentState.REFUNDING)
    )
    note(case, payment, event, state, reason=operation.reason, money=(left, payment.currency))
    details = _details(case, operation, left, taken)
    case.messages.append(("payment.reversed", details | {"reference": case.reference}))
    case.announce(f"settlement.{event}", details | {"reference": case.reference, "currency": payment.currency})
    return Verdict(Code.OK, details)


def _reverse_part(case: Case, operation: Reverse, payment: PaymentFacts, returned: int) -> Verdict:
    """Take back what has gone back since: the payment stays settled until nothing is left of it.

    A bank takes what it takes beside all else. A gateway says how much it gave back so far, which no bank's is part of.
    """
    gone = min(returned + (payment.returned if operation.chargeback else case.facts.disputed), payment.amount)
    amount, left = gone - payment.returned, payment.amount - gone
    if amount <= 0:
        return Verdict(Code.PAYMENT_CLOSED)
    credited = list(_credited(case, payment.returned, amount))
    taken = sum(min(case.free(bucket), part) for bucket, part in credited)
    _take(case, payment, credited, amount, Owing.GATEWAY)
    money = (amount, payment.currency)
    event = "part_returned" if left else "charged_back"
    if left:
        counted = payment._replace(returned=gone)
        note(case, counted, event, PaymentState.SETTLED, reason=payment.reason, money=money)
    else:
        note(case, payment, event, PaymentState.CHARGED_BACK, reason=CHARGEBACK, money=money)
    # By ``left`` what a bank took of a part is known again: see the question for ``Facts.disputed``, and ``restore``.
    details = _details(case, operation, amount, taken) | ({"left": left} if operation.chargeback else {})
    case.messages.append(("payment.part_returned", details | {"reference": case.reference}))
    case.announce(f"settlement.{event}", details | {"reference": case.reference, "currency": payment.currency})
    return Verdict(Code.OK, details)


def _details(case: Case, operation: Reverse, amount: int, taken: int) -> dict[str, Any]:
    return {
        "amount": amount,
        "taken": taken,
        "balance": case.total(Unit.MONEY),
        "reason": operation.reason,
        "payment_id": str(operation.payment_id),
    }


def _credited(case: Case, before: int, amount: int) -> Iterator[tuple[Bucket, int]]:
    """Which buckets ``amount`` of the credit was put into, the last first, beyond what ``before`` was taken of it.

    So what a payment left as airtime goes before the bills that it has paid.
    """
    original = case.facts.original
    by_id = {bucket.bucket_id: bucket for bucket in case.facts.buckets}
    legs = () if original is None else original.transfers
    for leg in reversed([leg for leg in legs if leg.debit is Ledger.GATEWAY]):
        skipped = min(before, leg.amount)
        part = min(amount, leg.amount - skipped)
        before, amount = before - skipped, amount - part
        if part:
            yield by_id[leg.bucket_id], part


def _take(case: Case, payment: PaymentFacts, credited: list[tuple[Bucket, int]], amount: int, owed_to: Owing) -> None:
    """Take ``amount`` out of the buckets that it was put into, as far as it is there; the rest is a loss."""
    missing = amount
    for bucket, most in credited:
        part = min(case.free(bucket), most)
        if part:
            missing -= part
            case.debit(bucket, part, Ledger.GATEWAY)
            if bucket.product == CREDIT_LINE:
                reopen_bills(case, payment, part)
            owe(case, payment, Owing.ADVANCE, owed_to, part)
    if missing:
        owe(case, payment, Owing.LOSSES, Owing.GATEWAY, missing)


def restore(case: Case, operation: Restore) -> Verdict:
    """Give back what a chargeback took, and take the rest off the losses: the gateway owes us all of it again.

    Nothing is credited to a line that has ended, unless there are bills to pay: staff decides whose the money is.
    """
    payment, reversal = case.facts.payment, case.facts.original
    if payment is None:
        return Verdict(Code.PAYMENT_UNKNOWN)
    if reversal is None or reversal.kind != "reverse" or reversal.code != Code.OK or reversal.already_reversed:
        return Verdict(STANDS.get(payment.state, Code.PAYMENT_CLOSED))
    part = "left" in reversal.details
    if payment.state is not PaymentState.CHARGED_BACK and not (part and payment.state is PaymentState.SETTLED):
        return Verdict(STANDS.get(payment.state, Code.PAYMENT_NOT_SETTLED))
    if payment.state is PaymentState.SETTLED and payment.reason == CHARGEBACK:
        return Verdict(Code.PAYMENT_CLOSED)  # the rest is being taken: that must not be forgotten
    amount = int(reversal.details["amount"])
    gone = payment.amount if payment.state is PaymentState.CHARGED_BACK else payment.returned
    taken = sum(leg.amount for leg in reversal.transfers if leg.credit is Ledger.GATEWAY)
    line = case.facts.line
    if taken and line is not None and line.status is LineStatus.TERMINATED and not case.facts.bills:
        return Verdict(Code.LINE_TERMINATED)
    rest = taken - pay_bills(case, payment._replace(amount=taken))
    if rest:
        expires_at = promised_end(case.now, case.operator.vouchers.validity_days, case.operator.timezone)
        credit_main(case, rest, Ledger.GATEWAY, expires_at)
        owe(case, payment, Owing.GATEWAY, Owing.ADVANCE, rest)
    if taken < amount:
        owe(case, payment, Owing.GATEWAY, Owing.LOSSES, amount - taken)
    # What was won as a whole is not taken once more; of parts each is told by its own name.
    reason = None if part else WON_BACK
    counted, money = payment._replace(returned=gone - amount), (amount, payment.currency)
    note(case, counted, "restored", PaymentState.SETTLED, reason=reason, money=money)
    details = {
        "amount": amount,
        "credited": taken,
        "gateway": payment.gateway,
        "balance": case.total(Unit.MONEY),
        "payment_id": str(operation.payment_id),
    }
    if taken:
        case.messages.append(("payment.done", details | {"amount": taken, "reference": case.reference}))
    case.announce("settlement.restored", details | {"reference": case.reference, "currency": payment.currency})
    return Verdict(Code.OK, details)
