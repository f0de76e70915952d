"""The organisation's statement, as exported to CSV from the M-Pesa organisation portal.

Columns: Receipt No., Completion Time, Details, Transaction Status, Paid In, Withdrawn, Reason Type, Linked Transaction
ID, A/C No.; times are Nairobi's. Below a title of several lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.recharge.gateways.amounts import read_amount
from engine.recharge.gateways.contract import BadRow, GatewayState, SettlementRow
from engine.recharge.gateways.mpesa.client import NAIROBI
from engine.recharge.gateways.mpesa.inbound import CURRENCY
from engine.recharge.gateways.statements import Row, amount, moment, read_rows, reference

RECEIPT, TIME, STATUS = "Receipt No.", "Completion Time", "Transaction Status"
PAID_IN, WITHDRAWN, REASON, LINKED, ACCOUNT = "Paid In", "Withdrawn", "Reason Type", "Linked Transaction ID", "A/C No."
NEEDED = (RECEIPT, TIME, STATUS, PAID_IN, WITHDRAWN, REASON, LINKED, ACCOUNT)
TIMES = ("%d-%m-%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S")


def read_statement(lines: Iterable[str]) -> Iterator[SettlementRow | BadRow]:
    """Payments in, and reversals of them. Charges and what the organisation itself draws out are no payments."""
    return read_rows(lines, NEEDED, _read)


def _read(line: int, row: Row) -> SettlementRow | None:
    if row[STATUS].lower() != "completed":
        return None
    paid_in = amount(row, PAID_IN, _cents)
    withdrawn = abs(amount(row, WITHDRAWN, _cents))
    if bool(paid_in) == bool(withdrawn):
        raise ValueError(f"{PAID_IN}, {WITHDRAWN}: one of them is needed")
    if paid_in < 0:
        raise ValueError(f"{PAID_IN}: below 0")
    reversal = "reversal" in row[REASON].lower()
    if withdrawn and not reversal:
        return None
    if paid_in and reversal:
        # A reversal of what was paid out: no payment of a subscriber.
        return None
    return SettlementRow(
        line=line,
        gateway_ref=reference(row, LINKED if withdrawn else RECEIPT),
        payment_id=None,
        amount=paid_in or -withdrawn,
        currency=CURRENCY,
        fee=0,
        state=GatewayState.REFUNDED if withdrawn else GatewayState.CAPTURED,
        at=moment(row, TIME, NAIROBI, TIMES),
        account_number=row[ACCOUNT] or None,
    )


def _cents(text: str) -> int:
    return read_amount(text, CURRENCY) if text else 0
