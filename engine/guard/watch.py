"""Watching what no single line's lock can see: many lines that each try a few wrong voucher numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.storage.sharding import new_id, shard_of
from settings import Operator

WINDOW = timedelta(minutes=5)
TOPIC = "alarm.voucher_guessing"

#: One watcher at a time, over all processes.
_LOCK = sa.text("SELECT pg_advisory_xact_lock(724355)")

# That an alarm was raised is a guard event too: found by index, however large the outbox is.
_RAISE = sa.text(
    """
    WITH seen AS (
        SELECT coalesce(sum(count), 0) AS tries FROM guard_event
        WHERE kind = 'wrong_voucher' AND seen_at > :since AND seen_at <= :now
    ), raised AS (
        INSERT INTO guard_event (shard, event_id, kind, count, seen_at)
        SELECT :shard, :message_id, :topic, tries, :now FROM seen
        WHERE tries >= :alarm_tries
          AND NOT EXISTS (SELECT FROM guard_event WHERE kind = :topic AND seen_at > :since)
        RETURNING count
    )
    INSERT INTO outbox (shard, message_id, topic, body, due_at, created_at)
    SELECT :shard, :message_id, :topic, jsonb_build_object('tries', count, 'minutes', CAST(:minutes AS integer)),
           :now, :now FROM raised
    RETURNING CAST(body->>'tries' AS integer)
    """
)


async def watch_vouchers(database: AsyncEngine, operator: Operator, now: datetime | None = None) -> int | None:
    """Raise an alarm if too many wrong voucher numbers were tried on all lines within five minutes.

    The alarm is one outbox row to the operator, once in five minutes however many processes watch. Returns how many
    tries it tells of, or None if none was raised. Meant to be called every few seconds.
    """
    now = now or datetime.now(UTC)
    message_id = new_id()
    values = {
        "shard": shard_of(message_id.bytes),
        "message_id": message_id,
        "topic": TOPIC,
        "minutes": int(WINDOW.total_seconds() // 60),
        "alarm_tries": operator.vouchers.alarm_tries,
        "since": now - WINDOW,
        "now": now,
    }
    async with database.begin() as connection:
        # In a statement of its own: the next one's snapshot then sees what the last holder wrote.
        await connection.execute(_LOCK)
        tries: int | None = await connection.scalar(_RAISE, values)
    return tries
