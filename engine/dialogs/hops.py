"""What people do on the screens of the dialogs: every answered hop of some sessions, and the funnel over them.

A row names no person: a session is a keyed digest, and nothing that was typed is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.dialogs.tables import dialog_hop
from engine.storage.sharding import shard_of

#: hops are remembered so long
REMEMBERED = timedelta(days=30)
#: a session in which nothing came for so long is over; what comes then under its name is another one
SILENCE = timedelta(minutes=10)


class Hop(NamedTuple):
    """One screen that a person was shown."""

    #: keyed digest
    session: bytes
    at: datetime
    gateway: str
    language: str
    state: str
    #: the screen ended the session
    ends: bool


class ScreenUse(NamedTuple):
    """What people did on one screen."""

    state: str
    shown: int
    #: sessions that were left on it, though it did not end them
    left: int
    #: seconds until the answer: the median, and what one in ten takes longer than
    seconds: float
    slow_seconds: float


class Hops:
    """The stored hops of one installation."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def keep(self, hops: Sequence[Hop]) -> None:
        """Store some hops in one statement; one that is there already is left as it is."""
        rows = [{"shard": shard_of(hop.session), **hop._asdict()} for hop in hops]
        async with self._database.begin() as connection:
            await connection.execute(insert(dialog_hop).on_conflict_do_nothing(), rows)

    async def funnel(
        self, since: datetime, until: datetime | None = None, gateway: str | None = None, language: str | None = None
    ) -> list[ScreenUse]:
        """What was done on each screen between two moments, the screens shown most often first.

        Sessions that may still go on are left out: those heard of within ``SILENCE`` before now.
        """
        hop = dialog_hop.c
        within = [hop.at >= since, hop.at < (until or datetime.now(UTC))]
        within += [hop.gateway == gateway] if gateway is not None else []
        within += [hop.language == language] if language is not None else []
        following = sa.func.lead(hop.at).over(partition_by=(hop.shard, hop.session), order_by=hop.at)
        pause = sa.case((following - hop.at < SILENCE, following - hop.at))
        hops = sa.select(hop.state, hop.at, hop.ends, pause.label("pause"), following.label("following")).where(*within)
        step = hops.subquery().c
        over = sa.or_(step.following.is_not(None), step.at < datetime.now(UTC) - SILENCE)
        seconds = sa.extract("epoch", step.pause)
        query = (
            sa.select(
                step.state,
                sa.func.count().label("shown"),
                sa.func.count().filter(step.pause.is_(None), ~step.ends).label("left"),
                sa.func.coalesce(sa.func.percentile_cont(0.5).within_group(seconds), 0).label("seconds"),
                sa.func.coalesce(sa.func.percentile_cont(0.9).within_group(seconds), 0).label("slow"),
            )
            .where(sa.or_(step.ends, over))
            .group_by(step.state)
            .order_by(sa.desc("shown"), step.state)
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [ScreenUse(row.state, row.shown, row.left, float(row.seconds), float(row.slow)) for row in rows]

    async def tidy(self) -> int:
        """Forget hops of long ago. Returns how many went."""
        old = sa.delete(dialog_hop).where(dialog_hop.c.at < datetime.now(UTC) - REMEMBERED)
        async with self._database.begin() as connection:
            return (await connection.execute(old)).rowcount
