"""Settlement files of the sandbox's own provider, as lines, and what they are reconciled with."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from engine.reconciliation.cases import Selection
from engine.reconciliation.staging import Run
from engine.words import Payment, PaymentState
from tests.engine.payments.house import House

HEADER = "id,payment_id,state,amount,currency,fee,at,account_number"


def row(ref: str, amount: int, payment_id: UUID | str = "", **more: Any) -> str:
    """One line of a file."""
    state = more.get("state", "captured" if amount > 0 else "refunded")
    at = more.get("at") or datetime.now(UTC)
    cells = [ref, payment_id, state, amount, more.get("currency", "KES"), more.get("fee", 0), at.isoformat()]
    return ",".join(map(str, [*cells, more.get("account", "")]))


def of(payment: Payment, **more: Any) -> str:
    """The line that is right for a payment."""
    amount = more.pop("amount", payment.amount)
    return row(more.pop("ref", payment.gateway_ref), amount, more.pop("payment_id", payment.payment_id), **more)


async def paid(house: House, number: int = 1, amount: int = 5_000) -> list[Payment]:
    """Payments that were made through the sandbox and are credited."""
    payments = []
    for _ in range(number):
        payment = await house.pay(await house.line(), amount)
        payments.append(await house.until(payment, PaymentState.SETTLED))
    return payments


async def reconciled(house: House, *lines: str, gateway: str = "sandbox", **more: Any) -> Run:
    """A run over a file with these lines, of today unless said otherwise."""
    more.setdefault("first", today(house))
    return await house.engine.reconciliation.reconcile(
        gateway, [HEADER, *lines], by="alice", source="file:test.csv", **more
    )


def today(house: House) -> date:
    """The date in the operator's country."""
    return local(house, datetime.now(UTC))


def local(house: House, at: datetime) -> date:
    """The date of a moment in the operator's country."""
    return at.astimezone(ZoneInfo(house.engine.operator.timezone)).date()


async def kinds(house: House, **more: Any) -> list[tuple[str, str]]:
    """What is open: kind and reason."""
    return [(one.kind.value, one.reason) for one in await house.engine.reconciliation.discrepancies(Selection(**more))]


async def square(house: House) -> list[tuple[int, int, int, int]]:
    """The figures of all days, which must come to nothing: captured, settled, explained, open."""
    figures = await house.engine.reconciliation.figures()
    assert all(one.rest == 0 for one in figures), figures
    return [(one.captured, one.settled, one.explained, one.open) for one in figures]


async def booked_at(house: House, payment: Payment, at: datetime) -> None:
    """Let a payment have been booked at another time."""
    await house.run("UPDATE payment_history SET booked_at = %s WHERE payment_id = %s", at, payment.payment_id)


def noon(house: House, days_ago: int = 1) -> datetime:
    """Local noon of a day that is over."""
    day = today(house) - timedelta(days=days_ago)
    return datetime.combine(day, time(12), ZoneInfo(house.engine.operator.timezone)).astimezone(UTC)
