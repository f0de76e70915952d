"""The payment history may live in a database of its own: the match is the same."""

from __future__ import annotations

import psycopg
import sqlalchemy as sa
from psycopg import sql

from engine.books.databases import open_books
from engine.reconciliation.service import Reconciliation
from tests.engine.books.apart import make_database
from tests.engine.payments.house import House
from tests.engine.reconciliation.files import HEADER, of, paid, square, today


async def test_a_history_in_a_database_of_its_own_is_matched_all_the_same(
    house: House,
    database_url: str,
    postgres_url: str,
    _template: str,  # noqa: PT019
    operator,
    keyring,
) -> None:
    right, wrong = await paid(house, 2)
    elsewhere = make_database(postgres_url, _template)
    with psycopg.connect(database_url) as here, psycopg.connect(elsewhere) as there:
        with (
            here.cursor().copy("COPY payment_history TO STDOUT") as rows,
            there.cursor().copy("COPY payment_history FROM STDIN") as out,
        ):
            for row in rows:
                out.write(row)
        here.execute("DELETE FROM payment_history")
    books = open_books(database_url, {"history": elsewhere}, connections=2)
    try:
        desk = Reconciliation(
            books,
            operator,
            keyring,
            payments=house.engine.payments,
            gateways=house.engine.reconciliation._gateways,
            trail=house.engine.audit,
        )
        lines = [HEADER, of(right), of(wrong, amount=1)]
        run = await desk.reconcile("sandbox", lines, by="alice", source="file:x", first=today(house))
        assert run.found == 1
        [one] = await desk.discrepancies()
        assert (one.kind, one.booked, one.payment_id) == ("amount", 5_000, wrong.payment_id)
        assert await square(house) == [(5_001, 10_000, 0, -4_999)]
    finally:
        await books.dispose()
        name = sql.Identifier(str(sa.make_url(elsewhere).database))
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
