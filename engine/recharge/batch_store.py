"""The SQL of voucher batches: everything about vouchers but their redemption."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.recharge.tables import VoucherState, voucher, voucher_batch
from engine.storage.driver import driver_of

_COPY = "COPY voucher (shard, digest, batch_id, serial) FROM STDIN (FORMAT BINARY)"


async def insert_batch(connection: AsyncConnection, **values: Any) -> None:
    """A new batch, in its first state."""
    await connection.execute(voucher_batch.insert().values(**values))


async def copy_vouchers(connection: AsyncConnection, batch_id: UUID, rows: Iterable[tuple[int, bytes, int]]) -> bool:
    """Insert (shard, digest, serial) by COPY; False, and nothing done, if a digest is there already."""
    driver = await driver_of(connection)
    try:
        async with connection.begin_nested(), driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.set_types(["int2", "bytea", "uuid", "int4"])
            for shard, digest, serial in rows:
                await copy.write_row((shard, digest, batch_id, serial))
    except psycopg.errors.UniqueViolation:
        return False
    return True


def _keys(shards: Sequence[int], digests: Sequence[bytes]) -> sa.ColumnElement[bool]:
    wanted = sa.select(
        sa.func.unnest(sa.cast(list(shards), ARRAY(sa.SmallInteger))),
        sa.func.unnest(sa.cast(list(digests), ARRAY(sa.LargeBinary))),
    )
    return sa.tuple_(voucher.c.shard, voucher.c.digest).in_(wanted)


async def any_known(connection: AsyncConnection, shards: Sequence[int], digests: Sequence[bytes]) -> bool:
    """Whether one of these digests is a voucher."""
    return bool(await connection.scalar(sa.select(sa.exists().where(_keys(shards, digests)))))


async def find_voucher(connection: AsyncConnection, shards: Sequence[int], digests: Sequence[bytes]) -> Any | None:
    """The voucher behind a number's digests: batch_id, serial, state, redeemed_at."""
    found: Any | None = (await connection.execute(_vouchers().where(_keys(shards, digests)))).first()
    return found


async def find_serial(connection: AsyncConnection, batch_id: UUID, serial: int) -> Any | None:
    """The voucher with a printed serial: batch_id, serial, state, redeemed_at."""
    query = _vouchers().where(voucher.c.batch_id == batch_id, voucher.c.serial == serial)
    found: Any | None = (await connection.execute(query)).first()
    return found


def _vouchers() -> sa.Select[Any]:
    return sa.select(voucher.c.batch_id, voucher.c.serial, voucher.c.state, voucher.c.redeemed_at)


async def lock_batch(connection: AsyncConnection, batch_id: UUID) -> Any | None:
    """State and maker of a batch, its row locked until commit."""
    query = sa.select(voucher_batch.c.state, voucher_batch.c.created_by).where(voucher_batch.c.batch_id == batch_id)
    found: Any | None = (await connection.execute(query.with_for_update(key_share=True))).first()
    return found


async def update_batch(connection: AsyncConnection, batch_id: UUID, **values: Any) -> None:
    """Set columns of one batch."""
    await connection.execute(voucher_batch.update().where(voucher_batch.c.batch_id == batch_id).values(**values))


async def block_serials(connection: AsyncConnection, batch_id: UUID, serials: Sequence[int]) -> list[int]:
    """Block vouchers that are unused; returns the serials that were."""
    which = sa.and_(
        voucher.c.batch_id == batch_id,
        voucher.c.serial.in_(serials),
        voucher.c.state == VoucherState.UNUSED.value,
    )
    # In the order in which redemptions lock them, so that neither waits for the other for ever.
    in_order = sa.select(voucher.c.digest).where(which).order_by(voucher.c.shard, voucher.c.digest)
    await connection.execute(in_order.with_for_update(key_share=True))
    change = voucher.update().where(which).values(state=VoucherState.BLOCKED.value)
    return list(await connection.scalars(change.returning(voucher.c.serial)))


async def page(
    connection: AsyncConnection, state: str | None, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Any]:
    """Batches, the newest first, from ``after`` back in time, without their counts."""
    names = ("batch_id", "state", "face_value", "currency", "count", "expires_at", "created_by", "created_at")
    order = (voucher_batch.c.created_at, voucher_batch.c.batch_id)
    query = sa.select(*(voucher_batch.c[name] for name in names)).limit(limit)
    query = query.order_by(*(one.desc() for one in order))
    if state is not None:
        query = query.where(voucher_batch.c.state == state)
    if after is not None:
        query = query.where(sa.tuple_(*order) < sa.tuple_(*after))
    return (await connection.execute(query)).all()


async def by_state(connection: AsyncConnection) -> Sequence[Any]:
    """Batches and their vouchers by state of the batch: state, batches, vouchers."""
    columns = (voucher_batch.c.state, sa.func.count().label("batches"), sa.func.sum(voucher_batch.c.count))
    return (await connection.execute(sa.select(*columns).group_by(voucher_batch.c.state))).all()


async def batches(connection: AsyncConnection, batch_id: UUID | None = None) -> Sequence[Any]:
    """All batches, or one, the newest first, with how many of their vouchers are redeemed and blocked."""
    counts = (
        sa.select(
            voucher.c.batch_id,
            sa.func.count().filter(voucher.c.state == VoucherState.REDEEMED.value).label("redeemed"),
            sa.func.count().filter(voucher.c.state == VoucherState.BLOCKED.value).label("blocked"),
        )
        .group_by(voucher.c.batch_id)
        .where(sa.true() if batch_id is None else voucher.c.batch_id == batch_id)
        .subquery()
    )
    query = (
        sa.select(
            voucher_batch,
            sa.func.coalesce(counts.c.redeemed, 0).label("redeemed"),
            sa.func.coalesce(counts.c.blocked, 0).label("blocked"),
        )
        .outerjoin(counts, counts.c.batch_id == voucher_batch.c.batch_id)
        .order_by(voucher_batch.c.created_at.desc(), voucher_batch.c.batch_id)
        .where(sa.true() if batch_id is None else voucher_batch.c.batch_id == batch_id)
    )
    return (await connection.execute(query)).all()
