"""The SQL of delivery: claims, attempts with their history, reports, and the wishes that stand before a claim.

Whoever touches ``carrier_message`` and ``outbox`` touches them in that order, the former's rows sorted, so that
attempts and reports of the same messages wait for each other instead of locking each other out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Row, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.accounts.store import among
from engine.books.tables import OutboxState, outbox
from engine.notices.tables import carrier_message, delivery, notice_count, preference
from engine.storage.bulk import arrays, insert_sql, unfolded
from engine.words import Channel, DeliveryState, LineRef, Preferences

#: their bodies hold a secret: once it was sent, or given up, that goes
TOPICS_WITH_CODE = ("security.link_code", "security.sign_in_code", "security.erasure_code")
#: what a dialog said, maybe to whose number money goes: once it was sent, that goes; what was not, staff may send again
SAID = "reply"

#: where a message lies: shard and id
MessageRef = tuple[int, UUID]


class Event(NamedTuple):
    """One row of history."""

    shard: int
    message_id: UUID
    event_id: UUID
    state: DeliveryState
    carrier: str | None
    error: str | None
    at: datetime


class Outcome(NamedTuple):
    """What one attempt came to, as the outbox keeps it."""

    shard: int
    message_id: UUID
    state: OutboxState
    #: None leaves it
    due_at: datetime | None
    sent_at: datetime | None
    handed_to: str | None
    delivery: DeliveryState
    carrier: str | None
    error: str | None


class Name(NamedTuple):
    """A carrier's name for a message."""

    shard: int
    carrier: str
    carrier_id: str
    message_shard: int | None
    message_id: UUID | None
    state: DeliveryState
    error: str | None
    reported_as: str | None
    seen_at: datetime


def _raised(now: str, heard: str) -> str:
    """The higher of two states; of equal rank the first that was known."""
    rank = "CASE {} WHEN 'queued' THEN 0 WHEN 'sent' THEN 1 ELSE 2 END"
    return f"CASE WHEN {rank.format(heard)} > {rank.format(now)} THEN {heard} ELSE {now} END"


# -- claims ------------------------------------------------------------------------------------------------------------


async def claim(
    connection: AsyncConnection, priority: int, limit: int, now: datetime, lease: timedelta
) -> Sequence[RowMapping]:
    """Take rows of one priority that are due, oldest first, and that nobody else is taking."""
    due = (
        sa.select(outbox.c.shard, outbox.c.message_id)
        .where(outbox.c.state == OutboxState.DUE, outbox.c.priority == priority, outbox.c.due_at <= now)
        .order_by(outbox.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = (
        sa.update(outbox)
        .where(outbox.c.shard == due.c.shard, outbox.c.message_id == due.c.message_id)
        .values(due_at=now + lease, attempts=sa.func.least(outbox.c.attempts + 1, 30_000))
        .returning(outbox)
    )
    rows: Sequence[RowMapping] = (await connection.execute(taken)).mappings().all()
    return rows


async def postpone(connection: AsyncConnection, held: Mapping[MessageRef, datetime], *, counted: bool) -> None:
    """Let messages be due later without having been tried. ``counted``: they were let through the gate before."""
    if not held:
        return
    rows = [(*ref, until) for ref, until in held.items()]
    sql = f"""
        UPDATE outbox o SET due_at = v.due_at, attempts = greatest(o.attempts - 1, {int(counted)})
        FROM {unfolded(outbox, ["shard", "message_id", "due_at"])}
        WHERE o.shard = v.shard AND o.message_id = v.message_id AND o.state = '{OutboxState.DUE}'"""
    await connection.exec_driver_sql(sql, arrays(outbox, ("shard", "message_id", "due_at"), rows))


async def hand(connection: AsyncConnection, handed: Sequence[tuple[int, UUID, str]]) -> None:
    """Note which carrier each message is being given to."""
    columns = ("shard", "message_id", "handed_to")
    sql = f"""
        UPDATE outbox o SET handed_to = v.handed_to FROM {unfolded(outbox, columns)}
        WHERE o.shard = v.shard AND o.message_id = v.message_id AND o.state = '{OutboxState.DUE}'"""
    await connection.exec_driver_sql(sql, arrays(outbox, columns, handed))


async def count_notices(
    connection: AsyncConnection, told: Mapping[tuple[LineRef, str], int], day: date
) -> dict[tuple[LineRef, str], int]:
    """Add to how often each line was told of each topic on ``day``; the counts after that."""
    rows = sorted((*line, topic, count) for (line, topic), count in told.items())
    columns = ("shard", "account_id", "line_id", "topic", "count")
    sql = f"""
        INSERT INTO notice_count AS c (shard, account_id, line_id, topic, day, count)
        SELECT v.shard, v.account_id, v.line_id, v.topic, %(day)s, v.count FROM {unfolded(notice_count, columns)}
        ON CONFLICT (shard, account_id, line_id, topic, day)
        DO UPDATE SET count = least(c.count + excluded.count, 30000)
        RETURNING shard, account_id, line_id, topic, count"""
    counted = await connection.exec_driver_sql(sql, {**arrays(notice_count, columns, rows), "day": day})
    return {
        (LineRef(row["shard"], row["account_id"], row["line_id"]), row["topic"]): row["count"]
        for row in counted.mappings()
    }


# -- wishes ---------------------------------------------------------------------------------------------------


async def wishes(connection: AsyncConnection, lines: Iterable[LineRef]) -> dict[LineRef, Preferences]:
    """What these lines asked for; those that asked for nothing are left out."""
    rows = await connection.execute(sa.select(preference).where(among(preference, lines)))
    return {LineRef(row.shard, row.account_id, row.line_id): _preferences(row) for row in rows}


def _preferences(row: Row[Any]) -> Preferences:
    return Preferences(
        channel=Channel(row.channel),
        quiet_hours=None if row.quiet_from is None else (row.quiet_from, row.quiet_to),
        muted=tuple(row.muted),
        opted_out=row.opted_out_at is not None,
    )


# -- attempts and reports ----------------------------------------------------------------------------------------------

_OUTCOMES = f"""
    UPDATE outbox o SET state = v.state, due_at = coalesce(v.due_at, o.due_at),
        sent_at = coalesce(v.sent_at, o.sent_at), handed_to = v.handed_to,
        delivery = {_raised("o.delivery", "v.delivery")},
        carrier = coalesce(v.carrier, o.carrier), error = v.error,
        body = CASE WHEN v.state = '{OutboxState.SENT}' AND o.topic = '{SAID}'
            OR v.state <> '{OutboxState.DUE}' AND o.topic IN {TOPICS_WITH_CODE} THEN '{{}}' ELSE o.body END
    FROM {unfolded(outbox, Outcome._fields)}
    WHERE o.shard = v.shard AND o.message_id = v.message_id AND o.state = '{OutboxState.DUE}'"""

_HISTORY = insert_sql(delivery, Event._fields)

# A name that is known with a message belongs to the newest one: some carriers count their ids round.
_ATTEMPTS = f"""
    {insert_sql(carrier_message, Name._fields)}
    ON CONFLICT (shard, carrier, carrier_id) DO UPDATE SET
        message_shard = excluded.message_shard, message_id = excluded.message_id, seen_at = excluded.seen_at,
        state = CASE WHEN carrier_message.message_id IS NULL THEN carrier_message.state ELSE excluded.state END,
        error = CASE WHEN carrier_message.message_id IS NULL THEN carrier_message.error END
    RETURNING carrier, carrier_id, message_shard, message_id, state, error, reported_as"""

_WAITING = f"""
    {insert_sql(carrier_message, Name._fields)}
    ON CONFLICT (shard, carrier, carrier_id) DO UPDATE SET
        state = {_raised("carrier_message.state", "excluded.state")}, error = excluded.error
    WHERE carrier_message.message_id IS NULL
    RETURNING carrier, carrier_id"""

_LOOK = f"""
    SELECT m.shard, m.carrier, m.carrier_id, m.message_shard, m.message_id, m.state
    FROM {unfolded(carrier_message, ["shard", "carrier", "carrier_id"])}
    JOIN carrier_message m USING (shard, carrier, carrier_id)
    WHERE m.message_id IS NOT NULL ORDER BY m.shard, m.carrier, m.carrier_id FOR NO KEY UPDATE OF m"""

_REPORTED = f"""
    UPDATE carrier_message m SET state = v.state, error = v.error
    FROM {unfolded(carrier_message, ["shard", "carrier", "carrier_id", "state", "error"])}
    WHERE m.shard = v.shard AND m.carrier = v.carrier AND m.carrier_id = v.carrier_id"""

_HEARD = f"""
    UPDATE outbox o SET delivery = {_raised("o.delivery", "v.delivery")}, error = coalesce(v.error, o.error)
    FROM {unfolded(outbox, ["shard", "message_id", "delivery", "error"])}
    WHERE o.shard = v.shard AND o.message_id = v.message_id"""

_FORGET_SPELLINGS = f"""
    DELETE FROM carrier_message m USING {unfolded(carrier_message, ["carrier", "reported_as"])}
    WHERE m.carrier = v.carrier AND m.reported_as = v.reported_as AND m.message_id IS NULL"""


async def _run(connection: AsyncConnection, sql: str, table: sa.Table, columns: Sequence[str], rows: Any) -> Any:
    return await connection.exec_driver_sql(sql, arrays(table, columns, rows))


async def name_messages(connection: AsyncConnection, names: Sequence[Name]) -> Sequence[Row[Any]]:
    """Keep what the carriers call the messages. Returns the names as they stand.

    A state above ``sent`` is a report that was waiting.
    """
    # One statement must not touch a row twice; of two messages under one name the later one stays.
    latest = {name[:3]: name for name in sorted(names, key=lambda name: name[:3])}
    found = await _run(connection, _ATTEMPTS, carrier_message, Name._fields, list(latest.values()))
    rows: Sequence[Row[Any]] = found.all()
    spellings = [(row.carrier, row.reported_as) for row in rows if row.reported_as is not None]
    if spellings:
        await _run(connection, _FORGET_SPELLINGS, carrier_message, ("carrier", "reported_as"), spellings)
    return rows


async def keep_outcomes(connection: AsyncConnection, outcomes: Sequence[Outcome]) -> None:
    """Write what attempts came to; a row that is due no longer was settled by someone else."""
    await _run(connection, _OUTCOMES, outbox, Outcome._fields, outcomes)


async def keep_history(connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Append to the history."""
    if events:
        await _run(connection, _HISTORY, delivery, Event._fields, events)


async def look_up(connection: AsyncConnection, names: Sequence[tuple[int, str, str]]) -> Sequence[Row[Any]]:
    """The messages that carry these names, their names locked."""
    found = await _run(connection, _LOOK, carrier_message, ("shard", "carrier", "carrier_id"), names)
    rows: Sequence[Row[Any]] = found.all()
    return rows


async def keep_waiting(connection: AsyncConnection, names: Sequence[Name]) -> set[tuple[str, str]]:
    """Keep reports on nothing known so far. Returns the (carrier, id) that wait; the others have become known."""
    latest = {name[:3]: name for name in sorted(names, key=lambda name: name[:3])}
    found = await _run(connection, _WAITING, carrier_message, Name._fields, list(latest.values()))
    return {(row.carrier, row.carrier_id) for row in found}


async def keep_reports(
    connection: AsyncConnection,
    named: Sequence[tuple[int, str, str, DeliveryState, str | None]],
    heard: Sequence[tuple[int, UUID, DeliveryState, str | None]],
) -> None:
    """Raise the states of names and of their messages."""
    if named:
        await _run(connection, _REPORTED, carrier_message, ("shard", "carrier", "carrier_id", "state", "error"), named)
    if heard:
        await _run(connection, _HEARD, outbox, ("shard", "message_id", "delivery", "error"), heard)
