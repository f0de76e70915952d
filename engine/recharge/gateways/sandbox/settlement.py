"""The sandbox's settlement file: ``GET /v1/settlement.csv``, amounts in minor units, below 0 what was given back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from engine.recharge.gateways.amounts import LARGEST
from engine.recharge.gateways.callbacks import payment_id_of
from engine.recharge.gateways.contract import BadRow, GatewayState, SettlementRow
from engine.recharge.gateways.statements import Row, amount, currency, moment, read_rows, reference

NEEDED = ("id", "payment_id", "state", "amount", "currency", "fee", "at")
STATES = frozenset({GatewayState.CAPTURED, GatewayState.REFUNDED, GatewayState.CHARGEBACK})
WHOLE = re.compile(r"-?[0-9]{1,16}")


def read_file(lines: Iterable[str]) -> Iterator[SettlementRow | BadRow]:
    """Payments, refunds and chargebacks of the file."""
    return read_rows(lines, NEEDED, _read)


def _read(line: int, row: Row) -> SettlementRow:
    if row["state"] not in STATES:
        raise ValueError("state: none of captured, refunded, chargeback")
    state, moved = GatewayState(row["state"]), amount(row, "amount", _whole)
    if not moved or (state is GatewayState.CAPTURED) != (moved > 0):
        raise ValueError(f"amount: {moved} is no {state}")
    return SettlementRow(
        line=line,
        gateway_ref=reference(row, "id"),
        payment_id=payment_id_of(row["payment_id"]),
        amount=moved,
        currency=currency(row, "currency"),
        fee=amount(row, "fee", _whole),
        state=state,
        at=moment(row, "at"),
        account_number=row.get("account_number") or None,
    )


def _whole(text: str) -> int:
    if not WHOLE.fullmatch(text):
        raise ValueError("not a whole number of minor units")
    if abs(int(text)) > LARGEST:
        raise ValueError("larger than any payment")
    return int(text)
