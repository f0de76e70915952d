"""Paying what was billed: pure decisions over one case."""

from __future__ import annotations

from uuid import UUID

from engine.books.case import Case
from engine.books.facts import PaymentFacts
from engine.books.tables import Ledger
from engine.receivables.tables import Owing
from engine.words import LineStatus, Unit

#: The bucket of a postpaid account: what is left of its limit. Usage takes from it, paying a bill fills it up.
CREDIT_LINE = "credit_line"


def pay_bills(case: Case, payment: PaymentFacts) -> int:
    """Pay open bills, oldest first, and lift the bar of who was overdue once that is over. Returns minor units used.

    A line that was barred while nothing was overdue is barred for something else, and stays so.
    """
    left = payment.amount
    was_overdue = any(bill.due_at <= case.now for bill in case.facts.bills)
    overdue = False
    for bill in case.facts.bills:
        part = min(left, bill.open_amount)
        if part:
            left -= part
            case.write("billed", bill.bill_id, bill.open_amount - part)
            owe(case, payment, Owing.GATEWAY, Owing.BILLED, part, document=bill.bill_id)
        overdue |= part < bill.open_amount and bill.due_at <= case.now
    paid = payment.amount - left
    if paid:
        _fill_credit_line(case, paid)
    line = case.line or case.facts.line
    if paid and was_overdue and not overdue and line is not None and line.status is LineStatus.BARRED:
        case.line = line._replace(status=LineStatus.ACTIVE)
    return paid


def reopen_bills(case: Case, payment: PaymentFacts, amount: int) -> None:
    """Owe ``amount`` again that a payment had paid of bills, newest first: the credit line was taken back as much."""
    for bill in reversed(case.facts.bills):
        part = min(amount, bill.amount - bill.open_amount)
        if part:
            amount -= part
            case.write("billed", bill.bill_id, bill.open_amount + part)
            owe(case, payment, Owing.BILLED, Owing.ADVANCE, part, document=bill.bill_id)
    if amount:
        raise ValueError(f"{amount} paid of bills that are not there")


def owe(
    case: Case,
    payment: PaymentFacts,
    debit: Owing,
    credit: Owing,
    amount: int,
    *,
    currency: str | None = None,
    document: UUID | None = None,
) -> None:
    """One row of the receivables ledger because of a payment; ``document``: a bill, if not the payment itself."""
    leg = len(case.rows.get("owed", ()))
    what = (debit, credit, amount, currency or payment.currency, payment.gateway, document or payment.payment_id)
    case.write("owed", case.operation.key, leg, *what)


def _fill_credit_line(case: Case, paid: int) -> None:
    line = next((b for b in case.facts.buckets if b.product == CREDIT_LINE and b.unit is Unit.MONEY), None)
    if line is None:
        raise ValueError("a bill was paid on an account without a credit line")
    case.credit(line, paid, Ledger.GATEWAY)
