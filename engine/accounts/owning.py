"""Whose an account is, and what its lines may know of one another: the owner of all, every other line of its own."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.tables import line
from engine.words import LineStatus, Subscriber

#: The owner's line of the account of a row ``v``, for statements over many: the oldest one that is not ended.
OWNER = f"""(SELECT w.line_id FROM line w
             WHERE w.shard = v.shard AND w.account_id = v.account_id AND w.status <> '{LineStatus.TERMINATED}'
             ORDER BY w.opened_at, w.line_id LIMIT 1)"""


def owner_line(shard: sa.ColumnElement[int] | int, account_id: sa.ColumnElement[UUID] | UUID) -> sa.ScalarSelect[UUID]:
    """The owner's line of an account, who is told what is done to it: the oldest one, an ended one if all are."""
    return (
        sa.select(line.c.line_id)
        .where(line.c.shard == shard, line.c.account_id == account_id)
        .order_by(line.c.status == LineStatus.TERMINATED, line.c.opened_at, line.c.line_id)
        .limit(1)
        .scalar_subquery()
    )


async def only_line(database: AsyncEngine, subscriber: Subscriber) -> UUID | None:
    """The line whose doings a line may know of: itself; None for its account's owner, who may know those of all."""
    async with database.connect() as connection:
        owner = await connection.scalar(sa.select(owner_line(*subscriber.account)))
    return None if owner == subscriber.line_id else subscriber.line_id


def known_to(subscriber: Subscriber, whose: sa.ColumnElement[UUID | None]) -> sa.ColumnElement[bool]:
    """The same as a condition: ``whose`` is the line that a row is of."""
    return sa.or_(whose == subscriber.line_id, owner_line(*subscriber.account) == subscriber.line_id)
