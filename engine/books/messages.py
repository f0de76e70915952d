"""The outbox: what a commit has to tell the world, claimed, delivered at least once, under an id that never changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.service import Accounts, Contact
from engine.accounts.store import LineRef
from engine.books.tables import OutboxState, outbox
from engine.words import Message
from settings import Operator


class Messages:
    """The outbox of one installation."""

    def __init__(self, database: AsyncEngine, operator: Operator, accounts: Accounts) -> None:
        """``accounts`` tells how a line is reached: the outbox itself holds no number."""
        self._database = database
        self._operator = operator
        self._accounts = accounts

    async def claim_messages(self, limit: int, lease_seconds: int) -> list[Message]:
        """Take rows that are due, oldest first, numbers decrypted; others skip them until the lease ends.

        A claim is nothing but a later due time, so a worker that dies gives its rows back by doing nothing.
        """
        now = datetime.now(UTC)
        due = (
            sa.select(outbox.c.shard, outbox.c.message_id)
            .where(outbox.c.state == OutboxState.DUE, outbox.c.due_at <= now)
            .order_by(outbox.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        claim = (
            sa.update(outbox)
            .where(outbox.c.shard == due.c.shard, outbox.c.message_id == due.c.message_id)
            .values(due_at=now + timedelta(seconds=lease_seconds), attempts=outbox.c.attempts + 1)
            .returning(outbox)
        )
        async with self._database.begin() as connection:
            rows = (await connection.execute(claim)).mappings().all()
        lines = {LineRef(row["shard"], row["account_id"], row["line_id"]) for row in rows if row["line_id"] is not None}
        contacts = await self._accounts.reveal(lines)
        nobody = Contact(None, self._operator.languages[0], self._operator.currency)
        return [
            Message(
                shard=row["shard"],
                message_id=row["message_id"],
                topic=row["topic"],
                body=row["body"],
                created_at=row["created_at"],
                attempts=row["attempts"],
                **contacts.get(row["line_id"], nobody)._asdict(),
            )
            for row in sorted(rows, key=lambda row: (row["created_at"], row["message_id"]))
        ]

    async def messages_delivered(self, messages: Sequence[Message]) -> None:
        """Mark as sent."""
        await self._mark(messages, state=OutboxState.SENT, sent_at=datetime.now(UTC))

    async def messages_failed(self, messages: Sequence[Message], retry_at: datetime | None) -> None:
        """Try again at ``retry_at``; ``None`` parks them for staff."""
        if retry_at is None:
            await self._mark(messages, state=OutboxState.PARKED)
        else:
            await self._mark(messages, due_at=retry_at)

    async def _mark(self, messages: Sequence[Message], **values: object) -> None:
        if not messages:
            return
        keys = [(message.shard, message.message_id) for message in messages]
        which = sa.tuple_(outbox.c.shard, outbox.c.message_id).in_(keys)
        async with self._database.begin() as connection:
            await connection.execute(sa.update(outbox).where(which, outbox.c.state == OutboxState.DUE).values(**values))
