"""What lines wish: where they are told things, what they do not want to hear, STOP; and updates that come twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.service import Accounts
from engine.accounts.store import line_ref
from engine.notices import store
from engine.notices.rules import NOTHING_ASKED
from engine.notices.tables import carrier_message, notice_count, preference, seen_update
from engine.storage.sharding import shard_of
from engine.words import Channel, LineRef, Preferences, Subscriber

#: how long an update is remembered: Telegram keeps one for at most 24 hours (Bot API, getting updates)
SEEN_FOR = timedelta(days=3)
#: how long a report waits for its attempt, and a carrier's name for its last report
NAMES_FOR = timedelta(days=14)
#: counts of days gone by
COUNTS_FOR = timedelta(days=3)


class Wishes:
    """The wishes of one operator's lines."""

    def __init__(self, database: AsyncEngine, accounts: Accounts) -> None:
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._accounts = accounts

    async def preferences(self, line: Subscriber | LineRef) -> Preferences:
        """How a line wants to be told things."""
        ref = line_ref(line)
        async with self._reads.connect() as connection:
            return (await store.wishes(connection, [ref])).get(ref, NOTHING_ASKED)

    async def set_preferences(
        self,
        line: Subscriber | LineRef,
        *,
        channel: Channel | None = None,
        quiet_hours: tuple[time, time] | UnsetType | None = UNSET,
        muted: Iterable[str] | None = None,
    ) -> Preferences:
        """Change what is given and leave the rest; ``quiet_hours=None`` takes them away. STOP has its own ``opt_out``.

        Quiet hours are local times of the operator's zone; a start after the end spans midnight.
        """
        values: dict[str, Any] = {}
        if channel is not None:
            values["channel"] = Channel(channel).value
        if quiet_hours is not UNSET:
            start, end = quiet_hours or (None, None)
            values |= {"quiet_from": start, "quiet_to": end}
        if muted is not None:
            values["muted"] = sorted(set(muted))
        ref = line_ref(line)
        await self._write(ref, values)
        return await self.preferences(ref)

    async def opt_out(self, msisdn: str, on: bool) -> bool:  # noqa: FBT001 - STOP or START: the one thing it says
        """STOP (``on``) and START of the line with this number. Returns whether it changed anything.

        Raises ``BadNumber`` and ``UnknownLine``.
        """
        ref = line_ref(await self._accounts.subscriber(msisdn))
        before = await self.preferences(ref)
        if before.opted_out is on:
            return False
        await self._write(ref, {"opted_out_at": datetime.now(UTC) if on else None})
        return True

    async def _write(self, ref: LineRef, values: dict[str, Any]) -> None:
        if not values:
            return
        write = insert(preference).values(**ref._asdict(), **values)
        write = write.on_conflict_do_update(
            index_elements=[preference.c.shard, preference.c.account_id, preference.c.line_id], set_=values
        )
        async with self._database.begin() as connection:
            await connection.execute(write)

    async def first_time(self, app: str, update_id: str) -> bool:
        """Whether an update of a chat app has not been taken before, by any process; it has been from now on."""
        row = {
            "shard": shard_of(f"{app}|{update_id}".encode()),
            "app": app,
            "update_id": update_id,
            "seen_at": datetime.now(UTC),
        }
        write = insert(seen_update).values(row).on_conflict_do_nothing().returning(seen_update.c.shard)
        async with self._database.begin() as connection:
            return (await connection.execute(write)).first() is not None

    async def tidy(self) -> int:
        """Forget what was only to be remembered for a while. Returns how many rows went."""
        now = datetime.now(UTC)
        old: tuple[sa.Delete, ...] = (
            sa.delete(seen_update).where(seen_update.c.seen_at < now - SEEN_FOR),
            sa.delete(carrier_message).where(carrier_message.c.seen_at < now - NAMES_FOR),
            sa.delete(notice_count).where(notice_count.c.day < (now - COUNTS_FOR).date()),
        )
        gone = 0
        for statement in old:
            async with self._database.begin() as connection:
                gone += (await connection.execute(statement)).rowcount
        return gone
