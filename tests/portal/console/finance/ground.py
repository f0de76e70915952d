"""What tests of finance's pages begin with: payments made through the sandbox, rows of the database."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg

from engine.words import Payment, PaymentMethod, PaymentState, Subscriber
from tests.portal.console.conftest import Console

MSISDN = "+254712345001"


async def line_of(console: Console) -> Subscriber:
    """The first sample line."""
    return await console.engine.subscriber(MSISDN)


async def pay(console: Console, amount: int = 5_000) -> Payment:
    """Ask the line's own number for money."""
    line = await line_of(console)
    return await console.engine.pay(
        line, PaymentMethod.MOBILE_MONEY, amount, key=uuid4(), msisdn=line.msisdn, source="test"
    )


async def settled_payment(console: Console, amount: int = 5_000) -> Payment:
    """A payment that was credited."""
    payment = await pay(console, amount)
    for _ in range(200):
        await console.engine.resume_payments()
        found = await console.engine.payment(payment.payment_id)
        if found is not None and found.state is PaymentState.SETTLED:
            return found
        await rows(console, "UPDATE payment SET next_check_at = now() WHERE next_check_at IS NOT NULL RETURNING 1")
        await asyncio.sleep(0.05)
    raise AssertionError(f"not settled: {found}")


async def held_payment(console: Console) -> Payment:
    """A payment that the guard holds back: the same payer was asked too often."""
    for _ in range(20):
        payment = await pay(console)
        if payment.state is PaymentState.REVIEW:
            return payment
    raise AssertionError("the guard holds nothing back")


async def rows(console: Console, sql: str, *parameters: Any) -> list[Any]:
    """Ask the database, or change it, as its owner."""
    url = console.services.settings.database_url
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        return await (await connection.execute(sql.encode(), parameters)).fetchall()


def today(console: Console) -> str:
    """The date in the operator's country."""
    return datetime.now(ZoneInfo(console.engine.operator.timezone)).date().isoformat()
