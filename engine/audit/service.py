"""The audit trail at work: writing down what staff does, and sealing history into chains in the background."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.audit import export, rows, store
from engine.audit.rows import Booked, Content
from engine.audit.rules import LATE, LATEST, Kind, Root, Signer, row_leaf, seal
from engine.audit.tables import staff_action
from engine.storage.locks import AdvisoryLock
from engine.storage.sharding import new_id
from engine.words import AccountRef
from runtime.logs import mask

log = structlog.get_logger(__name__)

#: before everything
DAWN = datetime(2000, 1, 1, tzinfo=UTC)
#: how often rows are looked for that were booked by clocks further off than ``LATE``
WIDE_EVERY = timedelta(hours=1)
#: roots that are written to the export in one go
EXPORT_PAGE = 256


class Trail:
    """What staff did, on whom and why, in the same chains as the books."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def record(
        self,
        what: str,
        *,
        by: str,
        why: str,
        account: AccountRef | None = None,
        line_id: UUID | None = None,
        detail: Mapping[str, Any] | None = None,
        connection: AsyncConnection | None = None,
    ) -> UUID:
        """Write down one action, for ever, and return its id.

        ``detail`` holds codes, ids and amounts; runs of digits in ``why`` that may be a number are hidden. With
        ``connection`` it is part of the commit that it tells of. Raises ``ValueError`` if nobody is named.
        """
        if not by.strip():
            raise ValueError("by: who does this must be named")
        action_id = new_id()
        row = {
            "shard": 0 if account is None else account.shard,
            "action_id": action_id,
            "account_id": None if account is None else account.account_id,
            "line_id": line_id,
            "by": by.strip(),
            "what": what,
            "why": mask(why.strip()),
            "detail": dict(detail or {}),
            "at": datetime.now(UTC),
        }
        if connection is not None:
            await connection.execute(sa.insert(staff_action).values(row))
            return action_id
        async with self._database.begin() as own:
            await own.execute(sa.insert(staff_action).values(row))
        return action_id

    @asynccontextmanager
    async def doing(self, what: str, *, by: str, why: str, **more: Any) -> AsyncIterator[None]:
        """Write down an action before it is done, and once more as ``what.refused`` if it raises.

        Before, so that nothing can be done without a trace; takes what ``record`` takes.
        """
        await self.record(what, by=by, why=why, **more)
        try:
            yield
        except Exception as error:
            more["detail"] = {**(more.get("detail") or {}), "error": type(error).__name__}
            await self.record(f"{what}.refused", by=by, why=why, **more)
            raise


class Chain:
    """The chains of all shards. One process seals at a time; it takes no lock that the one door waits for."""

    def __init__(self, database: AsyncEngine, signer: Signer, folder: Path | None) -> None:
        """Roots are exported to ``folder``; without one a cut-off tail goes unseen."""
        self._database = database
        self._signer = signer
        self._folder = folder

    async def seal(self, now: datetime | None = None) -> int | None:
        """Seal what was committed since the last run; returns how many rows, None while another process is at it.

        Every row committed before the run is in the chain after it, however late its commit was: rows are told by
        their transaction's number, their time only narrows the search (``LATE``; once an hour ``LATEST``).
        """
        now = now or datetime.now(UTC)
        async with self._database.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            if not await connection.scalar(sa.select(sa.func.pg_try_advisory_lock(AdvisoryLock.SEAL_HISTORY))):
                return None
            try:
                return await self._run(connection, now)
            finally:
                await connection.execute(sa.select(sa.func.pg_advisory_unlock(AdvisoryLock.SEAL_HISTORY)))

    async def _run(self, writer: AsyncConnection, now: datetime) -> int:
        await self._export(writer)
        wide = await store.progress(writer, "wide")
        name, late = "narrow", LATE
        if wide is not None and now >= wide.run_at + WIDE_EVERY:
            name, late = "wide", LATEST
        async with self._database.connect() as reader:
            # One snapshot for all pages: what it sees is sealed, all else is left to the next run.
            await reader.execution_options(isolation_level="REPEATABLE READ")
            seen = await rows.horizon(reader)
            sealed = await self._seal_seen(reader, writer, name, late, now)
        for each in ("narrow", "wide") if wide is None else (name,):
            await self._keep(writer, each, seen, now)
        if sealed:
            log.info("audit_sealed", rows=sealed, run=name)
        return sealed

    async def _seal_seen(
        self, reader: AsyncConnection, writer: AsyncConnection, name: str, late: timedelta, now: datetime
    ) -> int:
        known = await store.progress(reader, name)
        if known is not None and known.database != await rows.identity(reader):
            # Restored elsewhere: transactions are numbered anew, so all there is has to be looked at.
            known = None
        settled, lowest = (DAWN, None) if known is None else (known.settled_at, known.finished_xid)
        since = settled - late
        done = await store.sealed_since(reader, settled)
        tips = await store.last_roots(reader)
        sealed = 0
        for kind in Kind:
            async for page in rows.booked_since(reader, kind, since, lowest):
                fresh = [one for one in page if (one.shard, one.row) not in done]
                roots = await self._link(reader, fresh, tips, now)
                if roots:
                    await store.insert_roots(writer, roots)
                    await self._export(writer)
                    sealed += len(fresh)
        return sealed

    async def _link(
        self, reader: AsyncConnection, booked: Sequence[Booked], tips: dict[int, Root], now: datetime
    ) -> list[Root]:
        """The next root of each shard that has rows; ``tips`` moves on to them."""
        if not booked:
            return []
        span = min(one.at for one in booked), max(one.at for one in booked)
        found = await rows.contents(reader, [(one.shard, one.row) for one in booked], span)
        # Hashing is work for another thread: messages leave from this one.
        return await asyncio.to_thread(self._linked, found, tips, now)

    def _linked(self, found: Sequence[Content], tips: dict[int, Root], now: datetime) -> list[Root]:
        roots = []
        in_order = sorted(found, key=lambda one: (one.shard, one.at, one.row))
        for shard, of_shard in groupby(in_order, key=lambda one: one.shard):
            sealed = list(of_shard)
            leaves = [row_leaf(one.row, one.said) for one in sealed]
            link = seal(
                tips.get(shard),
                shard,
                leaves,
                span=(sealed[0].at, sealed[-1].at),
                at=now,
                key_id=self._signer.key_id,
            )
            tips[shard] = self._signer.sign(link)
            roots.append(tips[shard])
        return roots

    async def _keep(self, writer: AsyncConnection, name: str, seen: rows.Horizon, now: datetime) -> None:
        """Remember what this run saw; see ``engine.audit.tables.audit_progress`` for the meaning of each value."""
        known = await store.progress(writer, name)
        identity = await rows.identity(writer)
        if known is None or known.database != identity:
            settled, pending = DAWN, (now, seen.next)
        elif seen.lowest >= known.pending_xid:
            settled, pending = known.pending_at, (now, seen.next)
        else:
            settled, pending = known.settled_at, (known.pending_at, known.pending_xid)
        await store.keep_progress(
            writer,
            name=name,
            database=identity,
            finished_xid=seen.lowest,
            settled_at=settled,
            pending_at=pending[0],
            pending_xid=pending[1],
            run_at=now,
        )

    async def _export(self, writer: AsyncConnection) -> None:
        """Write roots outside that are not known to stand there; after a crash some of them twice, word for word."""
        if self._folder is None:
            return
        await asyncio.to_thread(export.write_keys, self._folder, self._signer.public_keys())
        while roots := await store.not_exported(writer, EXPORT_PAGE):
            await asyncio.to_thread(export.append, self._folder, roots)
            await store.keep_exported(writer, roots)
