"""Databases are used again by the next test: without what was written, and not at all where more was changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from tests.databases import Databases

PRODUCT = "INSERT INTO product (code, version, body, published_at) VALUES ('a', '1', '{}', now())"


@pytest.fixture
def databases(_admin: psycopg.Connection[Any], postgres_url: str, _template: str) -> Iterator[Databases]:
    made = Databases(_admin, postgres_url, _template)
    yield made
    made.close()


def changed(databases: Databases, *statements: str) -> tuple[str, int]:
    """The address of a database after these statements, and its number on the server."""
    with databases.one() as url, psycopg.connect(url, autocommit=True) as owner:
        assert owner.execute("SELECT count(*) FROM product").fetchone() == (0,)
        for statement in statements:
            owner.execute(statement)
        row = owner.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        assert row is not None
        return url, row[0]


def test_what_was_written_is_gone_and_its_database_has_another_name(databases: Databases) -> None:
    (before, number), (after, same) = changed(databases, PRODUCT), changed(databases)
    assert number == same
    assert before != after
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(before)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE product ADD CHECK (code <> 'b')",
        "GRANT DELETE ON product TO rasid_app",
        "CREATE TABLE more (row integer)",
        "TRUNCATE product",
        "ANALYZE product",
        "UPDATE alembic_version SET version_num = version_num",
    ],
)
def test_a_database_that_was_altered_is_thrown_away(databases: Databases, statement: str) -> None:
    (_, before), (_, after) = changed(databases, PRODUCT, statement), changed(databases)
    assert before != after


def test_a_database_with_settings_of_its_own_is_thrown_away(databases: Databases) -> None:
    with databases.one() as url, psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f'ALTER DATABASE "{sa.make_url(url).database}" SET work_mem = 64')
    with databases.one() as url, psycopg.connect(url) as owner:
        assert owner.execute("SHOW work_mem").fetchone() != ("64kB",)


def test_who_is_still_connected_is_put_out(databases: Databases) -> None:
    with databases.one() as url:
        forgotten = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError):
        forgotten.execute("SELECT 1")
    forgotten.close()
