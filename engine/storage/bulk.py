"""Statements that read, write or change many rows at once, made from the tables' own definitions.

Rows travel as one array for each column and are unfolded with ``unnest``, so a batch of any size is the same prepared
statement and one message to the server. What is the same for all rows is a plain parameter. A prefix keeps the
parameters apart where several statements become one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from psycopg import BaseConnection
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


_NAMED = re.compile(r"%\((\w+)\)s")


class Packed(bytes):
    """An array in Postgres's binary format. The statement's cast says of what type."""


class PackedDumper(Dumper):
    """Sends ``Packed`` as it is."""

    format = Format.BINARY

    def dump(self, obj: Packed) -> Buffer:
        """Nothing is left to do."""
        return obj


def teach(connection: BaseConnection[Any]) -> None:
    """Let a connection send packed arrays."""
    connection.adapters.register_dumper(Packed, PackedDumper)


def sql_type(column: sa.Column[Any]) -> str:
    """A column's type in SQL."""
    return str(column.type.compile(_DIALECT))


def _travels_as(column: sa.Column[Any]) -> str:
    # Arrays of arrays would be unfolded to their innermost elements, and JSON is text on its way: both travel as text.
    return "text" if isinstance(column.type, ARRAY | JSONB) else sql_type(column)


def unfolded(
    table: sa.Table, columns: Sequence[str], prefix: str = "", *, numbered: bool = False, placed: bool = False
) -> str:
    """``unnest(…) AS v(…)`` over one array parameter for each column.

    ``numbered`` adds ``place``, counted from 1; ``placed`` adds ``place`` as it is given in an array of its own.
    """
    given = ", ".join(f"%({prefix}{name})s::{_travels_as(table.c[name])}[]" for name in columns)
    if numbered:
        return f"unnest({given}) WITH ORDINALITY AS v({', '.join(columns)}, place)"
    if placed:
        return f"unnest({given}, %(place)s::integer[]) AS v({', '.join(columns)}, place)"
    return f"unnest({given}) AS v({', '.join(columns)})"


def _values(table: sa.Table, columns: Sequence[str], constants: Sequence[str], prefix: str) -> dict[str, str]:
    """What each column is set to: its element of the array, or the parameter that is the same in all rows."""
    values = {}
    for name in columns:
        cast = f"::{sql_type(table.c[name])}" if _travels_as(table.c[name]) == "text" else ""
        values[name] = f"v.{name}{cast}"
    return values | {name: f"%({prefix}{name})s::{sql_type(table.c[name])}" for name in constants}


def insert_sql(table: sa.Table, columns: Sequence[str], constants: Sequence[str] = (), prefix: str = "") -> str:
    """INSERT of one row for each element of the columns' arrays; ``constants`` are the same in all of them."""
    values = _values(table, columns, constants, prefix)
    rows = f"SELECT {', '.join(values.values())} FROM {unfolded(table, columns, prefix)}"
    return f"INSERT INTO {table.name} ({', '.join(values)}) {rows}"


def update_sql(table: sa.Table, columns: Sequence[str], constants: Sequence[str] = (), prefix: str = "") -> str:
    """UPDATE of the rows whose primary key is among the columns, setting all other columns."""
    keys = [column.name for column in table.primary_key]
    values = _values(table, columns, constants, prefix)
    changes = ", ".join(f"{name} = {value}" for name, value in values.items() if name not in keys)
    match = " AND ".join(f"t.{key} = v.{key}" for key in keys)
    return f"UPDATE {table.name} t SET {changes} FROM {unfolded(table, columns, prefix)} WHERE {match}"


def upsert_sql(table: sa.Table, columns: Sequence[str], constants: Sequence[str] = (), prefix: str = "") -> str:
    """INSERT that replaces all other columns of a row whose primary key is there already."""
    keys = [column.name for column in table.primary_key]
    changes = ", ".join(f"{name} = excluded.{name}" for name in (*columns, *constants) if name not in keys)
    return f"{insert_sql(table, columns, constants, prefix)} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"


def numbered(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """A statement with ``$1`` for ``%(name)s`` and so on, and the names in that order: what a raw cursor takes.

    Psycopg turns names into numbers itself, but remembers no statement of a batch's size: it would take such a one
    apart each time.
    """
    names = {name: place for place, name in enumerate(dict.fromkeys(_NAMED.findall(sql)), start=1)}
    return _NAMED.sub(lambda found: f"${names[found[1]]}", sql).encode(), tuple(names)


def arrays(
    table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], prefix: str = ""
) -> dict[str, Packed]:
    """Rows as one packed array for each column; of no rows, empty ones.

    Psycopg can adapt lists by itself, element by element; measured, that was half of a batch's CPU time. What is known
    of a column's type makes it a join.
    """
    by_column = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return {prefix + name: array(table, name, values) for name, values in zip(columns, by_column, strict=True)}


def array(table: sa.Table, column: str, values: Sequence[Any]) -> Packed:
    """One column as Postgres receives an array (``array_recv``): dimensions, then length and bytes of each value."""
    element = _ELEMENTS[type(table.c[column].type)]
    if not values:
        return Packed(_HEAD.pack(0, 0, element.oid))
    try:
        body, nulls = _joined(element, values), 0
    except (AttributeError, TypeError):
        # Looking for None first would compare every id with it.
        body, nulls = b"".join([_NULL if one is None else _sized(element.write(one)) for one in values]), 1
    return Packed(_HEAD.pack(1, nulls, element.oid) + _DIMENSION.pack(len(values), 1) + body)


def _joined(element: _Element, values: Sequence[Any]) -> bytes:
    write = element.write
    if element.length is None:
        return b"".join([_sized(write(value)) for value in values])
    length = element.length.to_bytes(4)
    return length + length.join([write(value) for value in values])


def _sized(value: bytes) -> bytes:
    return len(value).to_bytes(4) + value


def _timestamp(value: datetime) -> bytes:
    since = value - _EPOCH
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return microseconds.to_bytes(8, signed=True)


def _text_array(values: Iterable[str]) -> bytes:
    # PostgreSQL manual §8.15.2; almost always empty.
    quoted = ['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values]
    return ("{" + ",".join(quoted) + "}").encode()


#: Number of dimensions, whether there are NULLs, the element type's OID; then length and lower bound of the dimension.
_HEAD = struct.Struct(">iiI")
_DIMENSION = struct.Struct(">ii")
_NULL = b"\xff\xff\xff\xff"
#: Postgres counts microseconds from here.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class _Element(NamedTuple):
    """How a value of a column's type is sent: OID of the type (``pg_type.dat``), how long it is if that is fixed."""

    oid: int
    length: int | None
    write: Callable[[Any], bytes]


_ELEMENTS: dict[type, _Element] = {
    sa.SmallInteger: _Element(21, 2, lambda value: value.to_bytes(2, signed=True)),
    sa.Integer: _Element(23, 4, lambda value: value.to_bytes(4, signed=True)),
    sa.BigInteger: _Element(20, 8, lambda value: value.to_bytes(8, signed=True)),
    sa.Boolean: _Element(16, 1, lambda value: value.to_bytes(1)),
    sa.Text: _Element(25, None, str.encode),
    sa.CHAR: _Element(1042, None, str.encode),
    postgresql.UUID: _Element(2950, 16, lambda value: value.int.to_bytes(16)),
    sa.LargeBinary: _Element(17, None, bytes),
    postgresql.TIMESTAMP: _Element(1184, 8, _timestamp),
    # Both travel as text.
    JSONB: _Element(25, None, str.encode),
    ARRAY: _Element(25, None, _text_array),
}
