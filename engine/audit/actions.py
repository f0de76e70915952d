"""What staff did, for auditors: page by page, of everybody or of one, of everything or of one kind."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.audit.tables import staff_action
from engine.words import AccountRef

#: actions in one page
MOST = 1000

Key = tuple[datetime, UUID]


class Action(NamedTuple):
    """Something that somebody did."""

    action_id: UUID
    at: datetime
    by: str
    #: ``line.status``, ``dispute.resolve`` …; ``….refused`` where it came to nothing
    what: str
    why: str
    detail: dict[str, Any]
    account: AccountRef | None
    line_id: UUID | None


class Actions:
    """The staff actions of one installation, for reading."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def page(
        self,
        *,
        by: str | None = None,
        what: str | None = None,
        since: datetime | None = None,
        after: Key | None = None,
        limit: int = 50,
    ) -> list[Action]:
        """Actions from ``after`` (time and id of one) back in time. ``what`` is a whole name, or its first words."""
        columns = staff_action.c
        order = (columns.at, columns.action_id)
        query = sa.select(staff_action).order_by(*(one.desc() for one in order)).limit(min(limit, MOST))
        if by:
            query = query.where(columns.by == by)
        if what:
            query = query.where(sa.or_(columns.what == what, columns.what.startswith(f"{what}.", autoescape=True)))
        if since is not None:
            query = query.where(columns.at >= since)
        if after is not None:
            query = query.where(sa.tuple_(*order) < sa.tuple_(*after))
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Action(
                *(row.action_id, row.at, row.by, row.what, row.why, row.detail),
                None if row.account_id is None else AccountRef(row.shard, row.account_id),
                row.line_id,
            )
            for row in rows
        ]
