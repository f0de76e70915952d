"""Who is told that something is about to end: every bucket once, when its end comes near."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.accounts.owning import owner_line
from engine.balances.tables import bucket
from engine.books.tables import outbox
from engine.notices.outbox import message_row
from engine.notices.tables import watermark
from engine.storage.locks import AdvisoryLock
from settings import Operator

TOPIC = "alert.expiring"
_FIRST = UUID(int=0)


class Expiring:
    """Walks through the buckets in the order in which they end, a fixed time ahead of the clock.

    How far it has come is kept in the commit that writes the messages, so each bucket is passed once, whoever is
    killed. A bucket that is opened for less time than the walk is ahead never hears of it: who buys a day's bundle
    knows. One whose end is put off is passed again.
    """

    def __init__(self, database: AsyncEngine, operator: Operator) -> None:
        self._database = database
        self._ahead = timedelta(hours=operator.notifications.expiring_hours)

    async def tell_expiring(self, limit: int = 500) -> int:
        """Write the messages for at most ``limit`` buckets. Returns how many were passed; others may be left."""
        if not self._ahead:
            return 0
        now = datetime.now(UTC)
        async with self._database.begin() as connection:
            if not await connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(AdvisoryLock.TELL_EXPIRING))):
                return 0
            reached = (
                await connection.execute(sa.select(watermark.c.at, watermark.c.id).where(watermark.c.name == TOPIC))
            ).first()
            # The first walk begins at the horizon: an installation does not start by telling everybody at once.
            at, last = (now + self._ahead, _FIRST) if reached is None else (max(reached.at, now), reached.id)
            rows = await self._ending(connection, at, last, now + self._ahead, limit)
            messages = [_message(row, now) for row in rows if row.line_id is not None]
            if messages:
                await connection.execute(insert(outbox).on_conflict_do_nothing(), messages)
            ends = (rows[-1].expires_at, rows[-1].bucket_id) if len(rows) == limit else (now + self._ahead, _FIRST)
            await _keep(connection, max((at, last), ends))
        return len(rows)

    async def _ending(
        self, connection: AsyncConnection, at: datetime, last: UUID, until: datetime, limit: int
    ) -> Sequence[Any]:
        """Buckets with something left that end after (``at``, ``last``) and before ``until``, each with one line."""
        query = (
            sa.select(
                bucket.c.shard,
                bucket.c.account_id,
                bucket.c.bucket_id,
                bucket.c.unit,
                bucket.c.product,
                (bucket.c.amount - bucket.c.reserved).label("left"),
                bucket.c.expires_at,
                owner_line(bucket.c.shard, bucket.c.account_id).label("line_id"),
            )
            .where(
                bucket.c.amount > bucket.c.reserved,
                bucket.c.due_at >= at,
                bucket.c.due_at < until,
                sa.tuple_(bucket.c.due_at, bucket.c.bucket_id) > sa.tuple_(sa.literal(at), sa.literal(last)),
            )
            .order_by(bucket.c.due_at, bucket.c.bucket_id)
            .limit(limit)
        )
        rows: Sequence[Any] = (await connection.execute(query)).all()
        return rows


def _message(row: Row[Any], now: datetime) -> dict[str, Any]:
    ends = row.expires_at.isoformat()
    # Should the walk ever be taken back, the same bucket and end have the same id.
    message_id = uuid5(NAMESPACE_OID, f"{TOPIC}|{row.bucket_id}|{ends}")
    body = {"unit": row.unit, "left": row.left, "product": row.product, "expires_at": ends}
    return message_row(row.shard, message_id, TOPIC, body, now, account_id=row.account_id, line_id=row.line_id)


async def _keep(connection: AsyncConnection, reached: tuple[datetime, UUID]) -> None:
    at, last = reached
    write = insert(watermark).values(name=TOPIC, at=at, id=last)
    await connection.execute(write.on_conflict_do_update(index_elements=["name"], set_={"at": at, "id": last}))
