"""What the demo puts into a database: the operator file's sample lines, and vouchers to play with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

from engine.api import BatchState, Engine
from engine.words import Adjust, LineStatus, Operation, Purchase, Subscriber, Unit, UnknownLine
from settings import DemoSubscriber

#: of each face value, at every start
VOUCHERS = 7
STAFF, SECOND = "demo", "demo-approver"


async def seed(engine: Engine) -> list[dict[str, Any]]:
    """Create the lines that are missing and a fresh batch of vouchers; returns these as ``pin`` and ``face_value``."""
    for line in engine.operator.demo.subscribers:
        await _open_line(engine, line)
    return [
        {"pin": number, "face_value": value}
        for value in engine.operator.demo.vouchers
        for number in await issue(engine, value, VOUCHERS)
    ]


async def _open_line(engine: Engine, line: DemoSubscriber) -> None:
    try:
        opened = await engine.subscriber(line.msisdn)
    except UnknownLine:
        opened = await engine.create_line(
            line.msisdn, imsi=line.imsi, language=line.language, pin=line.pin, status=LineStatus.ACTIVE
        )
    prices = {product.code: product.price for product in engine.operator.products}
    await give(engine, opened, "opening balance", line.balance)
    for code in line.products:
        await give(engine, opened, f"the price of {code}", prices[code])
        await _post(engine, Purchase(**asked(opened, f"opening {code}"), product=code, price=prices[code]))


async def give(engine: Engine, line: Subscriber, what: str, amount: int) -> None:
    """Put money (minor units) on a line, once for each ``what``; 0 for nothing."""
    if amount:
        given = asked(line, what)
        await _post(engine, Adjust(**given, unit=Unit.MONEY, amount=amount, reason=f"{what} of the demo"))


def asked(line: Subscriber, what: str) -> dict[str, Any]:
    """Asked for at every start: the key lets it happen once, also where the demo was killed in between."""
    return {
        "account": line.account,
        "line_id": line.line_id,
        "key": uuid5(line.line_id, what),
        "asked_at": datetime.now(UTC),
        "source": "console:demo",
    }


async def _post(engine: Engine, operation: Operation) -> None:
    answer = await engine.post(operation)
    if not answer.ok:
        raise RuntimeError(f"{operation.source} was refused: {answer.code}")


async def issue(engine: Engine, face_value: int, count: int) -> list[str]:
    """Numbers of ``count`` fresh vouchers on sale, of ``face_value`` minor units each."""
    batch, numbers = await engine.vouchers.create_batch(face_value, count, STAFF)
    for state, who in (
        (BatchState.PRINTED, STAFF),
        (BatchState.SHIPPED, STAFF),
        (BatchState.ACTIVE, SECOND),
    ):
        await engine.vouchers.move_batch(batch.batch_id, state, who)
    return [number for _, number in numbers]
