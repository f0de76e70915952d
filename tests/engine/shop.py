"""What engine tests need again and again: a line with money, a voucher on sale, an operation with a fresh key."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import uuid4

from engine.api import Engine
from engine.recharge.tables import BatchState
from engine.words import Adjust, Answer, LineStatus, Operation, Recharge, Subscriber, Unit

_numbers = count(700_000_001)


def next_msisdn() -> str:
    """A Kenyan mobile number that no other test of this process uses."""
    return f"+254{next(_numbers)}"


async def open_line(engine: Engine, money: int = 0, status: LineStatus = LineStatus.ACTIVE, **more: Any) -> Subscriber:
    """A line of its own account that holds ``money`` minor units."""
    subscriber = await engine.create_line(next_msisdn(), status=status, **more)
    if money:
        await credit(engine, subscriber, money)
    return await engine.subscriber(subscriber.msisdn)


async def credit(engine: Engine, subscriber: Subscriber, amount: int, unit: Unit = Unit.MONEY) -> Answer:
    """Staff gives ``amount`` of ``unit``."""
    answer = await engine.post(asking(Adjust, subscriber, unit=unit, amount=amount, reason="test"))
    assert answer.ok
    return answer


def asking(kind: type[Operation], subscriber: Subscriber, **fields: Any) -> Operation:
    """An operation of a line with a fresh key, asked for now, unless said otherwise."""
    given = {"key": uuid4(), "asked_at": datetime.now(UTC), "source": "test", "line_id": subscriber.line_id}
    return kind(account=subscriber.account, **given | fields)


async def sell_vouchers(engine: Engine, face_value: int = 5000, number: int = 1, **more: Any) -> list[str]:
    """The numbers of a fresh batch that is on sale."""
    batch, numbers = await engine.vouchers.create_batch(face_value, number, "alice", **more)
    for state in (BatchState.PRINTED, BatchState.SHIPPED, BatchState.ACTIVE):
        await engine.vouchers.move_batch(batch.batch_id, state, "bob")
    return [digits for _, digits in numbers]


def redeeming(engine: Engine, subscriber: Subscriber, number: str, **fields: Any) -> Operation:
    """A recharge with a voucher number as a person typed it."""
    return asking(Recharge, subscriber, voucher=engine.seal_voucher(number), **fields)
