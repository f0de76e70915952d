"""The SQL of the chains: roots, how far the sealing has come, and what stands outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.audit.rules import LATEST, LeafId, Root, pack, unpack
from engine.audit.tables import audit_exported, audit_progress, audit_root
from engine.storage.sharding import SHARDS

# -- roots ----------------------------------------------------------------------------------------------------------


def _root(row: Row[Any]) -> Root:
    values = row._asdict()
    try:
        leaves = unpack(values["leaves"])
    except ValueError:
        # Somebody changed them. Without leaves it is a root whose signature does not fit.
        leaves = ()
    return Root(**{name: values[name] for name in Root._fields if name != "leaves"}, leaves=leaves)


async def insert_roots(connection: AsyncConnection, roots: Sequence[Root]) -> None:
    """Add links to the chains. Fails if another process was faster."""
    rows = [{**root._asdict(), "leaves": pack(root.leaves), "count": len(root.leaves)} for root in roots]
    await connection.execute(sa.insert(audit_root), rows)


async def last_roots(connection: AsyncConnection) -> dict[int, Root]:
    """Shard → the last link of its chain."""
    # One probe for each shard: chains grow long.
    shards = sa.func.generate_series(0, SHARDS - 1).table_valued("shard").render_derived()
    last = sa.select(audit_root).where(audit_root.c.shard == shards.c.shard).order_by(audit_root.c.seq.desc()).limit(1)
    tip = last.correlate(shards).lateral("tip")
    latest = sa.select(tip).select_from(shards.join(tip, sa.true()))
    return {row.shard: _root(row) for row in await connection.execute(latest)}


async def roots_of(connection: AsyncConnection, shard: int, since: datetime | None) -> AsyncIterator[Root]:
    """The links of one shard in order, of those sealed from ``since`` on."""
    query = sa.select(audit_root).where(audit_root.c.shard == shard).order_by(audit_root.c.seq)
    if since is not None:
        query = query.where(audit_root.c.sealed_at >= since)
    async with connection.stream(query.execution_options(yield_per=16)) as rows:
        async for row in rows:
            yield _root(row)


async def sealed_since(connection: AsyncConnection, since: datetime) -> set[tuple[int, LeafId]]:
    """The rows that stand in roots sealed from ``since`` on."""
    query = sa.select(audit_root.c.shard, audit_root.c.leaves).where(audit_root.c.sealed_at >= since)
    return {(row.shard, leaf.row) for row in await connection.execute(query) for leaf in unpack(row.leaves)}


async def root_holding(connection: AsyncConnection, shard: int, begins: bytes, booked_at: datetime) -> Root | None:
    """The first root of a shard that holds a leaf which begins so. A clock that was ahead may have booked it."""
    query = (
        sa.select(audit_root)
        .where(
            audit_root.c.shard == shard,
            audit_root.c.sealed_at >= booked_at - LATEST,
            sa.func.position(sa.literal(begins, sa.LargeBinary).op("IN")(audit_root.c.leaves)) > 0,
        )
        .order_by(audit_root.c.seq)
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    return None if row is None else _root(row)


async def chain_extent(connection: AsyncConnection) -> tuple[int, datetime | None]:
    """How many leaves all roots hold, and when the last one was sealed."""
    row = (
        await connection.execute(sa.select(sa.func.sum(audit_root.c.count), sa.func.max(audit_root.c.sealed_at)))
    ).one()
    return int(row[0] or 0), row[1]


# -- progress -------------------------------------------------------------------------------------------------------


async def progress(connection: AsyncConnection, name: str) -> Row[Any] | None:
    """How far the sealing of that name has come."""
    return (await connection.execute(sa.select(audit_progress).where(audit_progress.c.name == name))).first()


async def keep_progress(connection: AsyncConnection, **values: Any) -> None:
    """Remember how far it has come."""
    told = insert(audit_progress).values(values)
    await connection.execute(told.on_conflict_do_update(index_elements=["name"], set_=values))


async def not_exported(connection: AsyncConnection, limit: int) -> list[Root]:
    """Roots that may not stand outside the database yet, oldest first."""
    query = (
        sa.select(audit_root)
        .outerjoin(audit_exported, audit_exported.c.shard == audit_root.c.shard)
        .where(audit_root.c.seq > sa.func.coalesce(audit_exported.c.seq, 0))
        .order_by(audit_root.c.sealed_at, audit_root.c.shard, audit_root.c.seq)
        .limit(limit)
    )
    return [_root(row) for row in await connection.execute(query)]


async def keep_exported(connection: AsyncConnection, roots: Sequence[Root]) -> None:
    """Remember that these roots stand outside the database."""
    latest = {root.shard: root.seq for root in sorted(roots, key=lambda root: root.seq)}
    told = insert(audit_exported).values([{"shard": shard, "seq": seq} for shard, seq in latest.items()])
    await connection.execute(told.on_conflict_do_update(index_elements=["shard"], set_={"seq": told.excluded.seq}))
