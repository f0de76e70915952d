"""Books in databases of their own, and payments that wait for their settlement."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import psycopg
import sqlalchemy as sa
from psycopg import sql

from engine.books.databases import allot_books
from engine.payments.tables import payment
from engine.storage.database import driver_url
from engine.storage.sharding import new_id
from engine.words import PaymentMethod, PaymentState, Settle, Subscriber

GATEWAY = "sandbox"
BOOKS = ("receivables", "history", "provisioning")


def database_of(server_url: str, name: str) -> str:
    """The address of another database of the same server."""
    return sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)


class Server(NamedTuple):
    """A server's address, and a migrated database of it to make others from."""

    url: str
    template: str


def make_database(server_url: str, template: str) -> str:
    """The owner's address of a new database."""
    name = f"rasid_book_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        admin.execute(command.format(sql.Identifier(name), sql.Identifier(template)))
    return database_of(server_url, name)


@asynccontextmanager
async def apart(billing_url: str, servers: Mapping[str, Server]) -> AsyncIterator[dict[str, str]]:
    """Book → a database of its own on that server, where alone it may be written; dropped afterwards."""
    elsewhere = {book: make_database(*server) for book, server in servers.items()}
    allot_books(billing_url, elsewhere)
    try:
        yield elsewhere
    finally:
        for book, url in elsewhere.items():
            roll_back_prepared(url)
            with psycopg.connect(servers[book].url, autocommit=True) as admin:
                named = sql.Identifier(str(sa.make_url(url).database))
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(named))


def prepared_in(url: str) -> list[str]:
    """The names of what is prepared in a database."""
    with psycopg.connect(url) as owner:
        listed = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY gid"
        return [row[0] for row in owner.execute(listed).fetchall()]


def roll_back_prepared(url: str) -> None:
    """Leave nothing prepared in a database."""
    with psycopg.connect(url, autocommit=True) as owner:
        for name in prepared_in(url):
            owner.execute(f"ROLLBACK PREPARED '{name}'".encode())


def rows_of(url: str, table: str) -> int:
    """How many rows a table has."""
    with psycopg.connect(url) as owner:
        row = owner.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
        return int(row[0]) if row is not None else 0


def capture(billing_url: str, lines: Sequence[Subscriber], amount: int) -> list[UUID]:
    """One payment for each line that its gateway has captured and nobody has credited. Returns their ids."""
    now = datetime.now(UTC)
    ids = [new_id() for _ in lines]
    database = sa.create_engine(driver_url(billing_url))
    with database.begin() as owner:
        owner.execute(
            payment.insert(),
            [
                {
                    **line.account._asdict(),
                    "payment_id": payment_id,
                    "line_id": line.line_id,
                    "gateway": GATEWAY,
                    "method": PaymentMethod.MOBILE_MONEY,
                    "amount": amount,
                    "currency": line.currency,
                    "state": PaymentState.CAPTURED,
                    "reference": payment_id.hex[-6:].upper(),
                    "source": "test",
                    "created_at": now,
                    "changed_at": now,
                    "next_check_at": now,
                }
                for line, payment_id in zip(lines, ids, strict=True)
            ],
        )
    database.dispose()
    return ids


def settling(line: Subscriber, payment_id: UUID, amount: int, **more: Any) -> Settle:
    """The settlement of a captured payment, under the key that every process would derive for it."""
    given: dict[str, Any] = {"asked_at": datetime.now(UTC), "source": "test", "currency": line.currency}
    key = uuid5(payment_id, "settle")
    return Settle(
        **{
            "account": line.account,
            "line_id": line.line_id,
            "key": key,
            "payment_id": payment_id,
            "captured": amount,
            **given,
            **more,
        }
    )
