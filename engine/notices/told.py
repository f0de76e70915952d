"""What people are told by an answer instead of by a message: receipts that it makes needless, and promises of more.

Both are rows of the outbox that are due a little later than others, so that whoever answers has the time to settle
them; should that process die, they are due, and the person is told by message. So there is always one word, and never
none.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.books.tables import OutboxState, outbox
from engine.dialogs.places import KeptPlace, keep_place
from engine.notices.outbox import write_message
from engine.notices.rules import PROMISE, PROMISE_SECONDS, receipt_id
from engine.notices.store import MessageRef
from engine.words import LineRef, Operation


async def drop_unsent(connection: AsyncConnection, message: MessageRef) -> bool:
    """Let a message be: the person was told. False where it is on its way, or was never written."""
    dropped = await connection.execute(_untouched(message).values(state=OutboxState.DROPPED, error="answered"))
    return dropped.rowcount > 0


def _untouched(message: MessageRef) -> sa.Update:
    """A row that nobody has claimed yet; one that is claimed may be out already."""
    shard, message_id = message
    return sa.update(outbox).where(
        outbox.c.shard == shard,
        outbox.c.message_id == message_id,
        outbox.c.state == OutboxState.DUE,
        outbox.c.attempts == 0,
    )


def promise_of(operation: Operation) -> MessageRef:
    """Where the promise to tell what became of an operation lies, made or not."""
    return operation.account.shard, uuid5(operation.key, "late")


class Told:
    """Answers of one installation, and what they leave to be told."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    @staticmethod
    def receipt(operation: Operation) -> MessageRef:
        """Where the receipt of an operation that was asked for by text or chat lies, once that is done."""
        return operation.account.shard, receipt_id(operation.key)

    async def receipt_told(self, receipt: MessageRef) -> None:
        """The answer that says the same as this receipt has gone out: the receipt need not."""
        async with self._database.begin() as connection:
            await drop_unsent(connection, receipt)

    async def promise(self, operation: Operation, place: KeptPlace | None = None, minutes: int = 0) -> str | None:
        """Promise to tell what becomes of an operation that is on its way; not None once that is durable.

        ``place``: where it was asked for. The code that leads back there for so many minutes is told where nothing was
        done, and returned; empty without one. Made twice it is one promise. None where there is no line to tell.
        """
        if operation.line_id is None:
            return None
        account, line_id = operation.account, operation.line_id
        _, message_id = promise_of(operation)
        async with self._database.begin() as connection:
            line = LineRef(account.shard, account.account_id, line_id)
            back = "" if place is None else await keep_place(connection, line, place, minutes)
            await write_message(
                connection,
                account,
                line_id,
                message_id,
                topic=PROMISE,
                body={"account_id": str(account.account_id), "key": str(operation.key), "back": back},
                after=timedelta(seconds=PROMISE_SECONDS),
            )
        return back

    async def keep_promise(self, operation: Operation, text: str | None) -> bool:
        """Tell the outcome in these words now, or nothing (None: its receipt does).

        False where the promise was kept before: whoever was first has told it.
        """
        promise = promise_of(operation)
        async with self._database.begin() as connection:
            if text is None:
                return await drop_unsent(connection, promise)
            told = _untouched(promise).values(topic="reply", body={"text": text}, due_at=datetime.now(UTC))
            return (await connection.execute(told)).rowcount > 0

    async def drop_message(self, message: MessageRef) -> None:
        """Let a message that was claimed be: its person is told by another one."""
        shard, message_id = message
        gone = (
            sa.update(outbox)
            .where(outbox.c.shard == shard, outbox.c.message_id == message_id, outbox.c.state == OutboxState.DUE)
            .values(state=OutboxState.DROPPED, error="answered")
        )
        async with self._database.begin() as connection:
            await connection.execute(gone)
