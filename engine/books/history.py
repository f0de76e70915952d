"""Reading the books: what was done before, and what one operation moved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.books.decisions import request_hash
from engine.books.tables import operation, transfer
from engine.words import AccountRef, Answer, Code, Operation


class Done(NamedTuple):
    """A stored operation: who asked, of which line if of one, and what became of it."""

    source: str
    line_id: UUID | None
    answer: Answer


class History:
    """The stored operations and transfers of one installation."""

    def __init__(self, database: AsyncEngine) -> None:
        """Reads go to the writer: a replica may not know yet what a person just did."""
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")

    async def done_before(self, asked: Operation, within_minutes: int = 10) -> Answer | None:
        """The latest successful operation of the last minutes that meant the same, under whatever key."""
        query = (
            sa.select(sa.cast(operation.c.answer, sa.Text))
            .where(
                operation.c.shard == asked.account.shard,
                operation.c.account_id == asked.account.account_id,
                operation.c.booked_at > datetime.now(UTC) - timedelta(minutes=within_minutes),
                operation.c.request_hash == request_hash(asked),
                operation.c.code == Code.OK,
            )
            .order_by(operation.c.booked_at.desc())
            .limit(1)
        )
        async with self._reads.connect() as connection:
            stored = (await connection.execute(query)).scalar_one_or_none()
        return None if stored is None else msgspec.json.decode(stored, type=Answer)

    async def answer_under(self, account: AccountRef, key: UUID) -> Answer | None:
        """What was answered to the operation of this key; None for one that was never decided."""
        query = sa.select(sa.cast(operation.c.answer, sa.Text)).where(
            operation.c.shard == account.shard,
            operation.c.account_id == account.account_id,
            operation.c.key == key,
        )
        async with self._reads.connect() as connection:
            stored = (await connection.execute(query)).scalar_one_or_none()
        return None if stored is None else msgspec.json.decode(stored, type=Answer)

    async def operations(
        self,
        account: AccountRef,
        *,
        kinds: Sequence[str] = (),
        sources: Sequence[str] = (),
        line_id: UUID | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: tuple[datetime, UUID] | None = None,
        idle: bool = True,
        most: int = 50,
    ) -> list[Done]:
        """What was asked of an account, the latest first, at most ``most``.

        ``kinds`` are of ``Answer.kind``, ``sources`` what a source begins with, ``line_id`` the line that it was asked
        for, of any if None; ``since`` is counted in, ``until`` is not. ``after`` is time and key of the last one of the
        page before. ``idle``: sessions' requests that changed nothing are among them.
        """
        chosen = _chosen(account, sources, line_id, idle=idle)
        chosen += [operation.c.kind.in_(kinds)] if kinds else []
        chosen += [operation.c.booked_at >= since] if since is not None else []
        chosen += [operation.c.booked_at < until] if until is not None else []
        if after is not None:
            chosen.append(sa.tuple_(operation.c.booked_at, operation.c.key) < sa.tuple_(*after))
        query = (
            sa.select(operation.c.source, operation.c.line_id, sa.cast(operation.c.answer, sa.Text))
            .where(*chosen)
            .order_by(operation.c.booked_at.desc(), operation.c.key.desc())
            .limit(most)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [Done(source, line_id, msgspec.json.decode(answer, type=Answer)) for source, line_id, answer in rows]

    async def count_operations(
        self, account: AccountRef, *, sources: Sequence[str] = (), line_id: UUID | None = None, idle: bool = True
    ) -> int:
        """How many ``operations`` finds in all, page after page."""
        query = sa.select(sa.func.count()).where(*_chosen(account, sources, line_id, idle=idle))
        async with self._reads.connect() as connection:
            return (await connection.execute(query)).scalar_one()

    async def explain(self, account: AccountRef, key: UUID, line_id: UUID | None = None) -> dict[str, object] | None:
        """One operation with its ledger transfers, for the glass panel and for "why did my balance go down?".

        Where ``line_id`` is given, only if it was asked for that line.
        Keys: ``kind code reference booked_at source transfers[{debit credit unit amount bucket_id}] answer``.
        """
        chosen = [
            operation.c.shard == account.shard,
            operation.c.account_id == account.account_id,
            operation.c.key == key,
        ]
        chosen += [operation.c.line_id == line_id] if line_id is not None else []
        moved = (transfer.c.shard == account.shard, transfer.c.account_id == account.account_id, transfer.c.key == key)
        columns = ("debit", "credit", "unit", "amount", "bucket_id")
        async with self._reads.connect() as connection:
            found = (await connection.execute(sa.select(operation).where(*chosen))).mappings().first()
            if found is None:
                return None
            legs = await connection.execute(
                sa.select(*(transfer.c[name] for name in columns)).where(*moved).order_by("leg")
            )
            transfers = [dict(leg) for leg in legs.mappings()]
        said = ("kind", "code", "reference", "booked_at", "source", "answer")
        return {name: found[name] for name in said} | {"transfers": transfers}


def _chosen(
    account: AccountRef, sources: Sequence[str], line_id: UUID | None, *, idle: bool
) -> list[sa.ColumnElement[bool]]:
    chosen = [operation.c.shard == account.shard, operation.c.account_id == account.account_id]
    chosen += [sa.or_(*(operation.c.source.startswith(one, autoescape=True) for one in sources))] if sources else []
    chosen += [operation.c.line_id == line_id] if line_id is not None else []
    if not idle:
        chosen.append(
            sa.or_(operation.c.kind != "session", sa.func.jsonb_array_length(operation.c.answer["effects"]) > 0)
        )
    return chosen
