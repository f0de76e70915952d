"""The SQL of what is sealed: which rows there are, and what they say, in the form that is hashed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.audit.rules import Kind, LeafId, leaf_id
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

    shard: int
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
    connection: AsyncConnection, kind: Kind, since: datetime, lowest_xid: int | None
) -> AsyncIterator[list[Booked]]:
    """Pages of rows booked after ``since`` by transactions from ``lowest_xid`` on.

    A row knows the lower half of its transaction's number: it is compared as Postgres does, modulo 2^32.
    """
    table, row_id, at = SOURCES[kind]
    given: dict[str, Any] = {"since": since}
    newer = ""
    if lowest_xid is not None:
        given["lowest"] = lowest_xid % 2**32
        newer = " AND ((CAST(CAST(xmin AS text) AS bigint) - :lowest) & 4294967295) < 2147483648"
    query = sa.text(f"SELECT shard, account_id, {row_id}, {at} FROM {table.name} WHERE {at} > :since{newer}")
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
    wanted: Iterable[tuple[int, LeafId]],
    span: tuple[datetime, datetime] | None = None,
) -> list[Content]:
    """What rows, each named with its shard, say, as they are hashed; rows that are gone are left out.

    ``span`` (first and last booking, both included) spares a search of all partitions.
    """
    by_kind: dict[Kind, list[tuple[int, LeafId]]] = {}
    for shard, row in wanted:
        by_kind.setdefault(row.kind, []).append((shard, row))
    found: list[Content] = []
    for kind, ids in by_kind.items():
        moved = await _transfers(connection, ids, span) if kind is Kind.OPERATION else {}
        columns = [(column.name, isinstance(column.type, JSONB)) for column in SOURCES[kind].table.columns]
        for shard, owner, row_id, at, *values in await _found(connection, SOURCES[kind], ids, span):
            row = leaf_id(kind, owner, row_id)
            said: dict[str, Any] = {"row": kind.value}
            for (name, is_json), value in zip(columns, values, strict=True):
                said[name] = msgspec.json.decode(value) if is_json and value is not None else value
            if kind is Kind.OPERATION:
                said["transfers"] = moved.get((shard, row), [])
            found.append(Content(shard, row, at, said))
    return found


@cache
def _columns(table: sa.Table) -> str:
    return ", ".join(_canonical(column) for column in table.columns)


def _canonical(column: sa.Column[Any]) -> str:
    """A column as it stands in canonical JSON (see ``engine.audit.rules``), written by Postgres: it is much faster."""
    name = f't."{column.name}"'
    if isinstance(column.type, JSONB | postgresql.UUID):
        return f"CAST({name} AS text)"
    if isinstance(column.type, postgresql.TIMESTAMP):
        return f"to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    if isinstance(column.type, sa.LargeBinary):
        return f"encode({name}, 'hex')"
    return name


async def _transfers(
    connection: AsyncConnection, ids: Sequence[tuple[int, LeafId]], span: tuple[datetime, datetime] | None
) -> dict[tuple[int, LeafId], list[dict[str, Any]]]:
    """The transfers of operations, in the order of their legs."""
    source = Source(transfer, "key", "booked_at")
    names = [column.name for column in transfer.columns]
    moved: dict[tuple[int, LeafId], list[dict[str, Any]]] = {}
    for shard, owner, key, _, *values in await _found(connection, source, ids, span, "ORDER BY t.leg, t.booked_at"):
        leg = dict(zip(names, values, strict=True))
        # Whose they are stands in the operation.
        del leg["shard"], leg["account_id"], leg["key"]
        moved.setdefault((shard, leaf_id(Kind.OPERATION, owner, key)), []).append(leg)
    return moved


async def _found(
    connection: AsyncConnection,
    source: Source,
    ids: Sequence[tuple[int, LeafId]],
    span: tuple[datetime, datetime] | None,
    order: str = "",
) -> Sequence[Sequence[Any]]:
    table, row_id, at = source
    # An action on nobody has no account: it is found by its id alone.
    owner = "" if table is staff_action else " AND t.account_id = v.account_id"
    between = "" if span is None else f" AND t.{at} BETWEEN :first AND :last"
    query = sa.text(
        f"SELECT t.shard, t.account_id, t.{row_id}, t.{at}, {_columns(table)}"
        " FROM unnest(CAST(:shards AS smallint[]), CAST(:accounts AS uuid[]),"
        f" CAST(:ids AS uuid[])) AS v(shard, account_id, id)"
        f" JOIN {table.name} t ON t.shard = v.shard{owner} AND t.{row_id} = v.id{between} {order}"
    )
    given: dict[str, Any] = {
        "shards": [shard for shard, _ in ids],
        "accounts": [row.account_id for _, row in ids],
        "ids": [row.row_id for _, row in ids],
    }
    if span is not None:
        given |= {"first": span[0], "last": span[1]}
    return (await connection.execute(query, given)).all()
