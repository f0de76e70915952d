"""Stripe's report of balance transactions: ``balance_change_from_activity.itemized`` as CSV.

Source: docs.stripe.com/reports/report-types/balance. Amounts are in major units, times are UTC. The report is made with
the columns below and the metadata ``payment_id``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.recharge.gateways.amounts import read_amount
from engine.recharge.gateways.callbacks import payment_id_of
from engine.recharge.gateways.contract import BadRow, GatewayState, SettlementRow
from engine.recharge.gateways.statements import Row, amount, currency, moment, read_rows, reference

CATEGORY, INTENT, GROSS, FEE = "reporting_category", "payment_intent_id", "gross", "fee"
CURRENCY, CREATED, PAYMENT = "currency", "created_utc", "payment_metadata[payment_id]"
NEEDED = (CATEGORY, INTENT, GROSS, FEE, CURRENCY, CREATED)
#: other categories (payouts, fees, adjustments) are no payments
STATES = {
    "charge": GatewayState.CAPTURED,
    "refund": GatewayState.REFUNDED,
    "refund_failure": GatewayState.REINSTATED,
    "dispute": GatewayState.CHARGEBACK,
    "dispute_reversal": GatewayState.REINSTATED,
}
#: given back, or taken by the payer's bank: below 0
BACK = frozenset({GatewayState.REFUNDED, GatewayState.CHARGEBACK})


def read_report(lines: Iterable[str]) -> Iterator[SettlementRow | BadRow]:
    """Payments, refunds and disputes of the report."""
    return read_rows(lines, NEEDED, _read)


def _read(line: int, row: Row) -> SettlementRow | None:
    state = STATES.get(row[CATEGORY])
    if state is None or not row[INTENT]:
        return None
    code = currency(row, CURRENCY)
    gross = amount(row, GROSS, lambda text: read_amount(text, code))
    if (state in BACK) != (gross < 0) or not gross:
        raise ValueError(f"{GROSS}: {row[GROSS]} is no {row[CATEGORY]}")
    return SettlementRow(
        line=line,
        gateway_ref=reference(row, INTENT),
        payment_id=payment_id_of(row.get(PAYMENT)),
        amount=gross,
        currency=code,
        fee=amount(row, FEE, lambda text: read_amount(text, code)),
        state=state,
        at=moment(row, CREATED),
    )
