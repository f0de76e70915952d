"""Charging the records of a batch: one operation for each line, posted many at a time so that they share commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from engine.mediation import store
from engine.mediation.store import Batch, Connection, Row
from engine.words import AccountRef, Answer, ChargeUsage, EngineUnavailable, Operation, Unit, UsageItem
from runtime.overlap import Overlap

#: Operations that are posted together: several batches of every lane.
WINDOW = 1_000
#: Lines whose records are read at a time.
PAGE = 500
#: Records of one line in one operation: an answer has to stay readable.
MOST_ITEMS = 1_000

_UNITS = {unit.value: unit for unit in Unit}

Connect = Callable[[], AbstractAsyncContextManager[Connection]]
Post = Callable[[Operation], Awaitable[Answer]]


async def charge(connect: Connect, post: Post, batch: Batch, progress: Callable[[str, int], None]) -> None:
    """Charge what is due of a batch from the account on where an earlier run stopped.

    Raises ``EngineUnavailable`` if anything could not be booked: what was is found under its key by the next run.
    """
    waiting: list[ChargeUsage] = []
    async with connect() as connection, Overlap() as posting:
        # Its rows are read as long as they are charged; nobody else waits for this transaction.
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        for (due,) in await (await connection.execute(store.HOW_MANY, _rest(batch))).fetchall():
            progress("due", due)
        async for row in _lines(connection, batch):
            waiting += _operations(row, batch.batch_id, batch.staged_at)
            # A window ends with an account, so that progress can name it.
            if len(waiting) >= WINDOW and waiting[-1].account != waiting[0].account:
                last = waiting[-1].account
                window = [one for one in waiting if one.account != last]
                await posting.start(_post(connect, post, batch, window, progress))
                waiting = [one for one in waiting if one.account == last]
        await posting.start(_post(connect, post, batch, waiting, progress))


def _rest(batch: Batch) -> dict[str, Any]:
    """What is due of a batch: from the account on where an earlier run stopped."""
    return {"batch_id": batch.batch_id, "shard": batch.shard, "account_id": batch.account_id}


async def _lines(connection: Connection, batch: Batch) -> AsyncIterator[Row]:
    """The due records of one line after the other."""
    async with connection.cursor(name="usage_due", binary=True) as cursor:
        await cursor.execute(store.DUE, _rest(batch))
        while rows := await cursor.fetchmany(PAGE):
            for row in rows:
                yield row


def _operations(row: Row, batch_id: UUID, asked_at: datetime) -> list[ChargeUsage]:
    shard, account_id, line_id, *columns = row
    items = [
        UsageItem(session_key, group, _UNITS[unit], amount, at)
        for session_key, group, unit, amount, at in zip(*columns, strict=True)
    ]
    return [
        ChargeUsage(
            account=AccountRef(shard, account_id),
            line_id=line_id,
            key=uuid5(batch_id, f"{account_id}|{line_id}|{first}"),
            asked_at=asked_at,
            source="usage:files",
            items=tuple(items[first : first + MOST_ITEMS]),
        )
        for first in range(0, len(items), MOST_ITEMS)
    ]


async def _post(
    connect: Connect, post: Post, batch: Batch, operations: Sequence[ChargeUsage], progress: Callable[[str, int], None]
) -> None:
    if not operations:
        return
    answers = await asyncio.gather(*(post(one) for one in operations))
    failed = [answer for answer in answers if not answer.ok]
    if failed:
        raise EngineUnavailable(f"{len(failed)} lines' usage could not be charged: {failed[0].code}")
    shard, account_id = operations[-1].account
    async with connect() as connection:
        asked = {"batch_id": batch.batch_id, "shard": shard, "account_id": account_id}
        await connection.execute(store.CHARGED_TO, asked)
    progress("charged", sum(len(one.items) for one in operations))
