"""The bank's settlement file: CSV with one line for each booked message.

Columns: ``rrn`` (field 37), ``type`` (purchase, refund, chargeback), ``amount`` and ``fee`` in minor units,
``currency``, ``booked_at`` (ISO 8601, UTC), and for refunds and chargebacks ``original_rrn``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from engine.recharge.gateways.amounts import LARGEST
from engine.recharge.gateways.contract import BadRow, GatewayState, SettlementRow
from engine.recharge.gateways.statements import Row, amount, currency, moment, read_rows, reference

NEEDED = ("rrn", "type", "amount", "fee", "currency", "booked_at", "original_rrn")
STATES = {
    "purchase": GatewayState.CAPTURED,
    "refund": GatewayState.REFUNDED,
    "chargeback": GatewayState.CHARGEBACK,
}
MINOR = re.compile(r"[0-9]{1,16}")


def read_file(lines: Iterable[str]) -> Iterator[SettlementRow | BadRow]:
    """Purchases, refunds and chargebacks of the file."""
    return read_rows(lines, NEEDED, _read)


def _read(line: int, row: Row) -> SettlementRow:
    state = STATES.get(row["type"].lower())
    if state is None:
        raise ValueError("type: none of purchase, refund, chargeback")
    paid = state is GatewayState.CAPTURED
    moved = amount(row, "amount", _minor)
    if not moved:
        raise ValueError("amount: nothing")
    return SettlementRow(
        line=line,
        gateway_ref=reference(row, "rrn" if paid else "original_rrn"),
        payment_id=None,
        amount=moved if paid else -moved,
        currency=currency(row, "currency"),
        fee=amount(row, "fee", _minor),
        state=state,
        at=moment(row, "booked_at"),
    )


def _minor(text: str) -> int:
    if not MINOR.fullmatch(text):
        raise ValueError("not a whole number of minor units")
    if int(text) > LARGEST:
        raise ValueError("larger than any payment")
    return int(text)
