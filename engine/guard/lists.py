"""Whom staff blocks or trusts: kept by keyed digest, until a time or until taken off, with who and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.audit.service import Trail
from engine.guard.payments import line_digest, list_digest
from engine.guard.tables import guard_list
from engine.storage.sharding import shard_of
from engine.words import Listed, ListKind, NotPossible, Subscriber
from runtime.keyring import Keyring


class Entry(NamedTuple):
    """Somebody on a list. Who it is cannot be read from it: only looked for."""

    kind: ListKind
    verdict: Listed
    reason: str
    by: str
    added_at: datetime
    until: datetime | None


class Lists:
    """The block and allow list of one installation."""

    def __init__(self, database: AsyncEngine, keyring: Keyring, trail: Trail) -> None:
        self._database = database
        self._keyring = keyring
        self._trail = trail

    async def put(
        self,
        kind: ListKind,
        who: str | Subscriber,
        verdict: Listed,
        *,
        by: str,
        why: str,
        until: datetime | None = None,
    ) -> None:
        """Put somebody on the list, in place of what stood there. ``who``: a line, or a payer's number, token, device.

        Raises ``ValueError`` where ``who`` is not of that kind or nobody and no reason are named.
        """
        if not why.strip():
            raise ValueError("why: a reason must be given")
        digest = self._digests(kind, who)[0]
        row = {
            "shard": shard_of(digest),
            "digest": digest,
            "key_id": self._keyring.current,
            "kind": kind.value,
            "verdict": verdict.value,
            "reason": why.strip(),
            "by": by.strip(),
            "added_at": datetime.now(UTC),
            "until": until,
        }
        placed = insert(guard_list).values(row)
        changed = {name: value for name, value in row.items() if name not in ("shard", "digest")}
        async with self._database.begin() as connection:
            await self._forget(connection, kind, who)
            await connection.execute(placed.on_conflict_do_update(index_elements=["shard", "digest"], set_=changed))
            await self._note(f"guard.{verdict.value}", kind, who, by=by, why=why, connection=connection)

    async def take_off(self, kind: ListKind, who: str | Subscriber, *, by: str, why: str) -> bool:
        """Take somebody off the list. False if they were not on it."""
        async with self._database.begin() as connection:
            found = await self._forget(connection, kind, who)
            if found:
                await self._note("guard.taken_off", kind, who, by=by, why=why, connection=connection)
        return found

    async def entries(
        self, *, after: tuple[datetime, bytes] | None = None, limit: int = 50
    ) -> list[tuple[Entry, tuple[datetime, bytes]]]:
        """Who is on the lists now, the newest first, each with its key; ``after`` is the key of one."""
        columns = [guard_list.c[name] for name in Entry._fields]
        order = (guard_list.c.added_at, guard_list.c.digest)
        query = (
            sa.select(*columns, guard_list.c.digest)
            .where(_holds())
            .order_by(*(one.desc() for one in order))
            .limit(limit)
        )
        if after is not None:
            query = query.where(sa.tuple_(*order) < sa.tuple_(*after))
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [(Entry(ListKind(row[0]), Listed(row[1]), *row[2:6]), (row.added_at, row.digest)) for row in rows]

    async def find(self, kind: ListKind, who: str | Subscriber) -> Entry | None:
        """What the list says of somebody now."""
        columns = [guard_list.c[name] for name in Entry._fields]
        async with self._database.connect() as connection:
            row = (await connection.execute(sa.select(*columns).where(self._is(kind, who), _holds()))).first()
        return None if row is None else Entry(ListKind(row[0]), Listed(row[1]), *row[2:])

    async def _note(
        self, what: str, kind: ListKind, who: str | Subscriber, *, by: str, why: str, connection: AsyncConnection
    ) -> None:
        line = who if isinstance(who, Subscriber) else None
        await self._trail.record(
            what,
            by=by,
            why=why,
            account=None if line is None else line.account,
            line_id=None if line is None else line.line_id,
            detail={"kind": kind.value},
            connection=connection,
        )

    async def _forget(self, connection: AsyncConnection, kind: ListKind, who: str | Subscriber) -> bool:
        return (await connection.execute(sa.delete(guard_list).where(self._is(kind, who)))).rowcount > 0

    def _is(self, kind: ListKind, who: str | Subscriber) -> sa.ColumnElement[bool]:
        digests = self._digests(kind, who)
        shards = sorted({shard_of(one) for one in digests})
        return sa.and_(guard_list.c.shard.in_(shards), guard_list.c.digest.in_(digests))

    def _digests(self, kind: ListKind, who: str | Subscriber) -> list[bytes]:
        """Under every key in force, the current one first."""
        if isinstance(who, Subscriber) != (kind is ListKind.SUBSCRIBER) or not who:
            raise NotPossible(f"who: a {kind.value} is meant", "list_who")
        ids = sorted(self._keyring.ids, key=lambda key_id: key_id != self._keyring.current)
        if isinstance(who, Subscriber):
            return [line_digest(self._keyring, who.account, who.line_id, key_id) for key_id in ids]
        return [list_digest(self._keyring, kind, who, key_id) for key_id in ids]


def _holds() -> sa.ColumnElement[bool]:
    return sa.or_(guard_list.c.until.is_(None), guard_list.c.until > datetime.now(UTC))
