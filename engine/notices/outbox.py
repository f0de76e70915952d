"""Writing to the outbox from any area, in the commit that the message tells of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.books.tables import OutboxState, outbox
from engine.notices.rules import policy
from engine.words import AccountRef


def message_row(
    shard: int,
    message_id: UUID,
    topic: str,
    body: dict[str, Any],
    now: datetime,
    *,
    after: timedelta = timedelta(0),
    account_id: UUID | None = None,
    line_id: UUID | None = None,
) -> dict[str, Any]:
    """A row of the outbox, as urgent as its topic and due ``after`` a while; without a line it is for the operator."""
    return {
        "shard": shard,
        "message_id": message_id,
        "account_id": account_id,
        "line_id": line_id,
        "topic": topic,
        "body": body,
        "state": OutboxState.DUE,
        "priority": int(policy(topic).priority),
        "due_at": now + after,
        "created_at": now,
    }


async def write_message(
    connection: AsyncConnection,
    account: AccountRef,
    line_id: UUID,
    message_id: UUID,
    *,
    topic: str,
    body: dict[str, Any],
    after: timedelta = timedelta(0),
) -> bool:
    """A message to a line, due now or ``after`` a while; False if there is one of that id already."""
    owner = {"account_id": account.account_id, "line_id": line_id}
    row = message_row(account.shard, message_id, topic, body, datetime.now(UTC), after=after, **owner)
    written = await connection.execute(insert(outbox).values(row).on_conflict_do_nothing().returning(outbox.c.shard))
    return written.first() is not None
