"""Places in the dialogs that a short dialled code leads back to: from the same line, once, for a while.

A code has few digits, because it is typed on a phone. That is enough: it opens nothing but what its own line was
doing, it was drawn for that line alone, and what it leads to asks before money moves.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.dialogs.tables import recovery_code
from engine.words import LineRef

CODE_DIGITS = 4
#: draws until a code is free; a line that has used up so many of its own in an hour is no person
DRAWS_MOST = 8


class KeptPlace(NamedTuple):
    """What a code leads back to: the place as it was kept, and what the keys of its money steps are derived from."""

    #: as JSON holds it
    place: Any
    origin: UUID


async def keep_place(connection: AsyncConnection, line: LineRef, kept: KeptPlace, minutes: int) -> str:
    """A fresh code of ``CODE_DIGITS`` digits that leads back there for so many minutes; empty where none is free."""
    now, columns = datetime.now(UTC), recovery_code.c
    values = {"place": kept.place, "origin": kept.origin, "expires_at": now + timedelta(minutes=minutes)}
    for _ in range(DRAWS_MOST):
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
        write = insert(recovery_code).values(**line._asdict(), code=code, **values)
        taking = write.on_conflict_do_update(
            index_elements=[columns.shard, columns.account_id, columns.line_id, columns.code],
            set_={**values, "used_by": None},
            where=columns.expires_at <= now,
        ).returning(columns.code)
        if (await connection.execute(taking)).first() is not None:
            return code
    return ""


class Places:
    """The codes of one installation."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def place_of(self, line: LineRef, code: str, by: UUID) -> KeptPlace | None:
        """What a code dialled from this line leads to; None where it leads nowhere, or not any more.

        ``by``: the session that dials it. It alone finds the place again, so that a session which was lost and is
        played from the start comes to the same screen.
        """
        kept = recovery_code.c
        use = (
            sa.update(recovery_code)
            .where(
                _of(line, code),
                kept.expires_at > datetime.now(UTC),
                sa.func.coalesce(kept.used_by, by) == by,
            )
            .values(used_by=by)
            .returning(kept.place, kept.origin)
        )
        async with self._database.begin() as connection:
            row = (await connection.execute(use)).first()
        return None if row is None else KeptPlace(row.place, row.origin)

    async def leave_place(self, line: LineRef, code: str, by: UUID) -> None:
        """Let a code that ``by`` has dialled lead there once more: it could not go on there yet."""
        kept = recovery_code.c
        leave = (
            sa.update(recovery_code)
            .where(
                _of(line, code),
                kept.used_by == by,
            )
            .values(used_by=None)
        )
        async with self._database.begin() as connection:
            await connection.execute(leave)

    async def tidy(self) -> int:
        """Forget the codes whose time is over. Returns how many went."""
        old = sa.delete(recovery_code).where(recovery_code.c.expires_at < datetime.now(UTC))
        async with self._database.begin() as connection:
            return (await connection.execute(old)).rowcount


def _of(line: LineRef, code: str) -> sa.ColumnElement[bool]:
    kept = recovery_code.c
    owner = (kept.shard == line.shard, kept.account_id == line.account_id, kept.line_id == line.line_id)
    return sa.and_(*owner, kept.code == code)
