"""Making bills of postpaid accounts: what was used from the credit line becomes owed. Pure decision."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from engine.books.case import Case, Verdict
from engine.receivables.tables import Owing
from engine.words import Code, MakeBill


def make_bill(case: Case, operation: MakeBill) -> Verdict:
    """Bill what the account used up to the period's end and was not billed before; nothing used makes no bill.

    If more came back than was used, the customer has that much to the good: it is less on the next bill.
    """
    used = case.facts.billable
    if not case.facts.postpaid:
        return Verdict(Code.LIMIT_REFUSED)
    if used <= 0:
        return Verdict(Code.OK, {"amount": 0} | ({"carried": -used} if used else {}))
    month = operation.period_from.astimezone(ZoneInfo(case.operator.timezone))
    number = f"{month:%Y%m}-{operation.key.hex[-10:].upper()}"
    case.write(
        "issued",
        operation.key,
        number,
        used,
        used,
        case.facts.currency,
        operation.period_from,
        operation.period_to,
        operation.due_at,
    )
    case.write("owed", operation.key, 0, Owing.BILLED, Owing.REVENUE, used, case.facts.currency, None, operation.key)
    details = {"amount": used, "number": number, "due_at": operation.due_at.isoformat()}
    case.messages.append(("bill.issued", details))
    return Verdict(Code.OK, details)
