"""Watching what single lines cannot show: many wrong voucher numbers on many lines at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.books.tables import outbox
from engine.events.alarms import Alarms
from engine.guard.tables import guard_event
from engine.notices.outbox import message_row
from engine.storage.locks import AdvisoryLock
from engine.storage.sharding import new_id
from settings import Operator

#: How far back wrong numbers are counted, and how long one alarm stands for them.
WINDOW = timedelta(minutes=5)

ALARM = "alarm.voucher_guessing"


async def watch_vouchers(database: AsyncEngine, operator: Operator, alarms: Alarms) -> int:
    """Count wrong voucher numbers on all lines in the last minutes and alarm the operator, once per window.

    Returns the count. Safe in several processes at once: the decision is taken under one advisory lock.
    """
    now = datetime.now(UTC)
    tries = sa.select(sa.func.coalesce(sa.func.sum(guard_event.c.count), 0)).where(
        guard_event.c.kind == "wrong_voucher", guard_event.c.seen_at > now - WINDOW
    )
    raised = sa.exists().where(guard_event.c.kind == ALARM, guard_event.c.seen_at > now - WINDOW).select()
    async with database.begin() as connection:
        count = int((await connection.execute(tries)).scalar_one())
        if count < operator.vouchers.alarm_tries:
            return count
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(AdvisoryLock.WATCH_VOUCHERS)))
        if (await connection.execute(raised)).scalar_one():
            return count
        event = {"shard": 0, "event_id": new_id(), "kind": ALARM, "count": count, "seen_at": now}
        await connection.execute(sa.insert(guard_event).values(event))
        body = {"tries": count, "minutes": int(WINDOW.total_seconds()) // 60}
        await connection.execute(sa.insert(outbox).values(message_row(0, new_id(), ALARM, body, now)))
    await alarms.raise_alarm("guard.voucher_guessing", **body)
    return count
