"""The SQL of what staff asks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_once
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.books.tables import outbox
from engine.staff.tables import staff_member, staff_request
from engine.words import (
    AccountRef,
    LineRef,
    LineStatus,
    RequestKind,
    RequestState,
    StaffRequest,
    Unit,
)

_ASKER, _DECIDER = staff_member.alias("asker"), staff_member.alias("decider")
_PLAIN = (
    *("request_id", "amount", "subject", "why", "asked_at", "alone"),
    *("decided_why", "decided_at", "outcome", "reference", "done_at"),
)
_ALL = (
    sa.select(staff_request, _ASKER.c.name.label("asker"), _DECIDER.c.name.label("decider"))
    .join(_ASKER, _ASKER.c.staff_id == staff_request.c.asked_by)
    .outerjoin(_DECIDER, _DECIDER.c.staff_id == staff_request.c.decided_by)
)
_OPEN = staff_request.c.state == RequestState.PENDING.value


def _request(row: Row[Any]) -> StaffRequest:
    return StaffRequest(
        **{name: getattr(row, name) for name in _PLAIN},
        kind=RequestKind(row.kind),
        line=LineRef(row.shard, row.account_id, row.line_id),
        unit=None if row.unit is None else Unit(row.unit),
        status=None if row.status is None else LineStatus(row.status),
        state=RequestState(row.state),
        asked_by=row.asker,
        decided_by=row.decider,
    )


async def lock_person(connection: AsyncConnection, staff_id: UUID) -> None:
    """Let nobody else count what this person moved before the end of the transaction."""
    await connection.execute(
        sa.select(staff_member.c.staff_id).where(staff_member.c.staff_id == staff_id).with_for_update()
    )


async def moved_alone(connection: AsyncConnection, staff_id: UUID, unit: Unit, since: datetime) -> int:
    """What a person moved of a unit without a second one, both ways together. What failed counts too."""
    query = sa.select(sa.func.coalesce(sa.func.sum(sa.func.abs(staff_request.c.amount)), 0)).where(
        staff_request.c.asked_by == staff_id,
        staff_request.c.asked_at > since,
        staff_request.c.unit == unit.value,
        staff_request.c.alone,
    )
    return int((await connection.execute(query)).scalar_one())


async def insert(connection: AsyncConnection, **values: Any) -> bool:
    """A new request; False where this very one is there already."""
    written = insert_once(staff_request).values(values).on_conflict_do_nothing(index_elements=["request_id"])
    return (await connection.execute(written.returning(staff_request.c.request_id))).first() is not None


async def find(connection: AsyncConnection, request_id: UUID) -> StaffRequest | None:
    """A request by id."""
    row = (await connection.execute(_ALL.where(staff_request.c.request_id == request_id))).first()
    return None if row is None else _request(row)


async def decide(connection: AsyncConnection, request_id: UUID, since: datetime, **values: Any) -> bool:
    """Decide on a request that is pending and was asked for after ``since``; False if it is not."""
    changed = (
        sa.update(staff_request)
        .where(staff_request.c.request_id == request_id, _OPEN, staff_request.c.asked_at > since)
        .values(values)
        .returning(staff_request.c.request_id)
    )
    return (await connection.execute(changed)).first() is not None


async def finish(connection: AsyncConnection, request_id: UUID, **values: Any) -> bool:
    """Keep what became of an approved request; False where that is known already."""
    approved = staff_request.c.state == RequestState.APPROVED.value
    changed = sa.update(staff_request).where(staff_request.c.request_id == request_id, approved).values(values)
    return (await connection.execute(changed.returning(staff_request.c.request_id))).first() is not None


async def expire(connection: AsyncConnection, until: datetime, limit: int) -> list[StaffRequest]:
    """End what waited since before ``until``; returns what that was."""
    old = sa.select(staff_request.c.request_id).where(_OPEN, staff_request.c.asked_at <= until).limit(limit)
    ended = (
        sa.update(staff_request)
        .where(staff_request.c.request_id.in_(old.with_for_update(skip_locked=True)))
        .values(state=RequestState.EXPIRED.value)
        .returning(staff_request.c.request_id)
    )
    ids = list(await connection.scalars(ended))
    rows = await connection.execute(_ALL.where(staff_request.c.request_id.in_(ids))) if ids else ()
    return [_request(row) for row in rows]


async def left_behind(connection: AsyncConnection, until: datetime, limit: int) -> list[UUID]:
    """Requests approved before ``until`` whose doer is gone."""
    since = sa.func.coalesce(staff_request.c.decided_at, staff_request.c.asked_at)
    approved = staff_request.c.state == RequestState.APPROVED.value
    query = sa.select(staff_request.c.request_id).where(approved, since < until).order_by(staff_request.c.asked_at)
    return list(await connection.scalars(query.limit(limit)))


async def page(
    connection: AsyncConnection,
    states: Sequence[RequestState],
    account: AccountRef | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[StaffRequest]:
    """Requests, the newest first; ``after`` is when the last one of the page before was asked for, and its id."""
    order = (staff_request.c.asked_at, staff_request.c.request_id)
    query = _ALL.order_by(*(one.desc() for one in order)).limit(limit)
    if states:
        query = query.where(staff_request.c.state.in_([one.value for one in states]))
    if account is not None:
        query = query.where(staff_request.c.shard == account.shard, staff_request.c.account_id == account.account_id)
    if after is not None:
        query = query.where(sa.tuple_(*order) < sa.tuple_(*after))
    return [_request(row) for row in await connection.execute(query)]


class Sent(NamedTuple):
    """A message that told of an operation."""

    topic: str
    body: dict[str, Any]


async def receipt_of(connection: AsyncConnection, account: AccountRef, key: UUID, booked_at: datetime) -> Sent | None:
    """The message that told of an operation, if one was written in its commit."""
    query = (
        sa.select(outbox.c.topic, outbox.c.body)
        .where(
            outbox.c.shard == account.shard,
            outbox.c.account_id == account.account_id,
            outbox.c.created_at.between(booked_at - timedelta(minutes=1), booked_at + timedelta(minutes=1)),
            outbox.c.operation_key == key,
        )
        .order_by(outbox.c.created_at, outbox.c.message_id)
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    return None if row is None else Sent(row.topic, row.body)
