"""Sessions from outside a request: finding them, letting go what nobody reports, forgetting what is over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.books.service import Door
from engine.storage.sharding import new_id
from engine.usage.tables import ReservationState, reservation, session
from engine.words import AccountRef, EngineUnavailable, LineRef, OpenSession, ReleaseOverdue
from engine.words.sessions import session_uuid
from settings import Operator

log = structlog.get_logger(__name__)

#: How long an ended session is remembered: reports that come late must find what was counted before.
REMEMBERED = timedelta(days=7)


#: Rating groups of one account that are taken to be overdue together.
GROUPS = 4


class Sessions:
    """The charging sessions of one operator."""

    def __init__(self, database: AsyncEngine, operator: Operator, door: Door) -> None:
        """What is let go goes through ``door``, under its account's lock."""
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._grace = timedelta(seconds=operator.quota.grace_seconds)
        self._door = door

    async def find_session(self, interface: str, session_id: str) -> OpenSession | None:
        """The session of this name, open or ended not long ago; None if there is none."""
        found = await self._sessions(
            session.c.session_id == session_uuid(interface, session_id), order=session.c.opened_at.desc()
        )
        return found[0] if found else None

    async def open_sessions(self, account: AccountRef) -> list[OpenSession]:
        """The sessions of an account that are open: who has to be told when its rules change."""
        return await self._sessions(
            session.c.shard == account.shard,
            session.c.account_id == account.account_id,
            session.c.closed_at.is_(None),
            order=session.c.opened_at,
        )

    async def sessions_of_node(
        self, interface: str, node: str, before: datetime, most: int = 1000
    ) -> list[OpenSession]:
        """Open sessions of a network element that began before it started anew: each is to be released."""
        return await self._sessions(
            session.c.interface == interface,
            session.c.node == node,
            session.c.node != "",
            session.c.closed_at.is_(None),
            session.c.opened_at < before,
            order=session.c.opened_at,
            most=most,
        )

    async def expire_sessions(self, limit: int = 1000) -> int:
        """Let go what sessions of at most ``limit`` accounts hold beyond validity and grace. Returns how many did.

        Safe to run twice and by several processes at once: what is overdue is looked at again under the account's
        lock, and the same reservations make the same key.
        """
        until = datetime.now(UTC) - self._grace
        # The oldest first, and only so many: when a network element dies, all of its sessions are overdue at once.
        oldest = (
            sa.select(reservation.c.shard, reservation.c.account_id, reservation.c.expires_at)
            .where(reservation.c.state == ReservationState.OPEN, reservation.c.expires_at <= until)
            .order_by(reservation.c.expires_at)
            .limit(limit * GROUPS)
            .subquery()
        )
        overdue = (
            sa.select(oldest.c.shard, oldest.c.account_id, sa.func.max(oldest.c.expires_at))
            .group_by(oldest.c.shard, oldest.c.account_id)
            .limit(limit)
        )
        async with self._reads.connect() as connection:
            due = (await connection.execute(overdue)).all()
        operations = [
            ReleaseOverdue(
                account=AccountRef(shard, account_id),
                key=uuid5(NAMESPACE_OID, f"overdue|{account_id}|{latest.isoformat()}"),
                asked_at=until,
                source="schedule:sessions",
            )
            for shard, account_id, latest in due
        ]
        answers = await asyncio.gather(*(self._door.post(one) for one in operations))
        return sum(answer.ok for answer in answers)

    async def line_changed(self, line: LineRef) -> None:
        """Let the network hear at once what a line may use that was given another status.

        Should it not come to that, the line's next operation tells it, and no quota lasts beyond its validity.
        """
        now = datetime.now(UTC)
        overdue = ReleaseOverdue(
            account=line.account,
            line_id=line.line_id,
            key=new_id(),
            asked_at=now - self._grace,
            source="schedule:status",
        )
        try:
            await self._door.post(overdue)
        except EngineUnavailable:
            log.warning("line_status_not_told", line_id=str(line.line_id))

    async def forget_sessions(self, limit: int = 5000) -> int:
        """Delete sessions that ended, or were last heard of, a week ago. Returns how many, up to ``limit``."""
        over = datetime.now(UTC) - REMEMBERED
        silent = sa.and_(
            session.c.closed_at.is_(None),
            session.c.opened_at < over,
            ~sa.exists().where(
                reservation.c.shard == session.c.shard,
                reservation.c.account_id == session.c.account_id,
                reservation.c.session_id == session.c.session_id,
                sa.or_(reservation.c.state == ReservationState.OPEN, reservation.c.reported_at >= over),
            ),
        )
        chosen = (
            sa.select(session.c.shard, session.c.account_id, session.c.session_id)
            .where(sa.or_(session.c.closed_at < over, silent))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._database.begin() as connection:
            keys = [tuple(row) for row in await connection.execute(chosen)]
            if keys:
                for table in (reservation, session):
                    which = sa.tuple_(table.c.shard, table.c.account_id, table.c.session_id).in_(keys)
                    await connection.execute(table.delete().where(which))
        return len(keys)

    async def _sessions(self, *which: sa.ColumnElement[bool], order: Any, most: int = 1000) -> list[OpenSession]:
        query = (
            sa.select(session, sa.func.array_remove(sa.func.array_agg(reservation.c.rating_group), None))
            .select_from(
                session.outerjoin(
                    reservation,
                    sa.and_(
                        reservation.c.shard == session.c.shard,
                        reservation.c.account_id == session.c.account_id,
                        reservation.c.session_id == session.c.session_id,
                        reservation.c.state == ReservationState.OPEN,
                    ),
                )
            )
            .where(*which)
            .group_by(session.c.shard, session.c.account_id, session.c.session_id)
            .order_by(order)
            .limit(most)
        )
        async with self._reads.connect() as connection:
            rows: Sequence[Any] = (await connection.execute(query)).all()
        return [_open(row) for row in rows]


def _open(row: Any) -> OpenSession:
    return OpenSession(
        line=LineRef(row.shard, row.account_id, row.line_id),
        interface=row.interface,
        session_id=row.name.partition("\n")[0],
        node=row.node,
        notify=row.notify,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        rating_groups=tuple(sorted(row[-1])),
    )
