"""Paying what was billed: pure decisions over one case."""

from __future__ import annotations

from engine.books.case import Case
from engine.books.facts import PaymentFacts
from engine.books.tables import Ledger
from engine.receivables.tables import Owing
from engine.words import LineStatus, Unit

#: The bucket of a postpaid account: what is left of its limit. Usage takes from it, paying a bill fills it up.
CREDIT_LINE = "credit_line"


def pay_bills(case: Case, payment: PaymentFacts) -> int:
    """Pay open bills, oldest first, and lift a bar once nothing overdue is left. Returns minor units used."""
    left = payment.amount
    overdue = False
    for number, bill in enumerate(case.facts.bills):
        part = min(left, bill.open_amount)
        if part:
            left -= part
            case.write("billed", bill.bill_id, bill.open_amount - part)
            what = (Owing.GATEWAY, Owing.BILLED, part, payment.currency, payment.gateway, bill.bill_id)
            case.write("owed", case.operation.key, number, *what)
        overdue |= part < bill.open_amount and bill.due_at <= case.now
    paid = payment.amount - left
    if paid:
        _fill_credit_line(case, paid)
    line = case.line or case.facts.line
    if paid and not overdue and line is not None and line.status is LineStatus.BARRED:
        case.line = line._replace(status=LineStatus.ACTIVE)
    return paid


def _fill_credit_line(case: Case, paid: int) -> None:
    line = next((b for b in case.facts.buckets if b.product == CREDIT_LINE and b.unit is Unit.MONEY), None)
    if line is None:
        raise ValueError("a bill was paid on an account without a credit line")
    case.credit(line, paid, Ledger.GATEWAY)
