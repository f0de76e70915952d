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
    now = datetime.now(UTC)
    row = {
        "shard": account.shard,
        "message_id": message_id,
        "account_id": account.account_id,
        "line_id": line_id,
        "topic": topic,
        "body": body,
        "state": OutboxState.DUE,
        "priority": int(policy(topic).priority),
        "due_at": now + after,
        "created_at": now,
    }
    written = await connection.execute(insert(outbox).values(row).on_conflict_do_nothing().returning(outbox.c.shard))
    return written.first() is not None
