"""The SQL of what is sealed: which rows there are, and what they say, in the form that is hashed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.audit.rules import Kind, LeafId, leaf_id, plain
from engine.audit.tables import staff_action
from engine.books.tables import operation, transfer
from engine.payments.tables import payment_event

#: rows of the stream that are held at a time
PAGE = 2048


class Source(NamedTuple):
    """Where the rows of one kind of leaf lie."""

    table: sa.Table
    #: the column that, with shard and account, names a row
    row_id: str
    #: when it was booked
    at: str


SOURCES = {
    Kind.OPERATION: Source(operation, "key", "booked_at"),
    Kind.PAYMENT_EVENT: Source(payment_event, "event_id", "at"),
    Kind.STAFF_ACTION: Source(staff_action, "action_id", "at"),
}


class Booked(NamedTuple):
    """A row that exists."""

    shard: int
    row: LeafId
    at: datetime


class Content(NamedTuple):
    """A row as it is hashed, and when it was booked."""

    row: LeafId
    at: datetime
    said: Mapping[str, Any]


class Horizon(NamedTuple):
    """What a snapshot sees: all transactions below ``lowest`` are over, ``next`` and all above had not begun."""

    lowest: int
    next: int


async def horizon(connection: AsyncConnection) -> Horizon:
    """The transaction's snapshot."""
    query = (
        "SELECT CAST(CAST(pg_snapshot_xmin(s) AS text) AS bigint), CAST(CAST(pg_snapshot_xmax(s) AS text) AS bigint)"
        " FROM pg_current_snapshot() s"
    )
    row = (await connection.execute(sa.text(query))).one()
    return Horizon(row[0], row[1])


async def identity(connection: AsyncConnection) -> str:
    """Which server's, and which of its databases this is: transactions are numbered by the server."""
    query = (
        "SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()), oid)"
        " FROM pg_database WHERE datname = current_database()"
    )
    return str((await connection.execute(sa.text(query))).scalar_one())


async def booked_since(
    connection: AsyncConnection, kind: Kind, since: datetime, until: datetime, lowest_xid: int | None
) -> AsyncIterator[list[Booked]]:
    """Pages of rows booked after ``since``, and not after ``until``, by transactions from ``lowest_xid`` on.

    A row knows the lower half of its transaction's number: it is compared as Postgres does, modulo 2^32.
    """
    table, row_id, at = SOURCES[kind]
    given: dict[str, Any] = {"since": since, "until": until}
    newer = ""
    if lowest_xid is not None:
        given["lowest"] = lowest_xid % 2**32
        newer = " AND ((CAST(CAST(xmin AS text) AS bigint) - :lowest) & 4294967295) < 2147483648"
    query = sa.text(
        f"SELECT shard, account_id, {row_id}, {at} FROM {table.name} WHERE {at} > :since AND {at} <= :until{newer}"
    )
    async with connection.stream(query, given) as rows:
        async for page in rows.partitions(PAGE):
            yield [Booked(shard, leaf_id(kind, owner, found), when) for shard, owner, found, when in page]


async def booked_in(
    connection: AsyncConnection, kind: Kind, shard: int, since: datetime, until: datetime
) -> AsyncIterator[list[Booked]]:
    """Pages of all rows of one shard that were booked from ``since`` on and before ``until``."""
    table, row_id, at = SOURCES[kind]
    query = sa.text(
        f"SELECT account_id, {row_id}, {at} FROM {table.name} WHERE shard = :shard AND {at} >= :since AND {at} < :until"
    )
    async with connection.stream(query, {"shard": shard, "since": since, "until": until}) as rows:
        async for page in rows.partitions(PAGE):
            yield [Booked(shard, leaf_id(kind, owner, found), when) for owner, found, when in page]


async def stray_transfers(
    connection: AsyncConnection, shard: int, since: datetime, until: datetime
) -> list[tuple[UUID, UUID]]:
    """(account, key) of transfers that belong to no operation."""
    query = sa.text(
        "SELECT DISTINCT t.account_id, t.key FROM transfer t"
        " WHERE t.shard = :shard AND t.booked_at >= :since AND t.booked_at < :until AND NOT EXISTS"
        " (SELECT FROM operation o WHERE o.shard = t.shard AND o.account_id = t.account_id AND o.key = t.key)"
    )
    rows = await connection.execute(query, {"shard": shard, "since": since, "until": until})
    return [(row[0], row[1]) for row in rows]


async def contents(
    connection: AsyncConnection,
    shard: int,
    rows: Iterable[LeafId],
    span: tuple[datetime, datetime] | None = None,
) -> list[Content]:
    """What rows of one shard say, as they are hashed; rows that are gone are left out.

    ``span`` (first and last booking, both included) spares a search of all partitions.
    """
    wanted: dict[Kind, list[LeafId]] = {}
    for row in rows:
        wanted.setdefault(row.kind, []).append(row)
    found: list[Content] = []
    for kind, ids in wanted.items():
        moved = await _transfers(connection, shard, ids, span) if kind is Kind.OPERATION else {}
        for values in await _rows(connection, kind, shard, ids, span):
            row = leaf_id(kind, values["account_id"], values[SOURCES[kind].row_id])
            said = said_by(kind, values, moved.get((row.account_id, row.row_id), ()))
            found.append(Content(row, values[SOURCES[kind].at], said))
    return found


def said_by(kind: Kind, values: RowMapping, transfers: Sequence[RowMapping] = ()) -> dict[str, Any]:
    """A row, an operation with its transfers, as the JSON object that is hashed."""
    said: dict[str, Any] = {"row": kind.value}
    for column in SOURCES[kind].table.columns:
        value = values[column.name]
        said[column.name] = msgspec.json.decode(value) if isinstance(column.type, JSONB) else plain(value)
    if kind is Kind.OPERATION:
        said["transfers"] = [
            {name: plain(value) for name, value in leg.items() if name not in ("shard", "account_id", "key")}
            for leg in transfers
        ]
    return said


def _columns(table: sa.Table) -> str:
    # JSON as text: what Postgres holds, not what a driver makes of it.
    return ", ".join(
        f"CAST(t.{column.name} AS text) AS {column.name}" if isinstance(column.type, JSONB) else f't."{column.name}"'
        for column in table.columns
    )


async def _rows(
    connection: AsyncConnection,
    kind: Kind,
    shard: int,
    ids: Sequence[LeafId],
    span: tuple[datetime, datetime] | None,
) -> Sequence[RowMapping]:
    table, row_id, at = SOURCES[kind]
    # Nobody's rows have no account: they are found by their id alone, of which there are few.
    owner = "t.account_id = v.account_id" if kind is not Kind.STAFF_ACTION else "TRUE"
    return await _found(connection, table, row_id, at, owner, shard, ids, span, "")


async def _transfers(
    connection: AsyncConnection, shard: int, ids: Sequence[LeafId], span: tuple[datetime, datetime] | None
) -> dict[tuple[UUID, UUID], list[RowMapping]]:
    owner = "t.account_id = v.account_id"
    legs = await _found(
        connection, transfer, "key", "booked_at", owner, shard, ids, span, "ORDER BY t.leg, t.booked_at"
    )
    moved: dict[tuple[UUID, UUID], list[RowMapping]] = {}
    for leg in legs:
        moved.setdefault((leg["account_id"], leg["key"]), []).append(leg)
    return moved


async def _found(  # noqa: PLR0917 - one statement, put together from its parts
    connection: AsyncConnection,
    table: sa.Table,
    row_id: str,
    at: str,
    owner: str,
    shard: int,
    ids: Sequence[LeafId],
    span: tuple[datetime, datetime] | None,
    order: str,
) -> Sequence[RowMapping]:
    between = "" if span is None else f" AND t.{at} BETWEEN :first AND :last"
    query = sa.text(
        f"SELECT {_columns(table)} FROM unnest(CAST(:accounts AS uuid[]), CAST(:ids AS uuid[])) AS v(account_id, id)"
        f" JOIN {table.name} t ON t.shard = :shard AND {owner} AND t.{row_id} = v.id{between} {order}"
    )
    given: dict[str, Any] = {
        "shard": shard,
        "accounts": [row.account_id for row in ids],
        "ids": [row.row_id for row in ids],
    }
    if span is not None:
        given |= {"first": span[0], "last": span[1]}
    return (await connection.execute(query, given)).mappings().all()
