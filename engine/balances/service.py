"""What has to be done to balances without anybody asking: expiry when it is due, and the catalogue's history."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from uuid import NAMESPACE_OID, uuid5

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.owning import owner_line
from engine.balances.tables import bucket, product
from engine.books.service import Door
from engine.words import AccountRef, Expire
from settings import Operator

#: Buckets of one account that are taken to end together.
BUCKETS = 4


class Balances:
    """The balances and the catalogue of one operator."""

    def __init__(self, database: AsyncEngine, operator: Operator, door: Door) -> None:
        """Expiry goes through ``door`` like every other money effect."""
        self._database = database
        self._operator = operator
        self._door = door

    async def expire_due(self, limit: int = 1000) -> int:
        """Take what is left in overdue buckets of at most ``limit`` accounts into breakage. Returns how many changed.

        Safe to run twice and by several processes at once: what is due is looked at again under the account's lock,
        and within one minute the same account has the same key.
        """
        now = datetime.now(UTC)
        # The oldest ends first, and only so many: at midnight millions of buckets end at once.
        oldest = (
            sa.select(bucket.c.shard, bucket.c.account_id)
            .where(bucket.c.amount > bucket.c.reserved, bucket.c.due_at <= now)
            .order_by(bucket.c.due_at)
            .limit(limit * BUCKETS)
            .subquery()
        )
        overdue = (
            sa.select(oldest.c.shard, oldest.c.account_id, owner_line(oldest.c.shard, oldest.c.account_id))
            .group_by(oldest.c.shard, oldest.c.account_id)
            .limit(limit)
        )
        async with self._database.connect() as connection:
            due = (await connection.execute(overdue)).all()
        operations = [
            Expire(
                account=AccountRef(shard, account_id),
                key=uuid5(NAMESPACE_OID, f"expire|{account_id}|{now:%Y-%m-%dT%H:%M}"),
                asked_at=now,
                source="schedule:expire",
                line_id=line_id,
            )
            for shard, account_id, line_id in due
        ]
        answers = await asyncio.gather(*(self._door.post(operation) for operation in operations))
        return sum(bool(answer.effects) for answer in answers)

    async def publish_catalogue(self) -> None:
        """Keep every version of every product that was ever on sale."""
        now = datetime.now(UTC)
        rows = [
            {
                "code": entry.code,
                "version": hashlib.blake2b(entry.model_dump_json().encode(), digest_size=8).hexdigest(),
                "body": entry.model_dump(mode="json"),
                "published_at": now,
            }
            for entry in self._operator.products
        ]
        if rows:
            async with self._database.begin() as connection:
                await connection.execute(insert(product).on_conflict_do_nothing(), rows)
