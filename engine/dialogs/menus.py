"""Menus that stand for a message: pushed to a phone's screen, and told by a text instead where nobody answered.

One row says by which way a message is told. Whoever delivers it and whoever serves the answer settle it there, so a
message is told as a menu that was answered, or as a text, and never as both by accident.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.dialogs.tables import PushState, pushed_menu

#: where a message lies: shard and id
MessageRef = tuple[int, UUID]
#: what is remembered of a menu outlives every retry of its message
REMEMBERED = timedelta(days=7)


class Menus:
    """The pushed menus of one installation."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def begin_menu(self, message: MessageRef) -> bool:
        """Note that a message is about to be pushed. True for the one who noted it first, and pushes."""
        shard, message_id = message
        row = {"shard": shard, "message_id": message_id, "state": PushState.BEGUN, "begun_at": datetime.now(UTC)}
        write = insert(pushed_menu).values(row).on_conflict_do_nothing().returning(pushed_menu.c.shard)
        async with self._database.begin() as connection:
            return (await connection.execute(write)).first() is not None

    async def menu(self, message: MessageRef) -> tuple[PushState, datetime] | None:
        """What has become of a message's menu, and when it was begun; None where there is none."""
        query = sa.select(pushed_menu.c.state, pushed_menu.c.begun_at).where(*_at(message))
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else (PushState(row.state), row.begun_at)

    async def menu_refused(self, message: MessageRef) -> None:
        """Nobody has shown it."""
        await self._settle(message, PushState.REFUSED)

    async def menu_texted(self, message: MessageRef) -> bool:
        """Nobody has answered it: the text goes. False where somebody has meanwhile."""
        return await self._settle(message, PushState.TEXTED)

    async def menu_answered(self, message: MessageRef) -> None:
        """Its person has typed something: the message has been read."""
        await self._settle(message, PushState.ANSWERED)

    async def _settle(self, message: MessageRef, state: PushState) -> bool:
        """From ``begun`` to what it became: the first word counts."""
        settled = (
            sa.update(pushed_menu).where(*_at(message), pushed_menu.c.state == PushState.BEGUN).values(state=state)
        )
        async with self._database.begin() as connection:
            return (await connection.execute(settled)).rowcount > 0

    async def tidy(self) -> int:
        """Forget menus of long ago. Returns how many went."""
        old = sa.delete(pushed_menu).where(pushed_menu.c.begun_at < datetime.now(UTC) - REMEMBERED)
        async with self._database.begin() as connection:
            return (await connection.execute(old)).rowcount


def _at(message: MessageRef) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    shard, message_id = message
    return pushed_menu.c.shard == shard, pushed_menu.c.message_id == message_id
