"""Statements that read, write or change many rows at once, made from the tables' own definitions.

Rows travel as one array for each column and are unfolded with ``unnest``, so a batch of any size is the same prepared
statement and one message to the server. What is the same for all rows is a plain parameter. A prefix keeps the
parameters apart where several statements become one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

#: One statement and its parameters: arrays and scalars by prefix and column name.
Statement = tuple[str, dict[str, Any]]


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


def arrays(table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], prefix: str = "") -> dict[str, str]:
    """Rows as one array literal for each column; of no rows, empty ones.

    Psycopg can adapt lists by itself, element by element; measured, that was half of a batch's CPU time. What is known
    of a column's type makes it a join.
    """
    if not rows:
        return {prefix + name: "{}" for name in columns}
    by_column = zip(columns, zip(*rows, strict=True), strict=True)
    return {prefix + name: array(table, name, values) for name, values in by_column}


def array(table: sa.Table, column: str, values: Iterable[Any]) -> str:
    """The values of one column as the text of a Postgres array (PostgreSQL manual §8.15.2)."""
    write = _WRITERS[type(table.c[column].type)]
    return "{" + ",".join(["NULL" if value is None else write(value) for value in values]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text_array(values: Iterable[str]) -> str:
    return _quoted("{" + ",".join(map(_quoted, values)) + "}")


#: How a value of a column's type stands in an array. All other characters that mean something there are quoted.
_WRITERS: dict[type, Callable[[Any], str]] = {
    sa.SmallInteger: str,
    sa.Integer: str,
    sa.BigInteger: str,
    sa.Boolean: str,
    sa.Text: _quoted,
    sa.CHAR: _quoted,
    postgresql.UUID: lambda value: value.hex,
    sa.LargeBinary: lambda value: f'"\\\\x{value.hex()}"',
    postgresql.TIMESTAMP: lambda value: f'"{value.isoformat()}"',
    JSONB: _quoted,
    ARRAY: _text_array,
}
