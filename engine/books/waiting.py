"""How much waits to be done, queue by queue: for the console's dashboard and whoever else wants to know how we are."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

#: a queue is counted up to so many: beyond, the number does not matter
MOST = 10_000

# Each finds its rows by a partial index that holds nothing but them.
_QUEUES = {
    "messages_due": "SELECT FROM outbox WHERE state = 'due' AND due_at <= now()",
    "messages_parked": "SELECT FROM outbox WHERE state = 'parked'",
    "payments_due": "SELECT FROM payment WHERE next_check_at IS NOT NULL AND next_check_at <= now()",
    "payments_unknown": "SELECT FROM payment WHERE state = 'unknown'",
    "payments_refunding": "SELECT FROM payment WHERE state = 'refunding'",
    "payments_held": "SELECT FROM payment WHERE state = 'review'",
    "callbacks_open": "SELECT FROM gateway_event WHERE done_at IS NULL AND next_check_at <= now()",
    "events_due": "SELECT FROM event_delivery WHERE state = 'due' AND due_at <= now()",
    "events_parked": "SELECT FROM event_delivery WHERE state = 'parked'",
    "discrepancies_open": "SELECT FROM discrepancy WHERE state <> 'resolved'",
    "disputes_open": "SELECT FROM dispute WHERE state <> 'resolved'",
    "disputes_overdue": "SELECT FROM dispute WHERE state <> 'resolved' AND deadline < now()",
}
_COUNTS = sa.text(
    "SELECT " + ", ".join(f"(SELECT count(*) FROM ({sql} LIMIT {MOST}) q) AS {name}" for name, sql in _QUEUES.items())
)


_OVERDUE = sa.text(f"""
    SELECT count(*) FROM (SELECT FROM outbox
                          WHERE state = 'due' AND due_at < now() - make_interval(secs => :seconds) LIMIT {MOST}) q""")


class Queue(NamedTuple):
    """A queue and how long it is; ``MOST`` stands for that many and more."""

    name: str
    length: int


async def waiting(database: AsyncEngine) -> list[Queue]:
    """The queues of one installation, each as long as it is now."""
    async with database.connect() as connection:
        row = (await connection.execute(_COUNTS)).one()
    return [Queue(name, length) for name, length in zip(_QUEUES, row, strict=True)]


async def overdue(database: AsyncEngine, seconds: float) -> int:
    """How many messages should have left so many seconds ago, and are still to be sent."""
    async with database.connect() as connection:
        return int((await connection.execute(_OVERDUE, {"seconds": seconds})).scalar_one())
