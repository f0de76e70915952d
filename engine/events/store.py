"""The SQL of subscriptions and deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.events.tables import SendState, event_delivery, subscription
from engine.storage.locks import AdvisoryLock

#: what stands as the callback of a queue that a part of this installation follows by itself
INTERNAL = "internal:"

#: Every event to the queues of all who want it, in the order in which they were made. An event that nobody wants is
#: done too.
FAN_OUT = """
    WITH waiting AS (
        SELECT shard, account_id, event_id, topic FROM event WHERE fanned_at IS NULL
        ORDER BY created_at, event_id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), wanted AS (
        INSERT INTO event_delivery (shard, account_id, subscription_id, event_id, state, attempts, due_at, made_at)
        SELECT w.shard, w.account_id, s.subscription_id, w.event_id, 'due', 0, :now, :now
        FROM waiting w JOIN subscription s ON s.ended_at IS NULL
         AND (cardinality(s.topics) = 0 OR w.topic = ANY (s.topics) OR split_part(w.topic, '.', 1) = ANY (s.topics))
        ON CONFLICT DO NOTHING
    )
    UPDATE event e SET fanned_at = :now FROM waiting w
    WHERE e.shard = w.shard AND e.account_id = w.account_id AND e.event_id = w.event_id"""

#: Those that are due to one subscriber, and of each account only the first that is not done. The queue is walked row by
#: row, as far as it takes: a join would compare all that is due with all that is due. What is due is not done; said so,
#: only the key finds an account's first.
CLAIM = """
    WITH heads AS (
        SELECT d.shard, d.account_id, d.subscription_id, d.event_id FROM event_delivery d
        WHERE d.subscription_id = :subscription AND d.state = 'due' AND d.due_at <= :now AND d.event_id = (
            SELECT b.event_id FROM event_delivery b WHERE b.shard = d.shard AND b.account_id = d.account_id
               AND b.subscription_id = d.subscription_id AND b.done_at IS NULL ORDER BY b.event_id LIMIT 1)
        ORDER BY d.due_at LIMIT :limit FOR UPDATE OF d SKIP LOCKED
    )
    UPDATE event_delivery d SET due_at = :until, attempts = d.attempts + 1
    FROM heads h JOIN event e USING (shard, account_id, event_id)
    WHERE d.shard = h.shard AND d.account_id = h.account_id AND d.subscription_id = h.subscription_id
      AND d.event_id = h.event_id AND d.state = 'due' AND d.due_at <= :now
    RETURNING d.shard, d.account_id, d.subscription_id, d.event_id, d.attempts, d.made_at,
              e.topic, e.body, e.line_id, e.operation_key, e.created_at"""


#: What waits behind one event of its account for the same subscriber.
BEHIND = """
    SELECT e.line_id, e.body FROM event_delivery d JOIN event e USING (shard, account_id, event_id)
    WHERE d.shard = :shard AND d.account_id = :account AND d.subscription_id = :subscription AND d.state = 'due'
      AND d.event_id > :event
    ORDER BY d.event_id LIMIT 100"""


async def fan_out(connection: AsyncConnection, limit: int, now: datetime) -> int:
    """Give waiting events to the queues of their subscribers; returns how many. 0 while another process is at it."""
    mine = sa.select(sa.func.pg_try_advisory_xact_lock(AdvisoryLock.FAN_OUT))
    if not (await connection.execute(mine)).scalar_one():
        return 0
    return (await connection.execute(sa.text(FAN_OUT), {"limit": limit, "now": now})).rowcount


async def claim(
    connection: AsyncConnection, subscription_id: UUID, limit: int, now: datetime, lease: timedelta
) -> Sequence[Row[Any]]:
    """Take what is due to one subscriber; others see it again when the lease is over."""
    # A plan that is kept from when the queue was empty reads all of it for each row once it is long.
    await connection.execute(sa.text("SET LOCAL plan_cache_mode = force_custom_plan"))
    given = {"subscription": subscription_id, "limit": limit, "now": now, "until": now + lease}
    return (await connection.execute(sa.text(CLAIM), given)).all()


async def keep(
    connection: AsyncConnection,
    row: tuple[int, UUID, UUID, UUID],
    state: SendState,
    *,
    due_at: datetime | None = None,
    error: str | None = None,
    now: datetime,
) -> None:
    """Remember what one attempt came to. What is no longer due (ended meanwhile) is left alone."""
    values: dict[str, Any] = {"state": state, "error": error}
    values |= {"due_at": due_at} if due_at is not None else {}
    values |= {"done_at": now} if state is not SendState.DUE else {}
    await connection.execute(sa.update(event_delivery).where(*_is(row), event_delivery.c.state == "due").values(values))


async def keep_sent(connection: AsyncConnection, rows: Sequence[tuple[int, UUID, UUID, UUID]], now: datetime) -> None:
    """Remember that deliveries were taken, all of them in one statement."""
    names = ("shard", "account_id", "subscription_id", "event_id")
    key = sa.tuple_(*(event_delivery.c[name] for name in names))
    sent = sa.update(event_delivery).where(key.in_(rows), event_delivery.c.state == SendState.DUE)
    await connection.execute(sent.values(state=SendState.SENT, error=None, done_at=now))


async def due_subscriptions(connection: AsyncConnection, now: datetime) -> list[Row[Any]]:
    """The subscriptions that are not ended and have something due."""
    due = (
        sa.exists()
        .where(
            event_delivery.c.subscription_id == subscription.c.subscription_id,
            event_delivery.c.state == SendState.DUE,
            event_delivery.c.due_at <= now,
        )
        .correlate(subscription)
    )
    query = sa.select(subscription).where(*of_others(), due)
    return list(await connection.execute(query))


def of_others() -> tuple[sa.ColumnElement[bool], ...]:
    """The subscriptions that are not ended and whose callback is somebody's address."""
    return subscription.c.ended_at.is_(None), ~subscription.c.callback.startswith(INTERNAL)


async def drop_due(connection: AsyncConnection, subscription_id: UUID, now: datetime) -> None:
    """Nothing more goes to a subscription that ended."""
    gone = sa.update(event_delivery).where(
        event_delivery.c.subscription_id == subscription_id, event_delivery.c.state == SendState.DUE
    )
    await connection.execute(gone.values(state=SendState.DROPPED, done_at=now))


async def forget_done(connection: AsyncConnection, before: datetime, limit: int) -> int:
    """Delete rows of deliveries that were done before a time; the events themselves stay."""
    old = (
        sa.select(
            event_delivery.c.shard,
            event_delivery.c.account_id,
            event_delivery.c.subscription_id,
            event_delivery.c.event_id,
        )
        .where(event_delivery.c.state.in_([SendState.SENT, SendState.DROPPED]), event_delivery.c.done_at < before)
        .limit(limit)
    )
    key = sa.tuple_(
        event_delivery.c.shard, event_delivery.c.account_id, event_delivery.c.subscription_id, event_delivery.c.event_id
    )
    return (await connection.execute(sa.delete(event_delivery).where(key.in_(old)))).rowcount


async def again(connection: AsyncConnection, subscription_id: UUID, event_ids: Sequence[UUID], now: datetime) -> int:
    """Let parked deliveries be due as if they had never been tried; of no ids all of the subscription's."""
    parked = sa.update(event_delivery).where(
        event_delivery.c.subscription_id == subscription_id, event_delivery.c.state == SendState.PARKED
    )
    if event_ids:
        parked = parked.where(event_delivery.c.event_id.in_(event_ids))
    values = {"state": SendState.DUE, "attempts": 0, "due_at": now, "made_at": now, "done_at": None, "error": None}
    return (await connection.execute(parked.values(values))).rowcount


def _is(row: tuple[int, UUID, UUID, UUID]) -> tuple[sa.ColumnElement[bool], ...]:
    names = ("shard", "account_id", "subscription_id", "event_id")
    return tuple(event_delivery.c[name] == value for name, value in zip(names, row, strict=True))
