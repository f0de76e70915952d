"""The metadata that all tables of the engine hang on, and the columns they share.

Every key starts with ``shard``: on one Postgres a prefix, on Citus the distribution column of one co-location group.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Every time in the database carries its zone.
Timestamp = TIMESTAMP(timezone=True)

#: The role that the application takes: it owns nothing and may not rewrite history.
APPLICATION_ROLE = "rasid_app"


def shard() -> sa.Column[int]:
    """The first column of a primary key."""
    return sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False)


def one_of(column: str, values: type) -> sa.CheckConstraint:
    """A check that a text column holds a member of an enumeration."""
    members = ", ".join(f"'{value}'" for value in values)  # type: ignore[attr-defined]
    return sa.CheckConstraint(f"{column} IN ({members})", name=column)
