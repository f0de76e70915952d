"""The SQL of favourites: the latest that a line chose, read backwards and no further than is looked at."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from engine.books.tables import operation
from engine.favourites.tables import recharged_other
from engine.words import LineRef

#: how many of the latest purchases, and of those to whom something was sent, are looked at
LOOKS_AT = 30
#: what staff does for a line is no choice of its own
STAFF = "console:"


def _chosen(kind: str, line: LineRef, since: datetime) -> list[sa.ColumnElement[bool]]:
    columns = operation.c
    return [
        columns.shard == line.shard,
        columns.account_id == line.account_id,
        columns.line_id == line.line_id,
        columns.booked_at > since,
        # Literals: only so does every plan know that the index holds them.
        columns.kind == sa.literal_column(f"'{kind}'"),
        columns.code == sa.literal_column("'ok'"),
        ~columns.source.startswith(STAFF),
    ]


def bought(line: LineRef, since: datetime) -> sa.Select[Any]:
    """Codes of products: the most often bought first; of those bought as often, the one bought last."""
    latest = (
        sa.select(operation.c.answer["details"]["product"].astext.label("product"), operation.c.booked_at)
        .where(*_chosen("purchase", line, since))
        .order_by(operation.c.booked_at.desc())
        .limit(LOOKS_AT)
        .subquery()
    )
    return (
        sa.select(latest.c.product)
        .group_by(latest.c.product)
        .order_by(sa.func.count().desc(), sa.func.max(latest.c.booked_at).desc())
    )


def receivers(line: LineRef, since: datetime) -> sa.Select[Any]:
    """Shard, account and line (as texts) that something was given to or paid for, and when: the latest first."""
    details = operation.c.answer["details"]
    given = (
        sa.select(
            details["receiver_shard"].astext.label("shard"),
            details["receiver_account"].astext.label("account"),
            details["receiver_line"].astext.label("line"),
            operation.c.booked_at.label("at"),
        )
        .where(*_chosen("transfer", line, since))
        .order_by(operation.c.booked_at.desc())
        .limit(LOOKS_AT)
        .subquery()
    )
    columns = recharged_other.c
    other = (columns.other_shard, columns.other_account_id, columns.other_line_id)
    paid = (
        sa.select(*(sa.cast(one, sa.Text) for one in other), columns.asked_at)
        .where(*_of(line), columns.asked_at > since)
        .order_by(columns.asked_at.desc())
        .limit(LOOKS_AT)
        .subquery()
    )
    both = sa.union_all(sa.select(given), sa.select(paid)).subquery()
    return sa.select(both).order_by(both.c.at.desc())


def recharged(line: LineRef, most: int) -> sa.Select[Any]:
    """Payment, when it was asked for, and shard, account and line of who was recharged, the latest first."""
    columns = recharged_other.c
    other = (columns.other_shard, columns.other_account_id, columns.other_line_id)
    return (
        sa.select(columns.payment_id, columns.asked_at, *other)
        .where(*_of(line))
        .order_by(columns.asked_at.desc())
        .limit(most)
    )


def asked_for(line: LineRef, payment_id: UUID) -> sa.Select[Any]:
    """A row if a line has asked for this payment for another one."""
    return sa.select(sa.literal(1)).where(*_of(line), recharged_other.c.payment_id == payment_id).limit(1)


def _of(line: LineRef) -> list[sa.ColumnElement[bool]]:
    columns = recharged_other.c
    return [
        columns.shard == line.shard,
        columns.account_id == line.account_id,
        columns.line_id == line.line_id,
    ]
